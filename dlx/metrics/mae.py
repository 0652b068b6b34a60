"""Mean absolute error."""

from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class MeanAbsoluteError(Metric):
    """Mean absolute error: the mean absolute error, averaged over the outputs, in target units."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    higher_is_better: ClassVar[bool] = False

    name: Literal["mae"] = "mae"

    def update(self, batch: Scored) -> Sums:
        """Add up the weighted errors and the weights, scalars."""
        error = batch.predictions - batch.targets
        return {"error": (error.abs().mean(-1) * batch.weights).sum(), "weight": batch.weights.sum()}

    def compute(self, sums: Sums) -> Tensor:
        """Divide the sum by the weight."""
        return sums["error"] / sums["weight"]
