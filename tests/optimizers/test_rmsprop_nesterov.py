"""RMSProp with Nesterov momentum: RMSProp without momentum, and never 0 / 0."""

from collections.abc import Callable

import torch

from dlx.optimizers.rmsprop import RMSProp
from dlx.optimizers.rmsprop_nesterov import RMSPropNesterov


def test_without_momentum_it_is_rmsprop(path_of: Callable) -> None:
    path = path_of(RMSPropNesterov(lr=0.05, momentum=0.0))
    torch.testing.assert_close(path, path_of(RMSProp(lr=0.05)), rtol=1e-14, atol=0)


def test_a_parameter_without_gradient_stays(path_of: Callable) -> None:
    path = path_of(RMSPropNesterov(), 3, gradient=lambda theta: theta * torch.tensor([1.0, 0.0]))
    assert (path[:, 1] == 1).all()
