"""Mean negative log-likelihood."""

from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class NegativeLogLikelihood(Metric):
    """Negative log-likelihood: the mean over examples of -log p(targets | inputs), in nats, constants included.

    The distribution is the loss's, its density in the target's own units, so values of different scalings compare.

    Source:
        Lecture 3.7.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification", "regression")
    higher_is_better: ClassVar[bool] = False

    name: Literal["nll"] = "nll"

    def update(self, batch: Scored) -> Sums:
        """Add up the weighted values and the weights, scalars."""
        return {"nll": (batch.nll * batch.weights).sum(), "weight": batch.weights.sum()}

    def compute(self, sums: Sums) -> Tensor:
        """Divide the sum by the weight."""
        return sums["nll"] / sums["weight"]
