"""A constant learning rate."""

from typing import Literal

from torch import Tensor

from dlx.core.definition import Schedule
from dlx.core.types import Hyper


class Constant(Schedule):
    """Constant: every step has the optimizer's learning rate."""

    name: Literal["constant"] = "constant"

    def shape(self, steps: Tensor, h: Hyper) -> None:
        """Give None: 1 at every step."""
