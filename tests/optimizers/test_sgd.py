"""Stochastic gradient descent, on numbers with a closed form."""

from collections.abc import Callable

import numpy as np

from dlx.optimizers.sgd import SGD


def test_contracts_by_1_minus_lr_times_curvature(path_of: Callable) -> None:
    steps = np.arange(1, 6)[:, None]
    np.testing.assert_allclose(path_of(SGD(lr=0.05)), (1 - 0.05 * np.array([1, 10])) ** steps, rtol=1e-14)


def test_linear_decay_as_published(path_of: Callable) -> None:
    published = [  # 50-digit mpmath, reference/methods.md section 5
        [0.950000000000, 0.500000000000],
        [0.913187500000, 0.306250000000],
        [0.888074843750, 0.222031250000],
        [0.873643627539, 0.185951171875],
        [0.869275409401, 0.176653613281],
    ]
    path = path_of(SGD(lr=0.05), factor=lambda k: 1 - min(k / 4, 1) * 0.9)
    np.testing.assert_allclose(path, published, rtol=0, atol=5.1e-13)
