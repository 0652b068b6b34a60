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
        """Add up the weights of the right less confidences in each bin, [B], and all weights, a scalar."""
        confidence, classes = batch.predictions.max(-1)
        excess = ((classes == batch.targets).to(batch.weights.dtype) - confidence) * batch.weights
        number = (confidence * self.bins).ceil().clamp(min=1, max=self.bins).unsqueeze(-1)
        is_in = number == torch.arange(1, self.bins + 1, device=number.device)
        return {"excess": torch.where(is_in, excess.unsqueeze(-1), 0).sum(0), "weight": batch.weights.sum()}

    def compute(self, sums: Sums) -> Tensor:
        """Add up the sizes of all bins' gaps and divide them by all weights, a scalar."""
        return sums["excess"].abs().sum(-1) / sums["weight"]
