"""The first wrong part of a module is named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gradients.nets import LOSSES, Squares, surface_of
from torch import Tensor, nn

from dlx.engine.objective import Network
from dlx.gradients.locate import BETWEEN, first_wrong_part
from dlx.losses.cross_entropy import CrossEntropy


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
