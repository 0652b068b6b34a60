"""What every registered activation promises."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

from dlx.core.definition import Activation
from dlx.core.registry import registered

ORACLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * stats.norm.cdf(x),
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "identity": lambda x: x,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "softplus": lambda x: np.logaddexp(0, x),
    "tanh": np.tanh,
}
SPECIAL = torch.tensor([0.0, -0.0, 1.0, -1.0, 40.0, -40.0, 1000.0, -1000.0, 1e-30], dtype=torch.float64)
ODD_SIZES = (1, 7, 17, 33, 1000, 1003)
every_activation = pytest.mark.parametrize(
    "activation", [cls() for cls in registered(Activation).values()], ids=lambda each: each.name
)


@pytest.fixture
def points(generator: torch.Generator) -> Tensor:
    return torch.cat([4 * torch.randn(500, generator=generator, dtype=torch.float64), SPECIAL])


def with_gradient(activation: Activation, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    value = activation.value(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient


@every_activation
def test_value_has_an_oracle(activation: Activation, points: Tensor) -> None:
    expected = ORACLES[activation.name](points.numpy())
    np.testing.assert_allclose(activation.value(points), expected, rtol=1e-13, atol=1e-15)


@every_activation
def test_derivative_is_autograds(activation: Activation, points: Tensor) -> None:
    _, gradient = with_gradient(activation, points)
    torch.testing.assert_close(activation.derivative(points), gradient, rtol=1e-12, atol=1e-15)


@every_activation
def test_derivative_is_the_limit_of_differences(activation: Activation, generator: torch.Generator) -> None:
    x = 2 * torch.randn(100, generator=generator, dtype=torch.float64)
    x = x[((x.abs() - 1).abs() > 1e-3) & (x.abs() > 1e-3)]  # no kink within the step
    difference = (activation.value(x + 1e-6) - activation.value(x - 1e-6)) / 2e-6
    torch.testing.assert_close(activation.derivative(x), difference, rtol=1e-7, atol=1e-9)


@every_activation
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_dtype_and_purity(activation: Activation, dtype: torch.dtype, points: Tensor) -> None:
    x = points[:24].to(dtype).reshape(2, 3, 4)
    before = x.clone()
    for result in (activation.value(x), activation.derivative(x)):
        assert result.shape == x.shape
        assert result.dtype == dtype
    assert torch.equal(x, before)
    assert all(each.isfinite().all() for each in with_gradient(activation, SPECIAL.to(dtype)))


def depends_on_number(function: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor, same_bits: Callable) -> bool:
    """Whether a part alone, as a view or as a copy at another alignment, differs in any bit from the whole."""
    whole = function(x)
    parts = [slice(start, start + size) for size in ODD_SIZES for start in range(size // 3, len(x), 2 * size + 1)]
    return not all(
        same_bits(got, want[part])
        for part in parts
        for alone in (x[part], x[part].clone())
        for got, want in zip(function(alone), whole, strict=True)
    )


@every_activation
def test_bits_do_not_depend_on_the_number_of_elements(
    activation: Activation, generator: torch.Generator, same_bits: Callable[[Tensor, Tensor], bool]
) -> None:
    x = 4 * torch.randn(3000, generator=generator)
    assert not depends_on_number(lambda part: with_gradient(activation, part), x, same_bits)


@pytest.mark.parametrize("unsafe", [torch.sigmoid, torch.nn.functional.softplus])
def test_dependence_on_the_number_is_seen(unsafe: Callable, generator: torch.Generator, same_bits: Callable) -> None:
    x = 4 * torch.randn(3000, generator=generator)
    assert depends_on_number(lambda part: (unsafe(part),), x, same_bits)


@every_activation
def test_operations_are_safe(activation: Activation, points: Tensor, only_safe_operations: Callable) -> None:
    if not activation.exact:
        pytest.skip("says of itself that it is not exact")
    with only_safe_operations():
        with_gradient(activation, points)
        activation.derivative(points)


@pytest.mark.parametrize("unsafe", [torch.sigmoid, torch.nn.functional.softplus, torch.nn.functional.silu])
def test_unsafe_operations_are_seen(unsafe: Callable, points: Tensor, only_safe_operations: Callable) -> None:
    with pytest.raises(AssertionError, match="bits depend"), only_safe_operations():
        unsafe(points)


def test_each_has_an_oracle() -> None:
    without = registered(Activation).keys() - ORACLES.keys()
    assert not without, "add an independent computation of each to ORACLES, in this file"
