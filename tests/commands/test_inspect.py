"""``dlx inspect``: numbers against closed forms, and what it must not touch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.runs import SMALL, write_config
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from torch.nn.functional import binary_cross_entropy_with_logits

from dlx.commands.inspect import inspect
from dlx.commands.plan import Plan
from dlx.config.load import load_experiment_and_data
from dlx.core.seeding import integer_seed, stream
from dlx.core.types import Examples
from dlx.datasets.two_moons import TwoMoons
from dlx.reporting.inspection import inspection_text
from dlx.tracking.files import finite

DIABETES = SMALL.replace("two_moons, num_examples: 80", "diabetes").replace("binary_cross_entropy", "mse")


def inspected(folder: Path, *overrides: str, text: str = SMALL) -> dict[str, Any]:
    return inspect(write_config(folder, text), overrides)


def plan_of(folder: Path, *overrides: str, text: str = SMALL) -> Plan:
    loaded, examples = load_experiment_and_data(write_config(folder, text), overrides)
    return Plan.make(loaded.experiment, examples)


def test_cost_of_a_small_network(tmp_path: Path) -> None:
    found = inspected(tmp_path, "seeds=3")
    assert [(each["output_shape"], each["num_parameters"]) for each in found["layers"]] == [
        ((5,), 15),
        ((5,), 0),
        ((1,), 6),
    ]
    assert (found["num_parameters"], found["batch_size"], found["num_seeds"]) == (21, 10, 3)
    forward = 2 * (2 * 5 + 5 * 1)
    assert found["flops"] == {"forward": forward, "step": 10 * (2 * forward + 2 * 5)}
    counters = 2  # adam's running products of rho1 and rho2
    assert found["memory_bytes"]["parameters"] == 4 * 21
    assert found["memory_bytes"]["optimizer_state"] == 4 * (2 * 21 + counters)
    assert found["memory_bytes"]["activations"] == 4 * 10 * (2 + 5)


def test_initial_loss_of_two_classes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "seeds=2", "training.batch_size=48")
    member = plan.members[0]
    inputs = plan.examples.inputs[member.parts.train]
    inputs = torch.from_numpy((inputs - inputs.mean(0)) / inputs.std(0)).float()
    targets = torch.from_numpy(plan.examples.targets[member.parts.train]).float()
    losses = []
    for seed in range(2):
        torch.manual_seed(integer_seed("init", seed, 0, 0))
        module = plan.recipe.model.build(plan.recipe.spec)
        losses.append(binary_cross_entropy_with_logits(module(inputs).squeeze(1), targets).item())
    found = inspected(tmp_path, "seeds=2", "training.batch_size=48")["initial_loss"]
    assert (found["mean"], found["std"]) == pytest.approx((np.mean(losses), np.std(losses, ddof=1)), rel=1e-5)
    assert found["expected"] == pytest.approx(math.log(2))
    assert found["usual"] == pytest.approx([math.log(2) / 2, 2 * math.log(2)])
    assert found["is_usual"]


@pytest.mark.parametrize(("data", "count"), [("iris", 3), ("digits", 10)])
def test_many_classes_are_expected_to_cost_their_logarithm(tmp_path: Path, data: str, count: int) -> None:
    text = f"data: {data}\nmodel: linear\nloss: cross_entropy\ndevice: cpu\n"
    assert inspected(tmp_path, text=text)["initial_loss"]["expected"] == pytest.approx(math.log(count))


def test_balanced_classes_are_expected_to_cost_the_same(tmp_path: Path) -> None:
    text = "data: breast_cancer\nmodel: linear\nloss: {name: cross_entropy, class_weights: balanced}\ndevice: cpu\n"
    assert inspected(tmp_path, text=text)["initial_loss"]["expected"] == pytest.approx(math.log(2))


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_values_are_expected_to_cost_what_their_mean_costs(tmp_path: Path, loss: str) -> None:
    overrides = ["training.batch_size=266", f"loss={loss}", "data.target_scale=none", "data.split={valid: 0.2}"]
    plan = plan_of(tmp_path, *overrides, text=DIABETES)
    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    chosen = plan.members[0].parts.train
    guess = DummyRegressor().fit(inputs[chosen], targets[chosen]).predict(inputs[chosen])
    error = np.abs(targets[chosen] - guess)
    delta = getattr(plan.recipe.loss, "delta", math.inf)
    if loss == "mse":
        expected = np.mean(error**2)
    elif loss == "mae":
        expected = np.mean(error)
    else:
        expected = np.mean(np.where(error <= delta, error**2 / 2, delta * (error - delta / 2)))
    found = inspected(tmp_path, *overrides, text=DIABETES)["initial_loss"]
    assert found["expected"] == pytest.approx(expected)
    assert not found["is_usual"], "a network begins near 0, these targets lie near 150"


def test_inputs_without_a_scale_are_suspicious(tmp_path: Path) -> None:
    text = "data: {name: wine, scale: none}\nmodel: linear\nloss: cross_entropy\ndevice: cpu\n"
    assert inspected(tmp_path, text=text)["initial_loss"]["is_usual"] is False


def test_one_batch_is_trained_by_the_rule_alone(tmp_path: Path) -> None:
    """Gradient descent on the batch, whatever prior, schedule and stopping say."""
    overrides = [
        "model=linear", "dtype=float64", "training.batch_size=30", "optimizer={name: sgd, lr: 0.1}",
        "prior={name: gaussian, precision: 100.0}", "schedule={name: linear_decay, tau: 2.0}", "training.epochs=1",
    ]  # fmt: skip
    plan = plan_of(tmp_path, *overrides, text=DIABETES)
    member = plan.members[0]
    batch = stream("order", 0, 0, 0, 1).permutation(member.parts.train)[:30]
    inputs, targets = load_diabetes(return_X_y=True, scaled=False)
    train = member.parts.train
    x = (inputs[batch] - inputs[train].mean(0)) / inputs[train].std(0)
    y = (targets[batch] - targets[train].mean()) / targets[train].std()
    torch.manual_seed(integer_seed("init", 0, 0, 0))
    weight, bias = (each.detach().double().numpy() for each in plan.recipe.model.build(plan.recipe.spec).parameters())
    w, b = weight[0].copy(), bias[0]
    losses = []
    for _ in range(500):
        error = x @ w + b - y
        losses.append(np.mean(error**2))
        w, b = w - 0.1 * 2 / 30 * x.T @ error, b - 0.1 * 2 * error.mean()
    one = inspected(tmp_path, *overrides, text=DIABETES)["one_batch"]
    assert (one["start"], one["end"]) == pytest.approx((losses[0], np.mean((x @ w + b - y) ** 2)), rel=1e-9)
    assert (one["steps"], one["is_overfitted"], one["num_diverged"]) == (500, False, 0)


def test_a_separable_batch_is_overfitted_and_the_check_ends_there(tmp_path: Path) -> None:
    one = inspected(tmp_path, "model.hidden=[64]", "seeds=2")["one_batch"]
    assert one["is_overfitted"]
    assert one["end"] <= 0.01 * one["start"]
    assert one["steps"] < 500


def test_a_rate_that_is_too_low_is_told_from_a_model_that_is_too_small(tmp_path: Path) -> None:
    slow = inspected(tmp_path, "optimizer.lr=1e-3", "model.hidden=[64]")["one_batch"]
    assert (slow["is_overfitted"], slow["is_falling"]) == (False, True)
    small = inspected(tmp_path, "model.hidden=[1]", "training.batch_size=48")["one_batch"]
    assert (small["is_overfitted"], small["is_falling"]) == (False, False)


def test_divergence_is_an_answer(tmp_path: Path) -> None:
    one = inspected(tmp_path, "optimizer={name: sgd, lr: 1e6}", "seeds=3", text=DIABETES)["one_batch"]
    assert one["num_diverged"] == 3
    assert not one["is_overfitted"]
    assert one["steps"] < 500


def test_many_seeds_are_not_all_tried(tmp_path: Path) -> None:
    found = inspected(tmp_path, "seeds=1000")
    assert (found["num_seeds"], found["initial_loss"]["num_seeds"], found["one_batch"]["num_seeds"]) == (1000, 10, 10)


def test_the_test_part_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, before = plan_of(tmp_path), inspected(tmp_path)
    inputs, targets = plan.examples.inputs.copy(), plan.examples.targets.copy()
    inputs[plan.members[0].parts.test] = 1e6
    changed = Examples(inputs, targets, "classification", plan.examples.feature_names, plan.examples.target_names)
    monkeypatch.setattr(TwoMoons, "load", lambda _: changed)
    assert inspected(tmp_path) == before
    inputs[plan.members[0].parts.train] *= 2 + np.arange(48)[:, None]
    assert inspected(tmp_path) != before, "the training part is read"


def test_values_beyond_the_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = plan_of(tmp_path).examples
    huge = Examples(examples.inputs * 1e200, examples.targets, "classification", ("a", "b"), ("0", "1"))
    monkeypatch.setattr(TwoMoons, "load", lambda _: huge)
    found = inspected(tmp_path, "data.scale=none", "seeds=2")
    assert (found["initial_loss"]["mean"], found["initial_loss"]["is_usual"]) == (None, None)
    assert (found["one_batch"]["num_diverged"], found["one_batch"]["is_overfitted"]) == (2, False)
    assert "suspicious: it is not finite" in inspection_text(finite(found))


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inspected(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]
