"""Backprop by hand and products of Jacobians against autograd: every activation, every loss, every kind of layer."""

from __future__ import annotations

import itertools

import pytest
import torch
from gradients.nets import ACTIVATIONS, LOSSES, named, reference_of, surface_of
from torch import nn

from dlx.core.errors import UsageError
from dlx.engine.cross_section import CrossSection
from dlx.engine.error_surface import collect
from dlx.gradients import jacobians
from dlx.gradients.backprop import Backprop, Layer, is_by_hand, normalised
from dlx.gradients.check import check, worst_verdict
from dlx.gradients.jacobians import by_jacobians, layer_jacobian
from dlx.models.activations import Pointwise
from dlx.models.batch_norm import BatchNorm
from dlx.models.dense import Dense
from dlx.models.dropout import Dropout
from dlx.models.linear import Linear
from dlx.priors.gaussian import Gaussian
from dlx.priors.laplace import Laplace

CASES = {
    **{f"activation {name}": {"activation": each} for name, each in ACTIVATIONS.items()},
    **{f"loss {name}": {"loss": each} for name, each in LOSSES.items()},
    "smoothing and weights": {
        "loss": LOSSES["cross_entropy"].model_copy(
            update={"label_smoothing": 0.1, "class_weights": (1.0, 2.0, 0.5, 3.0)}
        )
    },
    "batch norm": {"batch_norm": True},
    "dropout": {"dropout": 0.4},
    "both, and a prior": {"batch_norm": True, "dropout": 0.4, "prior": Laplace(rate=2.0)},
    "gaussian prior": {"prior": Gaussian(precision=5.0)},
    "mixed, square, deep": {"hidden": (5, 5, 5), "activation": tuple(map(ACTIVATIONS.get, ("tanh", "gelu", "relu")))},
    "linear": {"model": Linear()},
    "no hidden layer": {"hidden": ()},
}


@pytest.mark.parametrize("case", CASES)
def test_three_ways_to_one_gradient(case: str) -> None:
    surface = surface_of(**CASES[case])
    network = surface.alone.network()
    wanted = named(surface, surface.gradient(surface.theta)[1])
    assert is_by_hand(network.module)
    products = by_jacobians(network)
    assert products is not None
    for found in (Backprop(network).gradient(), products):
        assert list(found) == list(wanted)
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, wanted[name], rtol=1e-11, atol=1e-15)


def test_the_batch_gradient_is_the_mean_over_examples() -> None:
    network = surface_of(activation=ACTIVATIONS["tanh"]).alone.network()
    whole = Backprop(network).gradient()
    singles = []
    for number in range(len(network.inputs)):
        one = slice(number, number + 1)
        alone = network._replace(
            inputs=network.inputs[one], targets=network.targets[one], weights=torch.ones(1).double()
        )
        singles.append(Backprop(alone).gradient())
    for name, gradient in whole.items():
        mean = torch.stack([each[name] for each in singles]).mean(0)
        torch.testing.assert_close(gradient, mean, rtol=1e-12, atol=1e-16)


def test_dropout_drops_something() -> None:
    """The mask is there, and backprop by hand without it is another gradient."""
    network = surface_of(dropout=0.4).alone.network()
    module = next(each for each in network.module if isinstance(each, Dropout))
    mask = module(torch.ones(8, 6, dtype=torch.float64))
    assert 0 < int((mask == 0).sum()) < mask.numel()


def test_modules_that_hands_do_not_know() -> None:
    assert not is_by_hand(nn.Sequential(nn.Conv1d(1, 1, 1)))
    assert not is_by_hand(nn.Sequential(Dense(2, 2), nn.Softmax(-1)))

    class Own(nn.Sequential):
        """It may do anything in its forward."""

    assert not is_by_hand(Own(Dense(2, 2)))


