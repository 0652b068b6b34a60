"""How far the confidence of a classifier is from its accuracy."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class CalibrationError(Metric):
    """Expected calibration error: how far confidence is from accuracy, averaged over the examples, in [0, 1].

    The confidence of an example is the probability of its most probable class. Examples are put into bins of equal
    width by confidence, ((b - 1)/B, b/B], and with the mean confidence and the accuracy of each bin
        ECE = sum_b share_b |accuracy_b - confidence_b|

    Few examples per bin make it too large. It says nothing of how good the classes are: naming the frequent class with
    its frequency scores 0.

    Source:
        Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks", section 2.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    higher_is_better: ClassVar[bool] = False

    name: Literal["calibration_error"] = "calibration_error"
    bins: Annotated[int, Field(ge=1, le=10_000)] = 15
    """Number of bins B of confidences in [0, 1]."""

    def update(self, batch: Scored) -> Sums:
        """Add up what each bin holds."""
        return reliability(batch.predictions, batch.targets, batch.weights, self.bins)

    def compute(self, sums: Sums) -> Tensor:
        """Add up the sizes of all bins' gaps and divide them by all weights, a scalar."""
        return (sums["correct"] - sums["confidence"]).abs().sum(-1) / sums["count"].sum(-1)


def reliability(predictions: Tensor, targets: Tensor, weights: Tensor, bins: int) -> Sums:
    """Add up what a reliability diagram shows: how often probabilities of a size are right.

    Args:
        predictions: Class probabilities, [N, C].
        targets: True classes, [N].
        weights: Of each example, [N].
        bins: Number of bins B of equal width; each holds its upper edge, the first also its lower.

    Returns:
        Over the examples in each bin, [B]: their weights, ``count``; times the top probabilities, ``confidence``; of
        those whose most probable class is the true one, ``correct``.

    Source:
        Guo et al. (2017), figure 1 and section 2.
    """
    confidence, classes = predictions.max(-1)
    number = (confidence * bins).ceil().clamp(min=1, max=bins).unsqueeze(-1)
    is_in = number == torch.arange(1, bins + 1, device=number.device)
    values = {"count": weights, "confidence": confidence * weights, "correct": (classes == targets) * weights}
    return {name: torch.where(is_in, value.unsqueeze(-1), 0).sum(0) for name, value in values.items()}
