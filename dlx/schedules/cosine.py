"""A learning rate that falls along half a cosine."""

import math
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from dlx.core.definition import Schedule, Tunable
from dlx.core.types import Hyper


class Cosine(Schedule):
    """Cosine: the rate falls slowly, then fast, then slowly again, to a floor at step tau, constant from there on.

        factor(k) = floor + (1 - floor) (1 + cos(pi k/tau)) / 2   for k < tau, then floor

    The step k counts updates from 0. Up to step tau equal to ``torch.optim.lr_scheduler.CosineAnnealingLR(T_max=tau,
    eta_min=floor lr)`` stepped after every update. Computed as sin**2(pi/2 (1 - k/tau)), which is exact at both ends.

    Source:
        Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", equation 5; lecture 6.4.
    """

    name: Literal["cosine"] = "cosine"
    tau: Tunable[PositiveFloat] = 1000.0
    """Step at which the floor is reached, usually the last of the training."""
    floor: Tunable[NonNegativeFloat] = 0.0
    """Last learning rate as a fraction of the first."""

    def shape(self, steps: Tensor, h: Hyper) -> Tensor:
        """Give the factor at each member's step, [..., M, 1]."""
        left = (1 - steps / h.tau).clamp_(min=0)
        share: Tensor = torch.sin(left.mul_(math.pi / 2)).square_()
        factor: Tensor = share + (1 - share) * h.floor
        return factor
