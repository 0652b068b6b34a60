"""A constant learning rate."""

import torch

from dlx.core.types import Hyper
from dlx.schedules.constant import Constant


def test_no_factor_at_all() -> None:
    assert Constant().factor(torch.tensor([[0.0], [1e6]]), Hyper({})) is None
