"""The first wrong part of a module is named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gradients.nets import ACTIVATIONS, LOSSES, Squares, surface_of
from torch import Tensor, nn

from dlx.engine.objective import Network
from dlx.gradients.locate import BETWEEN, first_wrong_part, wrong_derivatives
from dlx.losses.cross_entropy import CrossEntropy
from dlx.priors.laplace import Laplace


def network_with(module: nn.Module, loss: Any = None) -> Network:
    network = surface_of().alone.network()
    return network._replace(module=module.double(), loss=loss or network.loss)


class Between(nn.Module):
    """Two right layers, and a detach between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)).detach())


class Broken:
    """A loss that forgets a part of its gradient."""

    name = "broken"

    def value(self, outputs: Tensor, targets: Tensor, h: Any) -> Tensor:
        return CrossEntropy().value(outputs, targets, h) + 0.1 * outputs.square().sum(-1).detach()


def test_a_wrong_layer() -> None:
    module = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), Squares(), nn.Linear(6, 4))
    assert first_wrong_part(network_with(module)) == "module 2 (Squares)"


def test_the_first_of_two() -> None:
    module = nn.Sequential(nn.Linear(5, 6), Squares(), nn.Linear(6, 6), Squares(), nn.Linear(6, 4))
    assert first_wrong_part(network_with(module)) == "module 1 (Squares)"


def test_between_the_parts() -> None:
    assert first_wrong_part(network_with(Between())) == BETWEEN


def test_the_loss() -> None:
    module = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4))
    assert first_wrong_part(network_with(module, Broken())) == "the loss `broken`"


@pytest.mark.parametrize("loss", LOSSES)
def test_right_parts_are_not_blamed(loss: str) -> None:
    network = surface_of(loss, batch_norm=True, dropout=0.2).alone.network()
    assert first_wrong_part(network) == BETWEEN


@pytest.mark.parametrize("kind", ["right", "activation", "loss", "prior"])
def test_definitions_whose_own_derivative_is_wrong(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prior = Laplace(rate=2.0)
    wrong = {"activation": ACTIVATIONS["tanh"], "loss": LOSSES["cross_entropy"], "prior": prior}.get(kind)
    if wrong is not None:
        right = type(wrong).derivative
        monkeypatch.setattr(type(wrong), "derivative", lambda *args: 1.001 * right(*args))
    surface = surface_of(activation=ACTIVATIONS["tanh"], prior=prior)
    assert wrong_derivatives(surface.alone.network(), prior) == ([] if wrong is None else [wrong])
