"""Nesterov: the gradient at the point looked ahead to."""

from collections.abc import Callable

import numpy as np
import torch

from dlx.optimizers.nesterov import Nesterov
from dlx.optimizers.sgd import SGD


def test_as_published(path_of: Callable) -> None:
    published = [  # 50-digit mpmath, reference/methods.md section 5
        [0.950000000000, 0.500000000000],
        [0.859750000000, 0.0250000000000],
        [0.739598750000, -0.201250000000],
        [0.599889493750, -0.202437500000],
        [0.450443604969, -0.101753125000],
    ]
    np.testing.assert_allclose(path_of(Nesterov(lr=0.05)), published, rtol=0, atol=5.1e-13)


def test_points_looked_ahead_to_are_torchs(path_of: Callable) -> None:
    path = path_of(Nesterov(lr=0.05), 30)
    theta = torch.ones(2, dtype=torch.float64, requires_grad=True)
    peer = torch.optim.SGD([theta], lr=0.05, momentum=0.9, nesterov=True)
    before = torch.ones(2, dtype=torch.float64)
    for after in path:
        theta.grad = theta.detach() * torch.tensor([1.0, 10.0])
        peer.step()
        torch.testing.assert_close(after + 0.9 * (after - before), theta.detach(), rtol=1e-12, atol=1e-15)
        before = after


def test_without_memory_it_is_sgd(path_of: Callable) -> None:
    assert torch.equal(path_of(Nesterov(lr=0.05, momentum=0.0)), path_of(SGD(lr=0.05)))
