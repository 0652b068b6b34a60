"""AdaGrad: rates that shrink with what a parameter has moved."""

from collections.abc import Callable

import numpy as np
import torch

from dlx.optimizers.adagrad import AdaGrad


def test_as_published(path_of: Callable) -> None:
    published = [  # 50-digit mpmath, reference/methods.md section 5
        [0.900000010000, 0.900000001000],
        [0.833103541399, 0.833103528294],
        [0.780456198761, 0.780456183089],
        [0.736223152077, 0.736223134594],
        [0.697714882985, 0.697714864138],
    ]
    np.testing.assert_allclose(path_of(AdaGrad(lr=0.1)), published, rtol=0, atol=5.1e-13)


def test_under_a_constant_gradient_steps_fall_with_the_root_of_their_number(path_of: Callable) -> None:
    path = path_of(AdaGrad(lr=0.1, delta=1e-30), 100, gradient=lambda theta: torch.full_like(theta, 7.0))
    steps = -np.diff(np.vstack([np.ones((1, 2)), path]), axis=0)
    np.testing.assert_allclose(steps, 0.1 / np.sqrt(np.arange(1, 101))[:, None] * [1, 1], rtol=1e-12)


def test_a_parameter_without_gradient_stays(path_of: Callable) -> None:
    path = path_of(AdaGrad(), 3, gradient=lambda theta: theta * torch.tensor([1.0, 0.0]))
    assert (path[:, 1] == 1).all()
