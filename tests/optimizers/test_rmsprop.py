"""RMSProp: delta stands inside the root."""

from collections.abc import Callable

import numpy as np
import torch

from dlx.optimizers.rmsprop import RMSProp


def test_as_published(path_of: Callable) -> None:
    published = [  # 50-digit mpmath, reference/methods.md section 5
        [0.683773815110, 0.683772249795],
        [0.498872582673, 0.498870626655],
        [0.369182625210, 0.369180573876],
        [0.272826910085, 0.272824904982],
        [0.199797046426, 0.199795172547],
    ]
    np.testing.assert_allclose(path_of(RMSProp(lr=0.1)), published, rtol=0, atol=5.1e-13)


def test_delta_is_inside_the_root(path_of: Callable) -> None:
    path = path_of(RMSProp(lr=0.1, rho=0.0, delta=3.0), 1, gradient=torch.ones_like)
    np.testing.assert_allclose(path[0], 1 - 0.1 / 2, rtol=1e-14)  # outside it were 0.1 / (1 + 3)


def test_without_memory_it_is_sign_descent(path_of: Callable) -> None:
    path = path_of(RMSProp(lr=0.01, rho=0.0, delta=1e-30), 10)
    np.testing.assert_allclose(path, 1 - 0.01 * np.arange(1, 11)[:, None] * [1, 1], rtol=1e-12)
