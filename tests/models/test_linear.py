"""The linear model."""

import torch

from dlx.core.types import Spec
from dlx.models.linear import Linear


def test_outputs_are_wx_plus_b() -> None:
    torch.manual_seed(0)
    module, x = Linear().build(Spec((4,), 2, torch.float64)), torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x), x @ module.weight.T + module.bias, rtol=1e-13, atol=1e-15)
    assert list(module.state_dict()) == ["weight", "bias"]
