"""Configs of analytic surfaces: faults have positions, and commands that need data refuse them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlx.commands.cv import cv
from dlx.commands.inspect import inspect
from dlx.commands.train import train
from dlx.config.experiment import json_schema
from dlx.config.load import SURFACE_COMMANDS, LoadedSurface, is_of_surface, load_any, load_experiment, load_surface
from dlx.core.errors import ConfigError, UsageError

ROSENBROCK = Path("configs/rosenbrock.yaml")


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text)
    return path


def test_defaults(tmp_path: Path) -> None:
    loaded = load_any(write(tmp_path, "surface: {name: quadratic, num_variables: 3}\n"))
    assert isinstance(loaded, LoadedSurface)
    experiment = loaded.experiment
    assert experiment.name == "x"
    assert experiment.point == (1, 1, 1)
    assert [rule.name for rule in experiment.optimizers] == ["adam"]
    assert load_surface(tmp_path / "x.yaml", ["start=[1, 2, 3.5]"]).experiment.point == (1, 2, 3.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("surface: rosenbrok\n", ["x.yaml:1:10: there is no surface `rosenbrok`", "did you mean `rosenbrock`?"]),
        (
            "surface: beale\nmodel: mlp\n",
            ["x.yaml:2:1: unknown key `model`", "valid here: name, seeds, plugins, surface"],
        ),
        ("surface: beale\nstart: [1, 2, 3]\n", ["x.yaml:2:8: `start` has 3 numbers, but `beale` has 2 variables"]),
        ("surface: beale\nstart: [1, x]\n", ["x.yaml:2:12: `start.1` must be a number"]),
        ("surface: beale\nstart: []\n", ["`start` has 0 numbers"]),
        ("surface: beale\nsteps: 0\n", ["x.yaml:2:8: `steps` must be greater than 0"]),
        ("surface: {name: quadratic, condition: 0.5}\n", ["x.yaml:1:39: `surface.condition` must be at least 1"]),
        (
            "surface: beale\noptimizers:\n  - sgd\n  - gauss_newton\n",
            ["x.yaml:4:5: `gauss_newton` needs the outputs of a model", "rules that fit: adagrad, adam, adamw"],
        ),
        ("surface: beale\nseeds: [1, 1]\n", ["the seed 1 is given twice"]),
        ("surface:\n", ["x.yaml:1:1: expected the name of one surface"]),
    ],
)
def test_faults_have_positions(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_any(write(tmp_path, text))
    for each in words:
        assert each in str(caught.value)


def test_overrides(tmp_path: Path) -> None:
    experiment = load_surface(ROSENBROCK, ["surface=himmelblau", "optimizers.0.lr=0.5", "steps=3"]).experiment
    assert (experiment.surface.name, experiment.optimizers[0].tunables()["lr"], experiment.steps) == (
        "himmelblau", 0.5, 3,
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"override 'start=\[1\]'"):
        load_surface(ROSENBROCK, ["start=[1]"])


def test_commands_of_models_refuse_a_surface(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for ask in (
        lambda: list(train(ROSENBROCK, [], runs)),
        lambda: list(cv(ROSENBROCK, [], runs)),
        lambda: inspect(ROSENBROCK, []),
        lambda: load_experiment(ROSENBROCK),
    ):
        with pytest.raises(UsageError, match="names a `surface`") as caught:
            ask()
        assert str(caught.value).endswith(", ".join(SURFACE_COMMANDS))
    assert not runs.exists()


def test_which_is_which() -> None:
    assert is_of_surface(ROSENBROCK)
    assert not is_of_surface(Path("configs/digits.yaml"))
    assert {"Experiment", "SurfaceExperiment"} <= json_schema()["$defs"].keys()
