"""Cross-entropy of a Bernoulli distribution given by one logit."""

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from dlx.core.definition import Loss
from dlx.core.types import Examples, Hyper, Task


class BinaryCrossEntropy(Loss):
    """Binary cross-entropy: minus the log-probability of the true one of two classes under a sigmoid.

    With the logit z and the class y in {0, 1}:
        loss = -log sigmoid((2y - 1) z)

    The outputs are logits [B, 1], the targets classes [B], the loss is in nats and at least 0. An untrained model
    scores about ln 2.

    Source:
        Goodfellow, Bengio and Courville (2016), section 6.2.2.2; lecture 3.9.
    """

    distribution: ClassVar[str] = "Bernoulli"
    task: ClassVar[Task] = "classification"

    name: Literal["binary_cross_entropy"] = "binary_cross_entropy"

    def mismatch(self, examples: Examples) -> str | None:
        """Require classes, and exactly two of them."""
        num_classes = len(examples.target_names)
        if examples.task == self.task and num_classes != 2:
            return f"`{self.name}` is a loss for 2 classes, but these data have {num_classes}"
        return super().mismatch(examples)

    def num_outputs(self, num_targets: int) -> int:
        """One logit, whatever the data: that of class 1."""
        return 1

    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the loss of each example, [B], in nats."""
        sign = 2 * targets.to(outputs.dtype) - 1
        return -logsigmoid(sign * outputs.squeeze(-1))

    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give sigmoid(z) - y, [B, 1]."""
        return 0.5 + 0.5 * torch.tanh(0.5 * outputs) - targets.to(outputs.dtype).unsqueeze(-1)

    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """The loss is the whole negative log-likelihood."""
        return self.value(outputs, targets, h)

    def predict(self, outputs: Tensor) -> Tensor:
        """Give the probabilities of class 0 and class 1, [B, 2], each accurate near 0."""
        return torch.exp(torch.cat([logsigmoid(-outputs), logsigmoid(outputs)], -1))
