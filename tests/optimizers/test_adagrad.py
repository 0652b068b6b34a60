"""AdaGrad: rates that shrink with what a parameter has moved."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dlx.optimizers.adagrad import AdaGrad, square_root


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_square_root_is_numpys_at_any_size_and_place(dtype: torch.dtype) -> None:
    smallest = torch.finfo(dtype).smallest_normal
    exponents = torch.linspace(math.log(smallest), math.log(torch.finfo(dtype).max) - 1, 1003, dtype=torch.float64)
    x = torch.cat(
        [torch.zeros(7, dtype=dtype), exponents.exp().to(dtype), torch.tensor([smallest / 4096], dtype=dtype)]
    )
    expected = np.sqrt(x.numpy())
    assert np.all(np.abs(square_root(x).numpy() - expected) <= 2 * np.spacing(expected))
    for start, count in ((0, 1), (3, 7), (500, 17), (1000, 11)):
        assert torch.equal(square_root(x[start : start + count].clone()), square_root(x)[start : start + count])
    assert square_root(torch.tensor([math.inf], dtype=dtype)).item() == math.inf
    assert math.isnan(square_root(torch.tensor([math.nan], dtype=dtype)).item())
