"""Root mean squared error."""

from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class RootMeanSquaredError(Metric):
    """Root mean squared error: the root of each output's mean squared error, averaged over outputs, in target units."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    higher_is_better: ClassVar[bool] = False

    name: Literal["rmse"] = "rmse"

    def update(self, batch: Scored) -> Sums:
        """Add up the weighted squared errors, [C], and the weights."""
        error = (batch.predictions - batch.targets).square()
        return {"error": (batch.weights.unsqueeze(-1) * error).sum(0), "weight": batch.weights.sum()}

    def compute(self, sums: Sums) -> Tensor:
        """Divide, take the roots and average them, a scalar."""
        return (sums["error"] / sums["weight"]).sqrt().mean(-1)
