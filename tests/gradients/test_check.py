"""The verdict on a gradient: no false alarm for right ones, a name for wrong ones."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gradients.nets import ACTIVATIONS, BATCH, LOSSES, named, reference_of, surface_of

from dlx.gradients.check import check, check_tensor, name_factor, worst_verdict
from dlx.gradients.reference import TensorReference

NETS = 200


def test_no_false_alarm_on_random_nets() -> None:
    """Every activation and every loss, in shapes, sizes and mixtures drawn at random; none is even suspicious."""
    random = np.random.default_rng(0)
    seen, num_tensors, worst = set(), 0, 0.0
    for number in range(NETS):
        names = list(ACTIVATIONS)
        depth = int(random.integers(1, 4))
        # Each in its turn, so that none is left out, and others drawn beside it.
        chosen = [names[number % len(names)], *random.choice(names, depth - 1)]
        loss = list(LOSSES)[(number // len(names)) % len(LOSSES)]
        surface = surface_of(
            loss,
            seed=number,
            hidden=tuple(int(width) for width in random.integers(2, 9, depth)),
            activation=tuple(ACTIVATIONS[name] for name in chosen),
            batch_norm=bool(random.random() < 0.2),
            dropout=float(random.choice([0.0, 0.3])),
            init=str(random.choice(["torch", "xavier", "he"])),
        )
        seen |= {*chosen, loss}
        gradient = named(surface, surface.gradient(surface.theta)[1])
        found = check(gradient, reference_of(surface), BATCH)
        num_tensors += len(found)
        worst = max(worst, *(each.relative_error or 0.0 for each in found))
        assert worst_verdict(found) in ("ok", "unverified"), (number, chosen, loss, found)
    assert seen == {*ACTIVATIONS, *LOSSES}
    assert num_tensors > 2 * NETS


@pytest.fixture(scope="module")
def tanh() -> tuple[dict[str, torch.Tensor], dict[str, TensorReference]]:
    surface = surface_of(activation=ACTIVATIONS["tanh"])
    return named(surface, surface.gradient(surface.theta)[1]), dict(reference_of(surface))


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (2.0, "a factor 2 too many"),
        (0.5, "a factor 2 is missing"),
        (-1.0, "the sign is wrong"),
        (0.0, "it is not computed"),
        (float(BATCH), "a sum where there should be a mean"),
        (1 / BATCH, "a mean taken twice"),
        (1.37, "1.37 times the difference: a wrong constant factor"),
        (1.0001, "1 + 0.0001 times: nearly right, and off by a constant factor"),
        (0.9998, "1 - 0.0002 times"),
    ],
)
def test_factors_are_named(tanh, factor: float, words: str) -> None:
    right, reference = tanh
    found = check_tensor("w", right["0.weight"] * factor, reference["0.weight"], BATCH)
    assert found.verdict == "wrong"
    assert words in (found.meaning or "")
    assert found.worst is not None
    assert found.worst[3] == pytest.approx(factor, abs=1e-6)


def test_a_small_error_that_is_no_factor(tanh) -> None:
    right, reference = tanh
    noise = torch.randn(right["0.weight"].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = check_tensor("w", right["0.weight"] * (1 + 1e-5 * noise), reference["0.weight"], BATCH)
    assert found.verdict in ("suspicious", "wrong")
    assert "by no constant factor" in (found.meaning or "")


def test_what_rounding_explains_is_ok_and_told(tanh) -> None:
    right, reference = tanh
    wide = replace(reference["0.weight"], allowed=torch.full_like(reference["0.weight"].allowed, 1e-6))
    for scale, is_rounding in ((1e-6, True), (0.0, False)):
        found = check_tensor("w", right["0.weight"] * (1 + scale), wide, BATCH)
        assert found.verdict == "ok"
        assert found.is_rounding is is_rounding
    assert not check_tensor("w", 2 * right["0.weight"], wide, BATCH).is_rounding


def test_a_single_wrong_entry_is_found_and_shown(tanh) -> None:
    right, reference = tanh
    wrong = right["0.weight"].clone()
    wrong[3, 2] *= -1
    found = check_tensor("w", wrong, reference["0.weight"], BATCH)
    assert found.verdict == "wrong"
    assert found.worst is not None
    assert found.worst[0] == (3, 2)
    assert "worst entry: -1 times" in (found.meaning or "")


@pytest.mark.parametrize(("scale", "verdict"), [(1e-9, "ok"), (1e-6, "suspicious"), (1e-3, "wrong")])
def test_how_large_an_error_is_wrong(tanh, scale: float, verdict: str) -> None:
    right, reference = tanh
    assert check_tensor("w", right["0.weight"] * (1 + scale), reference["0.weight"], BATCH).verdict == verdict


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_is_wrong(tanh, bad: float) -> None:
    right, reference = tanh
    wrong = right["0.bias"].clone()
    wrong[1] = bad
    found = check_tensor("b", wrong, reference["0.bias"], BATCH)
    assert found.verdict == "wrong"
    assert "not finite" in (found.meaning or "")


def test_small_gradients_are_checked_too() -> None:
    """torch's own check lets a factor of two pass where gradients are small."""
    surface = surface_of("mse", activation=ACTIVATIONS["tanh"])
    surface.theta[:-2] *= 1e-3
    right, reference = named(surface, surface.gradient(surface.theta)[1]), reference_of(surface)
    assert float(right["0.weight"].abs().max()) < 1e-4
    assert worst_verdict(check(right, reference, BATCH)) == "ok"
    twice = {**right, "0.weight": 2 * right["0.weight"]}
    assert [each.name for each in check(twice, reference, BATCH) if each.verdict == "wrong"] == ["0.weight"]


def test_zero_against_zero_is_right() -> None:
    """A bias in front of batch norm has no gradient but rounding."""
    surface = surface_of(batch_norm=True, activation=ACTIVATIONS["tanh"])
    found = {
        each.name: each
        for each in check(named(surface, surface.gradient(surface.theta)[1]), reference_of(surface), BATCH)
    }
    assert found["0.bias"].verdict == "ok"
    assert found["0.bias"].relative_error is None
    assert found["0.bias"].num_zero == 6


def test_what_kinks_hide_is_not_verified() -> None:
    surface = surface_of(init="zeros", activation=ACTIVATIONS["relu"])
    found = check(named(surface, surface.gradient(surface.theta)[1]), reference_of(surface), BATCH)
    assert {each.name: each.verdict for each in found}["0.bias"] == "unverified"
    assert worst_verdict(found) == "unverified"


def test_directions_find_what_a_sample_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.gradients.reference.MAX_ENTRIES", 10)
    surface = surface_of(hidden=(60,), activation=ACTIVATIONS["tanh"])
    right, reference = named(surface, surface.gradient(surface.theta)[1]), reference_of(surface)
    assert worst_verdict(check(right, reference, BATCH)) == "ok"
    flat = right["0.weight"].reshape(-1)
    unseen = [entry for entry in range(len(flat)) if entry not in reference["0.weight"].entries.tolist()]
    middle = sorted(unseen, key=lambda entry: float(flat[entry].abs()))[len(unseen) // 2]
    wrong = flat.clone()
    wrong[middle] *= 1.1
    found = check_tensor("w", wrong.view_as(right["0.weight"]), reference["0.weight"], BATCH)
    assert found.verdict == "wrong"


def test_names_of_factors() -> None:
    assert name_factor(1.0, 1) is None
    assert name_factor(1.7, 8) is None
    assert "-1 times" in str(name_factor(-1.0, 1))
