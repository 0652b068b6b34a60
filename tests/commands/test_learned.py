"""learned.json: what the best weights predict, against the weights in a plain torch module and scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.runs import SMALL, begin, finish, small_run, write_config
from safetensors.torch import load_file
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix
from torch.nn import Linear, ReLU, Sequential

from dlx.commands import learned as module
from dlx.commands.plan import Plan
from dlx.commands.train import train
from dlx.config.load import load_experiment_and_data
from dlx.core.errors import DivergedError, PartlyDivergedError
from dlx.core.types import Examples
from dlx.datasets.diabetes import Diabetes
from dlx.datasets.two_moons import TwoMoons
from dlx.reporting.gallery import TITLES

DIABETES = SMALL.replace("two_moons, num_examples: 80", "diabetes").replace("binary_cross_entropy", "mse")
pytestmark = pytest.mark.usefixtures("no_pictures")


def read(run: Path) -> Any:
    return json.loads((run / "learned.json").read_text())


def plan_of(run: Path) -> Plan:
    loaded, examples = load_experiment_and_data(run / "config.resolved.yaml")
    return Plan.make(loaded.experiment, examples)


def outputs(run: Path, plan: Plan, row: int, inputs: Any) -> Any:
    """What a run's best weights give, without dlx."""
    folder = run / "checkpoints"
    folder = folder / f"seed-{plan.members[row].cell.seed}" if len(plan.members) > 1 else folder
    weights = load_file(folder / "best.safetensors")
    width = weights["0.weight"].shape
    network = Sequential(Linear(width[1], width[0]), ReLU(), Linear(width[0], weights["2.weight"].shape[0]))
    network.load_state_dict(weights)
    constants = json.loads((run / "preprocessing.json").read_text())["members"][row]
    scaled = (inputs - np.array(constants["inputs"]["shift"])) / np.array(constants["inputs"]["scale"])
    found = network(torch.from_numpy(scaled).float()).detach().double().numpy()
    if constants["targets"]:
        found = found * np.array(constants["targets"]["scale"]) + np.array(constants["targets"]["shift"])
    return found


@pytest.mark.parametrize("split", ["{valid: 0.2, test: 0.2, seed: 0}", "{valid: 0.3, test: 0.0, seed: null}"])
def test_confusion_and_calibration(tmp_path: Path, split: str) -> None:
    run = small_run(tmp_path, "seeds=[4, 2, 9]", "training.epochs=20", f"data.split={split}")
    plan, found = plan_of(run), read(run)
    part = "test" if "test: 0.2" in split else "valid"
    tops, rights, total = [], [], np.zeros((2, 2))
    for row, member in enumerate(plan.members):
        chosen = getattr(member.parts, part)
        targets = plan.examples.targets[chosen]
        one = 1 / (1 + np.exp(-outputs(run, plan, row, plan.examples.inputs[chosen])[:, 0]))
        matrix = confusion_matrix(targets, one > 0.5, labels=[0, 1])
        assert found["confusion"]["members"][row] == {"seed": member.cell.seed, "counts": matrix.tolist()}
        total += matrix
        tops.append(np.maximum(one, 1 - one))
        rights.append((one > 0.5) == targets)
    assert found["confusion"]["part"] == found["calibration"]["part"] == part
    assert found["confusion"]["counts"] == total.tolist()
    top, right = np.concatenate(tops), np.concatenate(rights)
    accuracy, confidence = calibration_curve(right, top, n_bins=15)
    held = [number for number, count in enumerate(found["calibration"]["count"]) if count]
    assert [found["calibration"]["accuracy"][number] for number in held] == pytest.approx(accuracy.tolist())
    assert [found["calibration"]["confidence"][number] for number in held] == pytest.approx(
        confidence.tolist(), rel=1e-5
    )
    assert {each for number, each in enumerate(found["calibration"]["accuracy"]) if number not in held} == {None}
    errors = [each["expected_calibration_error"] for each in found["calibration"]["members"]]
    pooled = found["calibration"]["expected_calibration_error"]
    assert (pooled["mean"], pooled["std"]) == pytest.approx((np.mean(errors), np.std(errors, ddof=1)))


