"""A Laplace prior on the weights: L1 regularisation."""

from typing import Literal

from pydantic import NonNegativeFloat
from torch import Tensor

from dlx.core.definition import Prior, Tunable
from dlx.core.types import Hyper


class Laplace(Prior):
    """Laplace prior: every weight has density proportional to exp(-rate |w|).

    The penalty is minus the log density less its constant, rate |w|, with derivative 0 at 0. The objective adds its sum
    divided by N. Gradient rules shrink weights towards 0 but do not land on it.

    Source:
        Goodfellow, Bengio and Courville (2016), section 7.1.2; lecture 3.14.
    """

    name: Literal["laplace"] = "laplace"
    rate: Tunable[NonNegativeFloat] = 1.0
    """1 / scale of each weight's distribution; 0 is no prior."""

    def penalty(self, theta: Tensor, h: Hyper) -> Tensor:
        """Give rate |w| of each weight, [M, P]."""
        return theta.abs().mul(h.rate)

    def derivative(self, theta: Tensor, h: Hyper) -> Tensor:
        """Give rate sign(w), [M, P]."""
        return theta.sign().mul(h.rate)
