"""Central differences against closed forms, at kinks, and their error against the step."""

from __future__ import annotations

import math

import pytest
import torch
from gradients.nets import ACTIVATIONS, named, reference_of, surface_of, without_prior

from dlx.engine.error_surface import ErrorSurface
from dlx.gradients import reference as reference_module
from dlx.gradients.check import TENSOR_BOUNDS, check_tensor
from dlx.gradients.differences import EPS, STEP, along_axes, along_directions, finish, steps_of
from dlx.gradients.penalty import penalty_reference
from dlx.gradients.reference import with_penalty
from dlx.gradients.v_curve import slopes, v_curve
from dlx.models.linear import Linear
from dlx.priors.gaussian import Gaussian
from dlx.priors.laplace import Laplace


def all_columns(surface: ErrorSurface) -> torch.Tensor:
    return torch.arange(len(surface.theta))


def test_least_squares_has_a_closed_form() -> None:
    surface = surface_of("mse", model=Linear())
    network = surface.alone.network()
    errors = network.inputs @ network.module.weight.T + network.module.bias - network.targets
    wanted = torch.cat([(errors.T @ network.inputs).reshape(-1), errors.sum(0)]).detach() * 2 / errors.numel()
    for step in (1e-1, STEP):  # of a parabola every central difference is exact
        found = finish(along_axes(surface, all_columns(surface), torch.full_like(surface.theta, step)))
        torch.testing.assert_close(found.values, wanted, rtol=0, atol=20 * EPS / step)
        assert not found.crossed.any()


def test_error_falls_with_the_square_of_the_step() -> None:
    surface = surface_of(activation=ACTIVATIONS["tanh"])
    _, gradient = surface.gradient(surface.theta)
    errors = []
    for step in (1e-2, 1e-3):
        found = finish(along_axes(surface, all_columns(surface), torch.full_like(gradient, step)))
        errors.append(float((found.values - gradient).norm()))
    assert math.log10(errors[0] / errors[1]) == pytest.approx(2, abs=0.05)


def test_directions_give_the_directional_derivative() -> None:
    surface = surface_of(activation=ACTIVATIONS["tanh"])
    _, gradient = surface.gradient(surface.theta)
    directions = torch.randn(5, len(gradient), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    directions /= directions.norm(dim=1, keepdim=True)
    found = finish(along_directions(surface, directions, torch.full((5,), STEP, dtype=torch.float64)))
    torch.testing.assert_close(found.values, directions @ gradient, rtol=0, atol=1e-9)


def test_steps_grow_with_the_parameter() -> None:
    assert steps_of(torch.tensor([0.1, -1.0, -30.0])).tolist() == pytest.approx([STEP, STEP, 30 * STEP])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "hardtanh", "elu"])
def test_a_kink_is_seen_and_not_blamed(activation: str) -> None:
    """A unit whose bias cancels its inputs for one example sits at the kink exactly: half of a difference is wrong."""
    surface = surface_of(activation=ACTIVATIONS[activation], hidden=(6,))
    weight, bias = named(surface, surface.theta)["0.weight"], named(surface, surface.theta)["0.bias"]
    x = surface.alone.network().inputs[0]
    bias[2] = (1.0 if activation == "hardtanh" else 0.0) - weight[2] @ x
    found = finish(along_axes(surface, all_columns(surface), steps_of(surface.theta)))
    crossed = named(surface, found.crossed)
    assert crossed["0.bias"].tolist() == [False, False, True, False, False, False]
    assert crossed["0.weight"][2].all()
    assert not crossed["2.weight"].any()
    assert not crossed["2.bias"].any()


@pytest.mark.parametrize("step", [1e-2, STEP])
def test_a_jump_of_the_second_derivative_spoils_a_difference_too(step: float) -> None:
    """Why elu with alpha 1 counts as kinked at 0: its slope is 1 there, but a difference is off by a quarter step."""
    elu, h = ACTIVATIONS["elu"], torch.tensor(step, dtype=torch.float64)
    difference = (elu.value(h) - elu.value(-h)) / (2 * h)
    assert float(elu.derivative(torch.zeros(1))) == 1
    assert float(1 - difference) == pytest.approx(step / 4, rel=step)
    assert step / 4 > TENSOR_BOUNDS[0]


@pytest.mark.parametrize("prior", [None, Laplace(rate=4.0)])
def test_a_curve_over_fewer_entries_where_networks_run_one_by_one(
    monkeypatch: pytest.MonkeyPatch, prior: Laplace | None
) -> None:
    surface = surface_of(hidden=(20,), activation=ACTIVATIONS["tanh"], prior=prior)
    lone = without_prior(surface)
    _, gradient = lone.gradient(lone.theta)
    layered = finish(v_curve(lone, gradient))
    assert layered.num_entries == 200
    monkeypatch.setattr("dlx.gradients.v_curve.LayeredNetwork.of", lambda surface: None)
    monkeypatch.setattr("dlx.gradients.v_curve.STACKED_NUMBERS", 50 * len(gradient))
    assert finish(v_curve(lone, gradient)).num_entries == 50
    monkeypatch.setattr(ErrorSurface, "is_stackable", False)
    few = finish(v_curve(lone, gradient))
    assert few.num_entries == 20
    for curve in (layered, few):
        assert curve.truncation_slope == pytest.approx(2, abs=0.1)


def test_a_kink_of_the_loss_is_seen() -> None:
    surface = surface_of("mae", model=Linear())
    network = surface.alone.network()
    theta = named(surface, surface.theta)
    theta["bias"][1] = network.targets[3, 1] - theta["weight"][1] @ network.inputs[3]
    found = named(surface, finish(along_axes(surface, all_columns(surface), steps_of(surface.theta))).crossed)
    assert found["bias"].tolist() == [False, True]


