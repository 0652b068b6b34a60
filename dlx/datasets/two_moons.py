"""Two interleaving half circles in the plane."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveInt

from dlx.core.definition import Dataset
from dlx.core.types import Examples


class TwoMoons(Dataset):
    """Two moons: two interleaving half circles of radius 1 in the plane, one per class, with Gaussian noise.

    Source:
        scikit-learn's ``make_moons``.
    """

    name: Literal["two_moons"] = "two_moons"
    num_examples: Annotated[PositiveInt, Field(le=10_000_000)] = 1000
    """Number of examples N, half of them in each class."""
    noise: Annotated[NonNegativeFloat, Field(le=1e6)] = 0.2
    """Standard deviation of the noise on both coordinates."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the noise; the training seeds do not change the data."""

    def load(self) -> Examples:
        """Make inputs [N, 2] and classes [N]."""
        from sklearn.datasets import make_moons

        inputs, targets = make_moons(self.num_examples, noise=self.noise, random_state=self.seed)
        return Examples(inputs, targets.astype(np.int64), "classification", ("x", "y"), ("upper", "lower"))
