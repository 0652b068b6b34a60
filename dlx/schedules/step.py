"""A learning rate that falls in stairs."""

from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from dlx.core.definition import Schedule, Tunable
from dlx.core.types import Hyper


class Step(Schedule):
    """Step: the rate is multiplied by gamma after every so many steps.

        factor(k) = gamma**floor(k / every)

    The step k counts updates from 0. Equal to ``torch.optim.lr_scheduler.StepLR(step_size=every, gamma=gamma)`` stepped
    after every update.

    Source:
        Lecture 6.4.
    """

    name: Literal["step"] = "step"
    every: Tunable[PositiveFloat] = 1000.0
    """Steps from one stair to the next."""
    gamma: Tunable[Annotated[float, Field(gt=0, le=1)]] = 0.1
    """What the learning rate is multiplied with at each stair."""

    def shape(self, steps: Tensor, h: Hyper) -> Tensor:
        """Give the factor at each member's step, [..., M, 1]."""
        # Not a power: its bits depend on the number of elements.
        stairs: Tensor = (steps / h.every).floor()
        return torch.exp(stairs * h.gamma.to(steps.dtype).log())
