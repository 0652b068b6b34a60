"""Coefficient of determination."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class R2(Metric):
    """Coefficient of determination: the share of the targets' variance that the predictions explain, at most 1.

    1 - sum e**2 / sum (y - mean y)**2, averaged over the outputs; 0 is what predicting the mean scores. Sums of squares
    are centred only at the end, which is why the engine hands metrics float64: the relative error of 1 - R2 is about
    1e-16 (mean y / std y)**2. An output whose targets do not vary beyond that scores 1 without any error, else 0, as in
    scikit-learn.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    higher_is_better: ClassVar[bool] = True

    name: Literal["r2"] = "r2"

    def update(self, batch: Scored) -> Sums:
        """Add up squared errors, targets and squared targets, [C] each, and the weights."""
        w, y = batch.weights.unsqueeze(-1), batch.targets
        return {
            "error": (w * (batch.predictions - y).square()).sum(0),
            "target": (w * y).sum(0),
            "target_square": (w * y.square()).sum(0),
            "weight": batch.weights.sum(),
        }

    def compute(self, sums: Sums) -> Tensor:
        """Close the formula, a scalar."""
        error, square = sums["error"], sums["target_square"]
        total = square - sums["target"].square() / sums["weight"]
        limits = torch.finfo(total.dtype)
        is_constant = total <= 64 * limits.eps * square
        total = torch.where(is_constant, error.clamp(min=limits.tiny), total)
        return (1 - error / total).mean(-1)
