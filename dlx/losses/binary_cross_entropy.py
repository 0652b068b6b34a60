"""Cross-entropy of a Bernoulli distribution given by one logit."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from dlx.core.definition import Loss, Tunable
from dlx.core.types import Examples, Hyper, Task

SMOOTHS = "smooths the labels, which keeps it above 0 even where every example is learned"
"""What label smoothing does, as a clause about the loss."""


class BinaryCrossEntropy(Loss):
    """Binary cross-entropy: minus the log-probability of the true one of two classes under a sigmoid.

    With the logit z and the class y in {0, 1}:
        loss = -log sigmoid((2y - 1) z)

    The outputs are logits [B, 1], the targets classes [B], the loss is in nats and at least 0. An untrained model
    scores about ln 2. With label_smoothing a the target is (1 - a) y + a/2, which adds a/2 (2y - 1) z to the loss; the
    metric nll does not know of it. Equal to cross_entropy with the logits 0 and z.

    Source:
        Goodfellow, Bengio and Courville (2016), section 6.2.2.2; smoothing: Szegedy et al. (2016), "Rethinking the
        Inception architecture for computer vision", section 7; lecture 3.9.
    """

    distribution: ClassVar[str] = "Bernoulli"
    task: ClassVar[Task] = "classification"

    name: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    label_smoothing: Tunable[Annotated[float, Field(ge=0, lt=1)] | None] = None
    """Share of the target's probability that is spread evenly over both classes; null is none."""

    def mismatch(self, examples: Examples) -> str | None:
        """Require classes, and exactly two of them."""
        num_classes = len(examples.target_names)
        if examples.task == self.task and num_classes != 2:
            return f"`{self.name}` is a loss for 2 classes, but these data have {num_classes}"
        return super().mismatch(examples)

    def remark(self) -> str | None:
        """Say what smoothing does to the loss."""
        return f"The loss {SMOOTHS}; the metric nll does not." if self.label_smoothing else None

    def num_outputs(self, num_targets: int) -> int:
        """One logit, whatever the data: that of class 1."""
        return 1

    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the loss of each example, [B], in nats."""
        margin = _margin(outputs, targets)
        loss = -logsigmoid(margin)
        return loss if self.label_smoothing is None else loss + 0.5 * h.label_smoothing * margin

    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give sigmoid(z) less the (smoothed) target, [B, 1]."""
        target = targets.to(outputs.dtype).unsqueeze(-1)
        if self.label_smoothing is not None:
            target = target + h.label_smoothing * (0.5 - target)
        return 0.5 + 0.5 * torch.tanh(0.5 * outputs) - target

    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give minus the log-probability of the true class, [B], in nats."""
        return -logsigmoid(_margin(outputs, targets))

    def predict(self, outputs: Tensor) -> Tensor:
        """Give the probabilities of class 0 and class 1, [B, 2], each accurate near 0."""
        return torch.exp(torch.cat([logsigmoid(-outputs), logsigmoid(outputs)], -1))


def _margin(outputs: Tensor, targets: Tensor) -> Tensor:
    """Give the logit of the true class, (2y - 1) z, [B]."""
    return (2 * targets.to(outputs.dtype) - 1) * outputs.squeeze(-1)