LAYERS = {
    "dense": Dense(4, 3, dtype=torch.float64),
    "pointwise": Pointwise(ACTIVATIONS["gelu"]),
    "batch_norm": BatchNorm(4, torch.float64),
    "dropout": Dropout(0.3, torch.float64),
}


@pytest.mark.parametrize(("name", "mixes"), itertools.product(LAYERS, [False, True]))
def test_a_layers_jacobian_is_torchs(name: str, mixes: bool) -> None:
    layer = LAYERS[name].train()
    x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    weights = torch.full((5,), 0.2, dtype=torch.float64)
    if name == "batch_norm" and not mixes:
        pytest.skip("batch norm mixes the examples")
    found = layer_jacobian(Layer(name, layer, x), weights, mixes)
    whole = torch.autograd.functional.jacobian(lambda at: layer(at).reshape(-1), x).reshape(-1, x.numel())
    if mixes:
        torch.testing.assert_close(found[0], whole.detach())
    else:
        width = whole.shape[0] // 5
        blocks = torch.stack([whole[n * width : (n + 1) * width, n * 4 : (n + 1) * 4] for n in range(5)])
        torch.testing.assert_close(found, blocks.detach())


def test_normalised_inputs_have_mean_0_and_variance_1() -> None:
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4)) * 5 + 2
    found, _ = normalised(x, torch.full((6,), 1 / 6, dtype=torch.float64))
    torch.testing.assert_close(found.mean(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(found.var(0, correction=0), torch.ones(3).double(), atol=1e-4, rtol=0)


def test_jacobians_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    network = surface_of().alone.network()
    monkeypatch.setattr(jacobians, "MAX_SIDE", 5)
    assert by_jacobians(network) is None


class Shared:
    """Makes a model that has one layer twice, and one that does not move."""

    @staticmethod
    def activation() -> nn.Module:
        act = Pointwise(ACTIVATIONS["tanh"])
        layers = [Dense(5, 6), act, Dense(6, 6), act, Dense(6, 4)]
        return nn.Sequential(*layers).double()

    @staticmethod
    def weights() -> nn.Module:
        twice = Dense(5, 5)
        return nn.Sequential(twice, Pointwise(ACTIVATIONS["tanh"]), twice, Dense(5, 4)).double()

    @staticmethod
    def frozen() -> nn.Module:
        module = nn.Sequential(Dense(5, 6), Pointwise(ACTIVATIONS["tanh"]), Dense(6, 4)).double()
        module[0].weight.requires_grad_(False)
        return module


def test_layers_that_share_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Linear, "build", lambda self, spec: Shared.weights())
    with pytest.raises(UsageError, match="uses a parameter in two places"):
        surface_of(model=Linear())


@pytest.mark.parametrize("kind", ["activation", "frozen"])
def test_layers_that_stand_twice_or_do_not_move(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Linear, "build", lambda self, spec: getattr(Shared, kind)())
    surface = surface_of(model=Linear())
    network = surface.alone.network()
    assert is_by_hand(network.module) == (kind == "activation")
    moving = {name: each for name, each in network.module.named_parameters() if each.requires_grad}
    losses = torch.nn.functional.cross_entropy(network.module(network.inputs), network.targets)
    wanted = dict(zip(moving, torch.autograd.grad(losses, list(moving.values())), strict=True))
    found = named(surface, surface.gradient(surface.theta)[1])
    assert list(found) == list(wanted)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name])
    if kind == "activation":
        for name, gradient in Backprop(network).gradient().items():
            torch.testing.assert_close(gradient, wanted[name])
    assert worst_verdict(check(found, reference_of(surface), 8)) == "ok"
    whole = surface.theta + 0.1
    direction = torch.ones(1, len(whole), dtype=torch.float64)
    points = torch.tensor([[0.1], [0.0]], dtype=torch.float64)
    section = collect(CrossSection(surface, surface.theta, direction).evaluate(points), 2)
    assert float(section[0]) == pytest.approx(surface.value(whole), rel=1e-12)
