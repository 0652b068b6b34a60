"""Share of examples whose true class is among the most probable ones."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Examples, Scored, Sums, Task


class TopK(Metric):
    """Top-k accuracy: the share of examples whose true class is among the k most probable ones, in [0, 1].

    With k = 1 it is the accuracy but for ties; k must be below the number of classes, from which on it is always 1. Of
    equally probable classes the later one comes first, as in scikit-learn's ``top_k_accuracy_score``.

    Source:
        Russakovsky et al. (2015), "ImageNet large scale visual recognition challenge", section 4.1, with k = 5.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    higher_is_better: ClassVar[bool] = True

    name: Literal["top_k"] = "top_k"
    k: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    """How many classes may be named."""

    def mismatch(self, examples: Examples) -> str | None:
        """Require more classes than may be named."""
        if self.k < (num_classes := len(examples.target_names)):
            return None
        return f"top-k accuracy with k={self.k} is always 1 with {num_classes} classes: `k` must be lower"

    def update(self, batch: Scored) -> Sums:
        """Add up the weights of the right and of all examples, scalars."""
        p, y = batch.predictions, batch.targets.unsqueeze(-1)
        of_truth = p.gather(-1, y)
        is_earlier = torch.arange(p.shape[-1], device=p.device) < y
        # The classes behind are counted, not those ahead, so that predictions that are not a number are wrong.
        num_behind = ((p < of_truth) | ((p == of_truth) & is_earlier)).sum(-1)
        right = num_behind >= p.shape[-1] - self.k
        return {"right": (right * batch.weights).sum(), "weight": batch.weights.sum()}

    def compute(self, sums: Sums) -> Tensor:
        """Divide the right by all."""
        return sums["right"] / sums["weight"]
