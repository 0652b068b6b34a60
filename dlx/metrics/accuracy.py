"""Share of examples whose most probable class is the true one."""

from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class Accuracy(Metric):
    """Accuracy: the share of examples whose most probable class is the true one, in [0, 1]."""

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    higher_is_better: ClassVar[bool] = True

    name: Literal["accuracy"] = "accuracy"

    def update(self, batch: Scored) -> Sums:
        """Add up the weights of the right and of all examples, scalars."""
        right = batch.predictions.argmax(-1) == batch.targets
        return {"right": (right * batch.weights).sum(), "weight": batch.weights.sum()}

    def compute(self, sums: Sums) -> Tensor:
        """Divide the right by all."""
        return sums["right"] / sums["weight"]
