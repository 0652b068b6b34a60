"""A Gaussian prior on the weights: L2 regularisation."""

from typing import Literal

from pydantic import NonNegativeFloat
from torch import Tensor

from dlx.core.definition import Prior, Tunable
from dlx.core.types import Hyper


class Gaussian(Prior):
    """Gaussian prior: every weight is normal with mean 0 and the given precision (1 / variance).

    The penalty is minus the log density less its constant, precision/2 w**2. The objective adds its sum divided by N,
    so MAP of a linear model with mse is ridge regression with alpha = precision/2.

    Source:
        Goodfellow, Bengio and Courville (2016), section 5.6.1; lecture 3.14.
    """

    name: Literal["gaussian"] = "gaussian"
    precision: Tunable[NonNegativeFloat] = 1.0
    """1 / variance of each weight; 0 is no prior."""

    def penalty(self, theta: Tensor, h: Hyper) -> Tensor:
        """Give precision/2 w**2 of each weight, [M, P]."""
        return theta.square().mul(h.precision * 0.5)

    def derivative(self, theta: Tensor, h: Hyper) -> Tensor:
        """Give precision w, [M, P]."""
        return theta.mul(h.precision)
