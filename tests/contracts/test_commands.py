"""Every data set with every loss for it: the smallest training leaves a complete run directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tables import TABLES

from dlx.cli.render import result_lines
from dlx.commands.curvature import curvature
from dlx.commands.cv import cv
from dlx.commands.gradcheck import gradcheck
from dlx.commands.inspect import inspect
from dlx.commands.resume import resume
from dlx.commands.train import train
from dlx.core.definition import Dataset, Loss, Model, Optimizer
from dlx.core.records import AnalysisStarted, Finished
from dlx.core.registry import registered
from dlx.core.surface import Surface
from dlx.reporting.inspection import inspection_text
from dlx.tracking.checkpoints import load_tensors

FILES = {
    "run.json", "config.input.yaml", "config.resolved.yaml", "environment.json", "metrics.jsonl", "result.json",
    "timing.json", "checkpoints/best.safetensors", "checkpoints/last.safetensors", "checkpoints/state.safetensors",
    "preprocessing.json", "figures/learning_curve.png", "figures/gradient_norms.png", "learned.json", "report.md",
}  # fmt: skip
PICTURES = {
    "classification": {"figures/confusion.png", "figures/calibration.png"},
    "regression": {"figures/predictions.png"},
}


def fits(data: str, loss: str) -> bool:
    examples, chosen = registered(Dataset)[data]().load(), registered(Loss)[loss]()
    return examples.task == chosen.task and (loss != "binary_cross_entropy" or len(examples.target_names) == 2)


READY = [
    name
    for name, cls in registered(Dataset).items()
    if not any(field.is_required() for field in cls.model_fields.values())
]
"""Data sets that need no file; commands on the others are in tests/commands/test_tables.py."""
PAIRS = [(data, loss) for data in READY for loss in registered(Loss) if fits(data, loss)]


def test_every_data_set_and_every_loss_is_here() -> None:
    assert {data for data, _ in PAIRS} | set(TABLES) == set(registered(Dataset))
    assert {loss for _, loss in PAIRS} == set(registered(Loss))


@pytest.mark.parametrize(
    ("data", "loss"),
    [pair if number % 3 == 0 else pytest.param(*pair, marks=pytest.mark.slow) for number, pair in enumerate(PAIRS)],
)
def test_a_complete_run_directory(tmp_path: Path, data: str, loss: str) -> None:
    config = tmp_path / "smallest.yaml"
    source = f"{{name: {data}, target_scale: none}}" if registered(Loss)[loss].raw_targets else data
    config.write_text(f"data: {source}\nmodel: linear\nloss: {loss}\n")
    last: Any = None
    for record in train(config, ["training.epochs=2", "device=cpu"], tmp_path / "runs"):
        last = record
    assert isinstance(last, Finished)
    run = last.run_dir
    found = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    task = registered(Loss)[loss].task
    pictures = PICTURES[task] | ({"figures/regions.png"} if data == "two_moons" else set())
    assert found - {".lock"} == FILES | pictures
    for name in FILES:
        if name.endswith(".json"):
            json.loads((run / name).read_text())
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    assert (run / "config.input.yaml").read_text() == config.read_text()
    assert [json.loads(line)["epoch"] for line in (run / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    for name in {"figures/learning_curve.png", *pictures}:
        assert (run / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert f"({name})" in (run / "report.md").read_text()
    tensors, state = load_tensors(run / "checkpoints" / "state.safetensors")
    assert tensors
    assert state["populations"][0]["epoch"] == 2
    records = list(resume(run, ["training.epochs=3"]))
    assert isinstance(records[-1], Finished)


SEARCH_FILES = {
    "run.json", "config.input.yaml", "config.resolved.yaml", "environment.json", "folds.json", "cells.jsonl",
    "trials.jsonl", "result.json", "timing.json", "trials.csv", "report.md", "best.yaml", "preprocessing.json",
    "checkpoints/best.safetensors", "checkpoints/last.safetensors", "checkpoints/state.safetensors",
}  # fmt: skip
SEARCH_PICTURES = {f"figures/search_{name}.png" for name in ("slices", "pairs", "importance", "curves", "gaps")}


def test_a_complete_search(tmp_path: Path) -> None:
    config = tmp_path / "smallest.yaml"
    config.write_text("data: iris\nmodel: linear\nloss: cross_entropy\ndevice: cpu\n")
    space = "search.space={optimizer.lr: [0.01, 0.1], training.batch_size: [32, 64]}"
    *_, last = cv(config, ["training.epochs=2", space], tmp_path / "runs")
    assert isinstance(last, Finished)
    run = last.run_dir
    found = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert found - {".lock"} == SEARCH_FILES | SEARCH_PICTURES
    assert json.loads((run / "run.json").read_text())["status"] == "done"
    assert json.loads((run / "result.json").read_text())["status"] == "done"
    for name in SEARCH_PICTURES:
        assert (run / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert f"({name})" in (run / "report.md").read_text()


@pytest.mark.parametrize(
    ("data", "loss"),
    [pair if number % 6 == 0 else pytest.param(*pair, marks=pytest.mark.slow) for number, pair in enumerate(PAIRS)],
)
def test_the_smallest_search(tmp_path: Path, data: str, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config without `cv` and `search`: five folds of the one setting."""
    monkeypatch.setattr("dlx.reporting.search_figures.draw_search_pictures", lambda *_: [])
    config = tmp_path / "smallest.yaml"
    source = f"{{name: {data}, target_scale: none}}" if registered(Loss)[loss].raw_targets else data
    config.write_text(f"data: {source}\nmodel: linear\nloss: {loss}\n")
    *_, last = cv(config, ["training.epochs=1", "device=cpu"], tmp_path / "runs")
    assert isinstance(last, Finished)
    found = {path.relative_to(last.run_dir).as_posix() for path in last.run_dir.rglob("*") if path.is_file()}
    assert found - {".lock"} == SEARCH_FILES
    assert len((last.run_dir / "cells.jsonl").read_text().splitlines()) == 5
    assert last.result["selection"]["chosen"] == 0