def test_regions(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=[4, 2, 9]", "training.epochs=20")
    plan, found = plan_of(run), read(run)["regions"]
    grid = np.stack(np.meshgrid(found["x"], found["y"]), -1)
    assert grid.shape == (128, 128, 2)
    guesses = np.stack([outputs(run, plan, row, grid.reshape(-1, 2))[:, 0] > 0 for row in range(3)]).reshape(
        3, 128, 128
    )
    # The grid in the file is rounded, so a point at the very boundary may fall on its other side.
    assert np.mean(np.array(found["predicted"]) != guesses[0]) < 1e-3
    assert np.mean(np.array(found["agreeing"]) != (guesses == guesses[0]).sum(0)) < 1e-3
    assert (found["seed"], found["num_seeds"], found["features"]) == (4, 3, ["x", "y"])
    low, high = plan.examples.inputs.min(0), plan.examples.inputs.max(0)
    assert (found["x"][0], found["y"][0]) < tuple(low)
    assert (found["x"][-1], found["y"][-1]) > tuple(high)
    test = plan.members[0].parts.test
    np.testing.assert_allclose(np.transpose(found["points"]["test"]["inputs"]), plan.examples.inputs[test], rtol=1e-4)
    assert found["points"]["test"]["targets"] == plan.examples.targets[test].tolist()
    assert set(found["points"]) == {"train", "test"}


def test_predictions_in_the_targets_own_units(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=2", text=DIABETES)
    plan, found = plan_of(run), read(run)
    assert set(found) == {"predictions"}
    test = plan.members[0].parts.test
    expected = np.concatenate([outputs(run, plan, row, plan.examples.inputs[test])[:, 0] for row in range(2)])
    (target,) = found["predictions"]["targets"]
    np.testing.assert_allclose(target["predicted"], expected, rtol=1e-4)
    np.testing.assert_allclose(target["true"], np.tile(plan.examples.targets[test, 0], 2))
    assert found["predictions"]["num_values"] == 2 * len(test)


def test_a_fitted_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(70, 1))
    line = Examples(x, 5 * np.sin(3 * x), "regression", ("dose",), ("effect",))
    monkeypatch.setattr(Diabetes, "load", lambda _: line)
    run = small_run(tmp_path, "seeds=3", "training.epochs=30", text=DIABETES)
    plan, found = plan_of(run), read(run)["fitted_curve"]
    curves = np.stack([outputs(run, plan, row, np.array(found["x"])[:, None])[:, 0] for row in range(3)])
    np.testing.assert_allclose(found["mean"], curves.mean(0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["std"], curves.std(0, ddof=1), rtol=1e-2, atol=1e-3)
    assert (found["feature"], found["target"], found["num_seeds"]) == ("dose", "effect", 3)
    assert found["points"]["train"]["num_examples"] == len(plan.members[0].parts.train)


def test_one_seed_alone_has_the_numbers_it_has_in_company(tmp_path: Path) -> None:
    together = read(small_run(tmp_path, "seeds=5"))
    alone = read(small_run(tmp_path, "seeds=[3]"))
    assert alone["confusion"]["members"] == [together["confusion"]["members"][3]]
    assert alone["calibration"]["members"] == [together["calibration"]["members"][3]]
    assert "agreeing" not in alone["regions"]


def test_large_runs_leave_small_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, limit in (("MAX_COUNTS", 19), ("MAX_POINTS", 10), ("GROUP", 2), ("MAX_SEEDS", 2), ("MAX_VALUES", 1)):
        monkeypatch.setattr(module, name, limit)
    found = read(small_run(tmp_path, "seeds=5"))
    assert "members" not in found["confusion"]
    assert np.sum(found["confusion"]["counts"]) == 5 * 16
    assert found["regions"]["num_seeds"] == 2
    assert len(found["regions"]["points"]["train"]["targets"]) == 10
    assert found["regions"]["points"]["train"]["num_examples"] == 48
    monkeypatch.undo()
    whole = read(small_run(tmp_path, "seeds=5"))
    assert whole["confusion"]["counts"] == found["confusion"]["counts"]


@pytest.mark.parametrize(("lr", "error"), [("1e6", DivergedError), ("0.4", PartlyDivergedError)])
def test_who_diverged_is_left_out(tmp_path: Path, lr: str, error: type[Exception]) -> None:
    overrides = ["seeds=6", f"optimizer={{name: sgd, lr: {lr}}}"]
    records = train(write_config(tmp_path, DIABETES), overrides, tmp_path / "runs")
    run = begin(records)
    with pytest.raises(error):
        list(records)
    found = read(run)
    if error is DivergedError:
        assert found == {}
    else:
        finished = json.loads((run / "result.json").read_text())["summary"]["num_members"]
        assert found["predictions"]["num_seeds"] == finished


def test_a_class_that_the_part_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    targets = np.array([0] * 40 + [1])
    examples = Examples(rng.normal(size=(41, 2)), targets, "classification", ("a", "b"), ("often", "once"))
    monkeypatch.setattr(TwoMoons, "load", lambda _: examples)
    found = read(small_run(tmp_path, "data.split={valid: 0.1, test: 0.05, stratify: false, seed: 0}"))
    assert np.sum(found["confusion"]["counts"]) == 2


def test_every_figure_of_the_file_is_one_that_can_be_drawn(tmp_path: Path) -> None:
    for text in (SMALL, DIABETES):
        assert set(read(small_run(tmp_path, text=text))) <= set(TITLES)


def test_the_file_is_a_line_per_figure(tmp_path: Path) -> None:
    run = finish(train(write_config(tmp_path), [], tmp_path / "runs"))
    lines = (run / "learned.json").read_text().splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == ['"confusion"', '"calibration"', '"regions"']
