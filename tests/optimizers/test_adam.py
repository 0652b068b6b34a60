"""Adam: corrected moments."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dlx.optimizers.adam import Adam


def test_as_published(path_of: Callable) -> None:
    published = [  # 50-digit mpmath, reference/methods.md section 5
        [0.900000001000, 0.900000000100],
        [0.800412229712, 0.800412227875],
        [0.701586274504, 0.701586271699],
        [0.603939062682, 0.603939058887],
        [0.507963661927, 0.507963657134],
    ]
    np.testing.assert_allclose(path_of(Adam(lr=0.1)), published, rtol=0, atol=5.1e-13)


@pytest.mark.parametrize("scale", [1e-3, 1e6])
def test_scale_of_the_objective_does_not_count(scale: float, path_of: Callable) -> None:
    rule = Adam(lr=0.01, delta=1e-30)
    scaled = path_of(rule, 20, gradient=lambda theta: scale * theta)
    np.testing.assert_allclose(scaled, path_of(rule, 20, gradient=lambda theta: theta), rtol=1e-12)


def test_first_step_is_the_learning_rate(path_of: Callable) -> None:
    path = path_of(Adam(lr=0.01, delta=1e-30), 1, gradient=lambda theta: theta * torch.tensor([1e-9, -1e9]))
    np.testing.assert_allclose(path[0] - 1, [-0.01, 0.01], rtol=1e-12)


def test_without_memory_it_is_sign_descent(path_of: Callable) -> None:
    path = path_of(Adam(lr=0.01, rho1=0.0, rho2=0.0, delta=1e-30), 10)
    np.testing.assert_allclose(path, 1 - 0.01 * np.arange(1, 11)[:, None] * [1, 1], rtol=1e-12)


@pytest.mark.parametrize("num_steps", [1, 10])
def test_complements_are_exact_in_float32(num_steps: int, stack: Callable) -> None:
    rule = Adam(delta=1e-30)  # under a constant gradient every step is lr; 1 - float32(0.999) would be 1e-5 off
    theta = torch.zeros(2, 1)
    state, h = rule.init(theta), stack([rule] * 2, torch.float32)
    for _ in range(num_steps):
        rule.update(theta, torch.ones_like(theta), state, h)
    np.testing.assert_allclose(theta, -0.001 * num_steps, rtol=1e-6)
