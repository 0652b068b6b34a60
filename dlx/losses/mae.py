"""Mean absolute error: a Laplace distribution of scale one."""

import math
from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Loss
from dlx.core.types import Hyper, Task


class MeanAbsoluteError(Loss):
    """Mean absolute error of each example over its outputs; the minimiser is the conditional median.

    With e = outputs - targets over C outputs:
        loss = mean_c |e_c|

    For C = 1 it is the negative log-likelihood of a Laplace distribution with scale 1, less its constant log 2; for
    more outputs that divided by C. Outputs and targets are [B, C] in scaled target units. An outlier pulls no harder
    than any other example. The kink at e = 0 has derivative 0.

    Source:
        Goodfellow, Bengio and Courville (2016), section 6.2.1.2; lecture 3.13.
    """

    distribution: ClassVar[str] = "Laplace of scale 1"
    task: ClassVar[Task] = "regression"

    name: Literal["mae"] = "mae"

    def num_outputs(self, num_targets: int) -> int:
        """One output per target column."""
        return num_targets

    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the mean over outputs of the absolute error of each example, [B]."""
        return (outputs - targets).abs().mean(-1)

    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give sign(e) / C, [B, C]."""
        return (outputs - targets).sign() / outputs.shape[-1]

    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give sum_c (|e_c| + log 2), [B], in nats."""
        return ((outputs - targets).abs() + math.log(2)).sum(-1)

    def predict(self, outputs: Tensor) -> Tensor:
        """The outputs are the median (and mean) of the Laplace distribution."""
        return outputs