def test_a_smaller_step_gets_away_from_a_near_kink() -> None:
    surface = surface_of(activation=ACTIVATIONS["relu"], hidden=(6,))
    weight, bias = named(surface, surface.theta)["0.weight"], named(surface, surface.theta)["0.bias"]
    x = surface.alone.network().inputs[0]
    bias[2] = STEP / 4 - weight[2] @ x
    first = finish(along_axes(surface, all_columns(surface), steps_of(surface.theta)))
    assert named(surface, first.crossed)["0.bias"][2]
    again = reference_of(surface)["0.bias"]
    assert not again.crossed.any()
    right = named(surface, surface.gradient(surface.theta)[1])["0.bias"]
    assert ((again.values - right).abs() <= again.allowed).all()


@pytest.mark.parametrize("prior", [Gaussian(precision=4.0), Laplace(rate=4.0)])
def test_the_prior_has_differences_of_its_own(prior: Gaussian | Laplace) -> None:
    surface = surface_of(prior=prior)
    theta = named(surface, surface.theta)
    theta["0.weight"][1, 2] = 0.0
    alone = without_prior(surface)
    of_loss = reference_of(alone)
    of_prior = penalty_reference(surface.alone.network(), of_loss)
    num_train = len(surface._member.parts.train)
    for name, each in of_prior.items():
        if name.endswith("bias"):
            wanted = torch.zeros_like(each.values)
        else:
            w = theta[name].reshape(-1)
            wanted = 4.0 / num_train * (w if isinstance(prior, Gaussian) else w.sign())
        torch.testing.assert_close(each.values, wanted, rtol=1e-9, atol=1e-9)
        assert int(each.crossed.sum()) == (name == "0.weight" and isinstance(prior, Laplace))
    whole = with_penalty(of_loss, of_prior)
    right = named(surface, surface.gradient(surface.theta)[1])
    for name, each in whole.items():
        kept = ~each.crossed
        torch.testing.assert_close(each.values[kept], right[name].reshape(-1)[kept], rtol=0, atol=1e-8)


@pytest.mark.parametrize("strength", [1e-8, 4.0])
def test_a_weak_prior_is_judged_by_its_own_size(strength: float) -> None:
    surface = surface_of(prior=Gaussian(precision=strength))
    of_prior = penalty_reference(surface.alone.network(), reference_of(without_prior(surface)))
    num_train = len(surface._member.parts.train)
    right = {name: each * strength / num_train for name, each in named(surface, surface.theta).items()}
    weights = [name for name in right if name.endswith("weight")]
    for name in weights:
        assert check_tensor(name, right[name], of_prior[name], 8).verdict == "ok"
        assert check_tensor(name, 2 * right[name], of_prior[name], 8).verdict == "wrong"


def test_a_prior_has_no_kinks_on_biases_and_none_along_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_module, "MAX_ENTRIES", 10)
    surface = surface_of(hidden=(40,), prior=Laplace(rate=4.0), init="he", activation=ACTIVATIONS["tanh"])
    surface.theta[::3] *= 1e-7  # many weights that a direction takes across 0
    of_prior = penalty_reference(surface.alone.network(), reference_of(without_prior(surface)))
    assert not any(each.crossed.any() for name, each in of_prior.items() if name.endswith("bias"))
    along = of_prior["0.weight"].along
    assert along is not None
    assert along.crossed.all()


def test_large_models_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_module, "MAX_ENTRIES", 10)
    surface = surface_of(hidden=(40,), prior=Gaussian(precision=4.0), activation=ACTIVATIONS["tanh"])
    found = reference_of(surface)
    right = named(surface, surface.gradient(surface.theta)[1])
    for name, each in found.items():
        assert len(each.entries) <= 20
        assert int(right[name].abs().argmax()) in each.entries.tolist()
        assert each.along is not None
        torch.testing.assert_close(each.directions.norm(dim=1), torch.ones(4, dtype=torch.float64))
        torch.testing.assert_close(each.along.values, each.directions @ right[name].reshape(-1), rtol=0, atol=1e-8)
    network = surface.alone.network()
    of_loss = reference_of(without_prior(surface))
    whole = with_penalty(of_loss, penalty_reference(network, of_loss))
    for name, each in whole.items():
        assert each.along is not None
        torch.testing.assert_close(each.along.values, each.directions @ right[name].reshape(-1), rtol=0, atol=1e-8)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_curve_is_a_v(activation: str) -> None:
    surface = surface_of(activation=ACTIVATIONS[activation], seed=3)
    curve = finish(v_curve(surface, surface.gradient(surface.theta)[1]))
    assert curve.rounding_slope == pytest.approx(-1, abs=0.2)
    if activation == "tanh":
        assert curve.truncation_slope == pytest.approx(2, abs=0.1)
        assert set(curve.shares) == {1.0}
    else:
        assert curve.shares[0] < 1
    errors = [error for error in curve.errors if error is not None]
    near = min(range(len(curve.steps)), key=lambda n: abs(math.log(curve.steps[n] / curve.chosen)))
    assert curve.errors[near] is not None
    assert curve.errors[near] < 30 * min(errors)


def test_slopes_of_lines() -> None:
    steps = [10.0**-n for n in range(1, 12)]
    v = [max(step**2, 1e-13 / step) for step in steps]
    assert slopes(steps, v) == (pytest.approx(2), pytest.approx(-1))
    assert slopes(steps, [None] * 11) == (None, None)
    assert slopes(steps, [1e-13 / step for step in steps])[0] is None
