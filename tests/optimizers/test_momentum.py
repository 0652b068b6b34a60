"""Momentum: the book's velocity, which carries the learning rate."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dlx.optimizers.momentum import Momentum
from dlx.optimizers.sgd import SGD


def test_as_published(path_of: Callable) -> None:
    published = [  # 50-digit mpmath, reference/methods.md section 5
        [0.950000000000, 0.500000000000],
        [0.857500000000, -0.200000000000],
        [0.731375000000, -0.730000000000],
        [0.581293750000, -0.842000000000],
        [0.417155937500, -0.521800000000],
    ]
    np.testing.assert_allclose(path_of(Momentum(lr=0.05)), published, rtol=0, atol=5.1e-13)


def test_without_memory_it_is_sgd(path_of: Callable) -> None:
    assert torch.equal(path_of(Momentum(lr=0.05, momentum=0.0)), path_of(SGD(lr=0.05)))


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_terminal_speed(momentum: float, path_of: Callable) -> None:
    path = path_of(Momentum(lr=0.01, momentum=momentum), 400, gradient=lambda theta: torch.full_like(theta, 3.0))
    np.testing.assert_allclose(path[-2] - path[-1], 0.01 * 3 / (1 - momentum), rtol=1e-10)


def test_schedule_is_inside_the_velocity(path_of: Callable) -> None:
    path = path_of(Momentum(lr=0.05), 2, factor=lambda k: 1.0 - k)  # the second rate is 0: only velocity moves
    np.testing.assert_allclose(path[1] - path[0], 0.9 * (path[0] - 1), rtol=1e-14)
