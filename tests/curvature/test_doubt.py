"""A gradient that does not fit its function is doubted, one that does never is."""

from __future__ import annotations

import pytest
import torch
from curvature.functions import Form, at
from gradients.nets import ACTIVATIONS, LOSSES, surface_of
from torch import Tensor

from dlx.core.registry import registered
from dlx.core.surface import Surface
from dlx.curvature.doubt import doubt_gradient
from dlx.engine.error_surface import PointFunction


def doubted(function: PointFunction, change: Tensor | float = 1.0, seed: int = 0) -> bool:
    value, gradient = function.gradient(function.theta)
    return doubt_gradient(function, value, gradient * change, seed) is not None


@pytest.mark.parametrize("name", registered(Surface))
def test_surfaces_are_believed(name: str) -> None:
    surface = registered(Surface)[name]()
    points = [surface.start, *(surface.minima.points if surface.minima else ())]
    assert not any(doubted(at(surface, *point)) for point in points)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_networks_are_believed(loss: str, activation: str) -> None:
    for seed in range(3):
        assert not doubted(surface_of(loss, seed=seed, activation=ACTIVATIONS[activation], hidden=(20,)), seed=seed)


@pytest.mark.parametrize("factor", [2.0, 0.99, -1.0, 0.0])
def test_a_wrong_length_is_doubted(factor: float) -> None:
    assert doubted(surface_of(hidden=(20,)), factor)


@pytest.mark.parametrize("seed", range(5))
def test_a_tensor_that_is_not_computed_is_doubted(seed: int) -> None:
    surface = surface_of(hidden=(20,), seed=seed)
    mask = torch.ones(len(surface.theta), dtype=torch.float64)
    mask[-4:] = 0  # the biases of the outputs
    assert doubted(surface, mask, seed)


def test_what_is_said_and_measured() -> None:
    """Of a parabola every central difference is exact."""
    form = Form(torch.tensor([1.0, 10.0]), torch.ones(2))
    value, gradient = form.gradient(form.theta)
    found = doubt_gradient(form, value, 3 * gradient, 0)
    assert found is not None
    assert found.said == pytest.approx(3 * found.measured, rel=1e-6)
