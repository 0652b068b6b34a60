"""Negative log-likelihood of a Gaussian, its standard deviation learned or fixed."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from dlx.core.definition import Tunable
from dlx.core.types import Hyper
from dlx.losses.exponential_power import ExponentialPower


class GaussianNLL(ExponentialPower):
    """Gaussian negative log-likelihood: the model says for each example its mean and how uncertain that is.

    With e = mean - targets and the variance v = sigma**2 of each of C target columns:
        loss = mean_c (e_c**2 / v_c + log v_c) / 2

    For C = 1 it is the negative log-likelihood less its constant log(2 pi) / 2; for more columns that divided by C. It
    can be negative, as a density can exceed 1. With sigma null the outputs are [B, 2C]: C means, then C values of log
    v; with a number they are C means. Targets [B, C], means and sigma are in scaled target units. Where log v < -20 the
    precision 1/v grows along a straight line instead of exponentially, so that nothing overflows. Predictions are the
    means. As a function of v it is ``torch.nn.GaussianNLLLoss``.

    Source:
        Nix and Weigend (1994), "Estimating the mean and variance of the target probability distribution"; lecture 3.12.
    """

    distribution: ClassVar[str] = "Gaussian"
    power: ClassVar[int] = 2
    constant: ClassVar[float] = 0.5 * math.log(2 * math.pi)

    name: Literal["gaussian_nll"] = "gaussian_nll"
    sigma: Tunable[Annotated[float, Field(ge=1e-6, le=1e6)] | None] = None
    """Standard deviation, in scaled target units, of all columns and examples; null learns each."""

    @property
    def is_learned(self) -> bool:
        """Whether the variance is an output of the model."""
        return self.sigma is None

    def fixed_scale(self, h: Hyper) -> Tensor:
        """Give sigma, a scalar."""
        sigma: Tensor = h.sigma
        return sigma
