"""A learning rate that falls as one over the step."""

from typing import Literal

from pydantic import PositiveFloat
from torch import Tensor

from dlx.core.definition import Schedule, Tunable
from dlx.core.types import Hyper


class InverseTime(Schedule):
    """Inverse time: the rate falls as 1/k, so slowly that it can go anywhere, so fast that it comes to rest.

        factor(k) = 1 / (1 + k/tau)

    The step k counts updates from 0. The sum of all rates is infinite and that of their squares finite, the conditions
    under which stochastic gradient descent converges; a constant or floored rate does not meet the second.

    Source:
        Robbins and Monro (1951), "A stochastic approximation method"; Goodfellow, Bengio and Courville (2016),
        equations 8.12 and 8.13; lecture 6.4.
    """

    name: Literal["inverse_time"] = "inverse_time"
    tau: Tunable[PositiveFloat] = 1000.0
    """Step at which the learning rate is half the first."""

    def shape(self, steps: Tensor, h: Hyper) -> Tensor:
        """Give the factor at each member's step, [..., M, 1]."""
        factor: Tensor = 1 / (1 + steps / h.tau)
        return factor
