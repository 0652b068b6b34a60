"""Small data sets with known class counts."""

from collections.abc import Callable

import numpy as np
import pytest

from dlx.core.types import Examples


@pytest.fixture
def classes() -> Callable[..., Examples]:
    """Examples of a classification with the given number of each class, in mixed order."""

    def make(*counts: int) -> Examples:
        targets = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
        names = tuple(f"class {number}" for number in range(len(counts)))
        return Examples(np.arange(len(targets), dtype=float)[:, None], targets, "classification", ("x",), names)

    return make


@pytest.fixture
def values() -> Callable[[int], Examples]:
    """Examples of a regression."""

    def make(num_examples: int) -> Examples:
        column = np.linspace(0, 1, num_examples)[:, None]
        return Examples(column, column**2, "regression", ("x",), ("y",))

    return make
