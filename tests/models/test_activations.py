"""What is particular to single activations."""

import pytest
import torch
from scipy import special

from dlx.core.definition import Activation
from dlx.core.registry import registered
from dlx.models.activations import HardTanh, Pointwise, ReLU, Sigmoid, Softplus, Tanh


@pytest.mark.parametrize("activation", [HardTanh(), ReLU()])
def test_kinks_have_derivative_0(activation: Activation) -> None:
    kinks = torch.tensor([0.0] if activation.name == "relu" else [-1.0, 1.0])
    assert activation.derivative(kinks).tolist() == [0.0] * len(kinks)


def test_softplus_is_exact_where_it_is_small() -> None:
    x = torch.tensor([-700.0, -40.0], dtype=torch.float64)
    torch.testing.assert_close(Softplus().value(x), x.exp(), rtol=1e-14, atol=0)


def test_softplus_is_the_integral_of_sigmoid() -> None:
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    torch.testing.assert_close(Softplus().derivative(x), Sigmoid().value(x), rtol=0, atol=0)


def test_sigmoid_stays_in_the_unit_interval() -> None:
    x = torch.linspace(-100, 100, 2001)
    value = Sigmoid().value(x)
    assert ((value >= 0) & (value <= 1)).all()
    torch.testing.assert_close(value.double(), torch.from_numpy(special.expit(x.double().numpy())), rtol=0, atol=1e-7)


@pytest.mark.parametrize("activation", [Sigmoid(), Tanh()])
def test_symmetry(activation: Activation) -> None:
    x = torch.linspace(0, 20, 101, dtype=torch.float64)
    total = activation.value(x) + activation.value(-x)
    torch.testing.assert_close(total, torch.full_like(x, float(activation.name == "sigmoid")), rtol=0, atol=1e-15)


@pytest.mark.parametrize("activation", [cls() for cls in registered(Activation).values()], ids=lambda each: each.name)
def test_layer_applies_it_and_has_no_parameters(activation: Activation) -> None:
    layer, x = Pointwise(activation), torch.linspace(-2, 2, 9)
    assert torch.equal(layer(x), activation.value(x))
    assert not list(layer.parameters())
    assert activation.name in repr(layer)
