"""Planted faults: each is caught, in the right tensor, or is without effect for a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from gradients.nets import ACTIVATIONS, BATCH, named, reference_of, surface_of, without_prior

from dlx.gradients.faults import autograd_gradient, planted
from dlx.gradients.penalty import penalty_reference
from dlx.gradients.reference import with_penalty
from dlx.gradients.self_test import sensitivity, try_faults
from dlx.models.linear import Linear
from dlx.priors.gaussian import Gaussian

EVERY = {
    "hidden": (5, 5, 5),
    "activation": tuple(ACTIVATIONS[name] for name in ("tanh", "relu", "softplus")),
    "dropout": 0.3,
    "batch_norm": True,
    "prior": Gaussian(precision=3.0),
}
CASES = {
    "tanh": ({"activation": ACTIVATIONS["tanh"]}, set()),
    "relu": ({"activation": ACTIVATIONS["relu"]}, {"activation: its derivative is taken at its output"}),
    "sigmoid and mse": ({"activation": ACTIVATIONS["sigmoid"], "loss": "mse"}, set()),
    "linear": ({"model": Linear(), "loss": "huber"}, set()),
    "everything": (
        EVERY,
        {"first bias: the sign is wrong", "first bias: it is not computed", "layer 8, bias: None",
         "layer 8, bias: the mean instead of the sum"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_fault_is_caught_in_the_right_tensor(case: str) -> None:
    settings, without_effect = CASES[case]
    surface = surface_of(**settings)
    network = surface.alone.network()
    reference = reference_of(without_prior(surface))
    if "prior" in settings:
        reference = with_penalty(reference, penalty_reference(network, reference))
    right = named(surface, surface.gradient(surface.theta)[1])
    trials = try_faults(network, right, reference)
    assert {trial.name for trial in trials if trial.outcome == "no effect"} == without_effect
    assert [trial for trial in trials if trial.outcome == "missed"] == []
    assert len(trials) >= 12
    assert {trial.place for trial in trials} == {"backprop by hand", "autograd function"}


def test_the_faults_are_there() -> None:
    """Each fault that the wish list names is planted where there is room for it."""
    names = " ".join(fault.name for fault in planted(surface_of(**EVERY).alone.network()))
    for words in (
        "target is not subtracted", "instead of the mean", "mean over examples of a mean", "taken at its output",
        "derivative is forgotten", "slope 0.01", "sign is wrong", "not computed", "last example is left out",
        "twice its derivative", "times 1.1", "times 1 + 0.001", "times 1 + 1e-06", "transposed", "detached", "mask",
        "taken for constants",
    ):  # fmt: skip
        assert words in names, words


def test_a_fault_that_is_missed_is_told() -> None:
    """With a reference that compares nothing the self-test must fail, and with one that is blind it must say so."""
    surface = surface_of(activation=ACTIVATIONS["tanh"])
    right, network = named(surface, surface.gradient(surface.theta)[1]), surface.alone.network()
    for change, outcome in (
        ({"crossed": torch.ones_like}, "missed"),
        ({"allowed": lambda each: torch.full_like(each, 1e9)}, "below rounding"),
    ):
        blind = {
            name: replace(each, **{key: make(getattr(each, key)) for key, make in change.items()})
            for name, each in reference_of(surface).items()
        }
        assert {trial.outcome for trial in try_faults(network, right, blind)} == {outcome}
        assert set(sensitivity(right, blind, BATCH).values()) == {None}


def test_a_fault_that_one_tensor_hides_in_rounding_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directions see it in the others, and no entry that is compared shows it: there is nothing to miss."""
    monkeypatch.setattr("dlx.gradients.reference.MAX_ENTRIES", 10)
    surface = surface_of(activation=ACTIVATIONS["tanh"])
    right, network = named(surface, surface.gradient(surface.theta)[1]), surface.alone.network()
    dull = {
        name: replace(each, allowed=torch.full_like(each.allowed, 1e9)) for name, each in reference_of(surface).items()
    }
    along = dull["0.bias"].along
    assert along is not None
    dull["0.bias"] = replace(dull["0.bias"], along=replace(along, floor=torch.full_like(along.floor, 1e9)))
    outcomes = {trial.name: trial.outcome for trial in try_faults(network, right, dull)}
    assert outcomes["loss: its derivative has the wrong sign"] == "below rounding"
    assert "missed" not in outcomes.values()
    sharp = {**dull, "0.bias": replace(dull["0.bias"], allowed=reference_of(surface)["0.bias"].allowed, along=None)}
    sharp["0.bias"] = replace(sharp["0.bias"], crossed=torch.ones_like(sharp["0.bias"].crossed))
    assert {trial.outcome for trial in try_faults(network, right, sharp)} >= {"missed"}


def test_the_sensitivity_is_where_the_verdict_turns() -> None:
    surface = surface_of(activation=ACTIVATIONS["tanh"])
    right, reference = named(surface, surface.gradient(surface.theta)[1]), reference_of(surface)
    found = sensitivity(right, reference, BATCH)
    assert set(found) == set(right)
    for least in found.values():
        assert least is not None
        assert 1e-7 < least < 1e-5


def test_a_plain_loop_gives_the_same_gradient() -> None:
    surface = surface_of(prior=Gaussian(precision=3.0), batch_norm=True, dropout=0.3)
    wanted = named(surface, surface.gradient(surface.theta)[1])
    for name, gradient in autograd_gradient(surface.alone.network()).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-10, atol=1e-15)
