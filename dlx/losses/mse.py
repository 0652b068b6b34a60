"""Mean squared error: a Gaussian of variance one half."""

import math
from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Loss
from dlx.core.types import Hyper, Task


class MeanSquaredError(Loss):
    """Mean squared error of each example over its outputs; the minimiser is the conditional mean.

    With e = outputs - targets over C outputs:
        loss = mean_c e_c**2

    For C = 1 it is the negative log-likelihood of a Gaussian with variance 1/2, less its constant log(pi)/2; for more
    outputs that divided by C. Outputs and targets are [B, C] in scaled target units, the loss in their square.

    Source:
        Goodfellow, Bengio and Courville (2016), section 5.5.1; lecture 3.12.
    """

    distribution: ClassVar[str] = "Gaussian of variance 1/2"
    task: ClassVar[Task] = "regression"

    name: Literal["mse"] = "mse"

    def num_outputs(self, num_targets: int) -> int:
        """One output per target column."""
        return num_targets

    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the mean over outputs of the squared error of each example, [B]."""
        return (outputs - targets).square().mean(-1)

    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give 2 e / C, [B, C]."""
        return (outputs - targets) * (2 / outputs.shape[-1])

    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give sum_c (e_c**2 + log(pi)/2), [B], in nats."""
        return ((outputs - targets).square() + 0.5 * math.log(math.pi)).sum(-1)

    def predict(self, outputs: Tensor) -> Tensor:
        """The outputs are the mean of the Gaussian."""
        return outputs
