"""Least squares against numpy, scikit-learn and what it must refuse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.runs import finish
from experiments import make_members, train
from safetensors.torch import load_file
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

from dlx.commands.resume import resume
from dlx.commands.train import train as train_command
from dlx.config.load import load_experiment_and_data
from dlx.core.errors import ConfigError, RunError
from dlx.core.records import Cell
from dlx.data.splits import Splitter
from dlx.optimizers.least_squares import solve

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("prior", [None, {"name": "gaussian", "precision": 30.0}])
@pytest.mark.parametrize("num_targets", [1, 3])
def test_one_epoch_is_ridge_regression(prior: Any, num_targets: int) -> None:
    members, examples = make_members(
        [Cell(0), Cell(1)],
        model="linear",
        loss="mse",
        num_targets=num_targets,
        optimizer="least_squares",
        prior=prior,
        training={"epochs": 1, "batch_size": 54},
        dtype="float64",
    )
    for member in members:
        last, _, epochs = train(members, examples)[member.cell]
        inputs = ((examples.inputs - member.input_scale.shift) / member.input_scale.scale)[member.parts.train]
        targets = ((examples.targets - member.target_scale.shift) / member.target_scale.scale)[member.parts.train]
        # The mean over C outputs makes the prior C times as heavy as for one.
        peer = Ridge(alpha=(prior["precision"] / 2 * num_targets if prior else 0)).fit(inputs, targets)
        np.testing.assert_allclose(last[: 5 * num_targets], peer.coef_.ravel(), rtol=1e-10)
        np.testing.assert_allclose(last[5 * num_targets :], peer.intercept_, atol=1e-12)
        assert epochs[-1].diagnostics == {"open": 0}
        assert epochs[-1].stop_reason == "solved"


@pytest.mark.parametrize("condition", [1.0, 1e6])
def test_solves_as_numpy_does(condition: float) -> None:
    a = RNG.normal(size=(3, 20, 4)) * np.array([1, 1, 1, 1 / condition])
    b = RNG.normal(size=(3, 20))
    solution, num_open = solve(torch.from_numpy(a), torch.from_numpy(b))
    expected = [np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(solution, expected, rtol=1e-10)
    assert not num_open.any()


def test_takes_the_minimum_of_least_norm_where_columns_depend_on_each_other() -> None:
    a, b = RNG.normal(size=(3, 20, 5)), RNG.normal(size=(3, 20))
    a[1, :, 3] = a[1, :, 0] - 2 * a[1, :, 2]
    a[2, :, 1] = a[2, :, 4] = 0
    solution, num_open = solve(torch.from_numpy(a), torch.from_numpy(b))
    expected = [np.linalg.lstsq(x, y, rcond=None)[0] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(solution, expected, rtol=1e-9, atol=1e-12)
    assert num_open.squeeze(1).tolist() == [0, 1, 2]


def test_a_row_that_is_not_finite_is_nan_alone() -> None:
    a, b = torch.ones(2, 3, 1, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64)
    b[1, 0] = float("inf")
    solution, _ = solve(a, b)
    torch.testing.assert_close(solution[0], torch.ones(1, dtype=torch.float64))
    assert solution[1].isnan().all()


CONFIG = "configs/diabetes.yaml"


def test_diabetes_as_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.figures.learning_curve", lambda *_: None)
    settings = ["optimizer=least_squares", "training.batch_size=266", "training.epochs=50", "dtype=float64"]
    run = finish(train_command(Path(CONFIG), settings, tmp_path))
    (member,) = json.loads((run / "result.json").read_text())["members"]
    assert (member["stop_reason"], member["last_epoch"], member["best_epoch"]) == ("solved", 1, 1)
    assert "came to the minimum in closed form" in (run / "report.md").read_text()
    with pytest.raises(RunError, match="more epochs would change nothing"):
        finish(resume(run, ["training.epochs=60"]))
    inputs, targets = load_diabetes(return_X_y=True)
    scales = json.loads((run / "preprocessing.json").read_text())["members"][0]
    weights = load_file(run / "checkpoints" / "last.safetensors")
    scaled = (inputs - scales["inputs"]["shift"]) / scales["inputs"]["scale"]
    outputs = scaled @ weights["weight"].numpy().T + weights["bias"].numpy()
    loaded, examples = load_experiment_and_data(Path(CONFIG), settings)
    parts = Splitter(examples, loaded.experiment.data.split).parts(0)
    own = (targets - scales["targets"]["shift"][0]) / scales["targets"]["scale"][0]
    peer = Ridge(alpha=0.5).fit(scaled[parts.train], own[parts.train])
    np.testing.assert_allclose(weights["weight"].numpy()[0], peer.coef_, rtol=1e-10)
    np.testing.assert_allclose(member["test"]["loss"], np.mean((outputs[:, 0] - own)[parts.test] ** 2), rtol=1e-9)


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("model=mlp", "the model is `mlp`"),
        ("loss=huber", "take loss=mse"),
        ("prior=laplace", "the prior is `laplace`"),
        ("training.batch_size=133", "an epoch has 2 steps"),
        ("schedule=cosine", "no learning rate"),
    ],
)
def test_refuses_what_has_no_closed_form(setting: str, word: str, tmp_path: Path) -> None:
    settings = ["optimizer=least_squares", "training.batch_size=266", setting]
    with pytest.raises(ConfigError, match=word):
        list(train_command(Path(CONFIG), settings, tmp_path))
