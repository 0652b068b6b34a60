"""Perplexity of a classifier."""

from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class Perplexity(Metric):
    """Perplexity: exp of the mean negative log-likelihood: among how many equal classes it is as good as undecided.

    1 is certain and right; guessing among C classes scores C.

    Source:
        Jelinek, Mercer, Bahl and Baker (1977), "Perplexity: a measure of the difficulty of speech recognition tasks".
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    higher_is_better: ClassVar[bool] = False

    name: Literal["perplexity"] = "perplexity"

    def update(self, batch: Scored) -> Sums:
        """Add up the weighted values and the weights, scalars."""
        return {"nll": (batch.nll * batch.weights).sum(), "weight": batch.weights.sum()}

    def compute(self, sums: Sums) -> Tensor:
        """Take exp of the mean."""
        return (sums["nll"] / sums["weight"]).exp()
