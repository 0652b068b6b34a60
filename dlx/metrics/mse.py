"""Mean squared error."""

from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class MeanSquaredError(Metric):
    """Mean squared error: the mean squared error, averaged over the outputs, in squared target units."""

    tasks: ClassVar[tuple[Task, ...]] = ("regression",)
    higher_is_better: ClassVar[bool] = False

    name: Literal["mse"] = "mse"

    def update(self, batch: Scored) -> Sums:
        """Add up the weighted errors and the weights, scalars."""
        error = batch.predictions - batch.targets
        return {"error": (error.square().mean(-1) * batch.weights).sum(), "weight": batch.weights.sum()}

    def compute(self, sums: Sums) -> Tensor:
        """Divide the sum by the weight."""
        return sums["error"] / sums["weight"]
