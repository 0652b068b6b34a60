"""AdamW: Adam and a decay that its moments do not see."""

from collections.abc import Callable

import numpy as np
import torch

from dlx.optimizers.adam import Adam
from dlx.optimizers.adamw import AdamW


def test_without_decay_it_is_adam(path_of: Callable) -> None:
    assert torch.equal(path_of(AdamW(lr=0.1, weight_decay=0.0)), path_of(Adam(lr=0.1)))


def test_without_gradient_parameters_decay(path_of: Callable) -> None:
    path = path_of(AdamW(lr=0.1, weight_decay=0.5), 4, gradient=torch.zeros_like)
    np.testing.assert_allclose(path, 0.95 ** np.arange(1, 5)[:, None] * [1, 1], rtol=1e-14)


def test_a_small_decay_is_exact_in_float32(stack: Callable) -> None:
    rule = AdamW(lr=1e-3, weight_decay=1e-2)
    theta = torch.ones(2, 1)
    state, h = rule.init(theta), stack([rule] * 2, torch.float32)
    rule.update(theta, torch.zeros_like(theta), state, h)
    np.testing.assert_allclose(1 - theta.double(), 1e-5, rtol=0.004)  # half a unit in the last place of 1 is 0.3 %
