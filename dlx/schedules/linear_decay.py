"""A learning rate that falls linearly to a floor."""

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from dlx.core.definition import Schedule, Tunable
from dlx.core.types import Hyper


class LinearDecay(Schedule):
    """Linear decay: from the optimizer's learning rate to a fraction of it at step tau, constant from there on.

        factor(k) = (1 - k/tau) + (k/tau) floor   for k < tau, then floor

    The step k counts updates from 0. Equal to ``torch.optim.lr_scheduler.LinearLR(start_factor=1, end_factor=floor,
    total_iters=tau)`` stepped after every update.

    Source:
        Goodfellow, Bengio and Courville (2016), equation 8.14; lecture 6.4.
    """

    name: Literal["linear_decay"] = "linear_decay"
    tau: Tunable[PositiveFloat] = 1000.0
    """Step at which the floor is reached, usually that of some hundred passes over the data."""
    floor: Tunable[NonNegativeFloat] = 0.01
    """Last learning rate as a fraction of the first."""

    def shape(self, steps: Tensor, h: Hyper) -> Tensor:
        """Give the factor at each member's step, [M, 1]."""
        share: Tensor = (steps / h.tau).clamp_(max=1)
        return (1 - share).add_(share * h.floor)  # not 1 - share (1 - floor): in float32 a small floor would be lost
