"""Negative log-likelihood of a Laplace distribution, its scale learned or fixed."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from dlx.core.definition import Tunable
from dlx.core.types import Hyper
from dlx.losses.exponential_power import ExponentialPower


class LaplaceNLL(ExponentialPower):
    """Laplace negative log-likelihood: the model says for each example its median and how uncertain that is.

    With e = median - targets and the scale b of each of C target columns:
        loss = mean_c |e_c| / b_c + log b_c

    For C = 1 it is the negative log-likelihood less its constant log 2; for more columns that divided by C. It can be
    negative, as a density can exceed 1. With scale null the outputs are [B, 2C]: C medians, then C values of log b;
    with a number they are C medians. Targets [B, C], medians and scale are in scaled target units. Where log b < -20
    the inverse 1/b grows along a straight line instead of exponentially, so that nothing overflows. Predictions are the
    medians. An outlier pulls no harder than any other example of its scale; the kink at e = 0 has derivative 0.

    Source:
        Goodfellow, Bengio and Courville (2016), sections 3.9.4 and 6.2.2.4; lecture 3.13.
    """

    distribution: ClassVar[str] = "Laplace"
    power: ClassVar[int] = 1
    constant: ClassVar[float] = math.log(2)

    name: Literal["laplace_nll"] = "laplace_nll"
    scale: Tunable[Annotated[float, Field(ge=1e-6, le=1e6)] | None] = None
    """Scale b, the expected absolute error, in scaled target units, of all columns and examples; null learns each."""

    @property
    def is_learned(self) -> bool:
        """Whether the scale is an output of the model."""
        return self.scale is None

    def fixed_scale(self, h: Hyper) -> Tensor:
        """Give the scale, a scalar."""
        scale: Tensor = h.scale
        return scale