CHECK_FILES = {
    "run.json", "config.input.yaml", "config.resolved.yaml", "environment.json", "result.json", "timing.json",
    "report.md", "figures/v_curve.png",
}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "loss"),
    [pair if number % 4 == 0 else pytest.param(*pair, marks=pytest.mark.slow) for number, pair in enumerate(PAIRS)],
)
def test_a_gradient_check(tmp_path: Path, data: str, loss: str) -> None:
    config = tmp_path / "smallest.yaml"
    source = f"{{name: {data}, target_scale: none}}" if registered(Loss)[loss].raw_targets else data
    config.write_text(f"data: {source}\nmodel: linear\nloss: {loss}\n")
    *_, last = gradcheck(config, ["device=cpu"], tmp_path / "runs", self_test=True)
    assert isinstance(last, Finished)
    found = {path.relative_to(last.run_dir).as_posix() for path in last.run_dir.rglob("*") if path.is_file()}
    assert found - {".lock"} == CHECK_FILES
    assert last.result["status"] == "ok"
    assert json.loads((last.run_dir / "result.json").read_text()) == last.result
    assert {each["outcome"] for each in last.result["self_test"]["faults"]} <= {"caught", "no effect"}


def is_inspected(config: Path, *overrides: str) -> None:
    found = inspect(config, ["device=cpu", *overrides])
    assert sum(layer["num_parameters"] for layer in found["layers"]) == found["num_parameters"]
    assert found["flops"]["step"] > found["flops"]["forward"] * found["batch_size"] > 0
    assert found["one_batch"]["steps"] > 0
    assert found["one_batch"]["end"] < found["one_batch"]["start"]
    assert inspection_text(found)


@pytest.mark.parametrize(
    ("data", "loss"),
    [pair if number % 3 == 0 else pytest.param(*pair, marks=pytest.mark.slow) for number, pair in enumerate(PAIRS)],
)
def test_inspection(tmp_path: Path, data: str, loss: str) -> None:
    config = tmp_path / "smallest.yaml"
    target_scale = "none" if registered(Loss)[loss].raw_targets else "standard"
    config.write_text(f"data: {{name: {data}, target_scale: {target_scale}}}\nmodel: linear\nloss: {loss}\n")
    is_inspected(config)


FITTING = {"least_squares": "data: diabetes\nmodel: linear\nloss: mse\ntraining: {batch_size: full}\n"}
"""What a rule is inspected with, where it does not fit every experiment."""


@pytest.mark.parametrize(
    "word",
    [
        word if number % 2 else pytest.param(word, marks=pytest.mark.slow)
        for number, word in enumerate([*registered(Model), *registered(Optimizer)])
    ],
)
def test_inspection_of_every_model_and_rule(tmp_path: Path, word: str) -> None:
    config = tmp_path / "smallest.yaml"
    config.write_text(FITTING.get(word, "data: iris\nmodel: linear\nloss: cross_entropy\n"))
    is_inspected(config, f"{'model' if word in registered(Model) else 'optimizer'}={word}")


def is_looked_at(config: Path, folder: Path) -> None:
    first, *_, last = curvature(config, ["device=cpu", "curvature.directions=5"], folder)
    assert isinstance(first, AnalysisStarted)
    assert isinstance(last, Finished)
    spectrum, directions = last.result["spectrum"], last.result["directions"]["curvature"]
    low, high = (spectrum[end]["value"] for end in ("lowest", "highest"))
    slack = 1e-9 * max(abs(low), abs(high))
    assert low - slack <= directions["lowest"] <= directions["highest"] <= high + slack
    for end in ("lowest", "highest"):
        assert spectrum[end]["along_vector"] == pytest.approx(spectrum[end]["value"], rel=1e-6, abs=slack)
    assert result_lines(last.result, last.run_dir)
    assert (last.run_dir / "report.md").read_text()


@pytest.mark.parametrize("surface", registered(Surface))
def test_curvature_of_every_surface(tmp_path: Path, surface: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.curvature_figures.draw_curvature", lambda *_: [])
    config = tmp_path / "smallest.yaml"
    config.write_text(f"surface: {surface}\n")
    is_looked_at(config, tmp_path / "runs")


SMALLEST = {
    **{f"iris-{model}": f"data: iris\nmodel: {model}\nloss: cross_entropy\n" for model in registered(Model)},
    **{
        f"{data}-{loss}": f"data: {{name: {data}, target_scale: none}}\nmodel: linear\nloss: {loss}\n"
        for data, loss in PAIRS
        if data in ("diabetes", "two_moons")
    },
    "batch_norm": "data: iris\nmodel: {name: mlp, hidden: [4], batch_norm: true, dropout: 0.5}\nloss: cross_entropy\n",
}


@pytest.mark.parametrize("case", SMALLEST)
def test_curvature_of_every_model_and_loss(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.curvature_figures.draw_curvature", lambda *_: [])
    config = tmp_path / "smallest.yaml"
    config.write_text(SMALLEST[case] + "curvature: {dense: 500}\n")
    is_looked_at(config, tmp_path / "runs")
