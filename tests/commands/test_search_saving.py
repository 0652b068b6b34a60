"""The saved state of a search: whose it is, and what is said of one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.runs import finish, status, write_config
from commands.searches import SMALL, outcome, read, small_search, stop

from dlx.commands.cv import cv
from dlx.commands.resume import resume
from dlx.commands.search_saving import STATE
from dlx.core.errors import CheckpointError, RunError
from dlx.tracking.checkpoints import load_tensors, save_tensors

pytestmark = pytest.mark.usefixtures("no_search_pictures", "slice_by_slice")


def interrupted(folder: Path) -> Path:
    """A search that was killed when several populations were in training."""
    run, is_going = stop(cv(write_config(folder, SMALL), ["training.epochs=40"], folder / "runs"), 6)
    assert is_going
    return run


def test_what_is_saved(tmp_path: Path) -> None:
    run = interrupted(tmp_path)
    tensors, state = load_tensors(run / STATE)
    assert set(state) == {"identity", "populations", "curves", "seconds"}
    saved = [tuple(cell) for population in state["populations"] for cell in population["cells"]]
    assert saved
    assert len(set(saved)) == len(saved)
    assert {tuple(cell) for cell, _ in state["curves"]} <= set(saved)
    for number, population in enumerate(state["populations"]):
        assert tensors[f"{number}.weights"].shape[0] == len(population["rows"])
        lengths = {len(curve["train"]) for cell, curve in state["curves"] if cell in population["cells"]}
        assert lengths <= {population["epoch"]}


def test_the_time_goes_on(tmp_path: Path) -> None:
    run = interrupted(tmp_path)
    tensors, state = load_tensors(run / STATE)
    save_tensors(run / STATE, tensors, {**state, "seconds": 5000.0})
    finish(resume(run, []))
    assert read(run, "timing.json")["seconds"] > 5000
    assert load_tensors(run / STATE)[1]["populations"] == []


@pytest.mark.parametrize("change", [{"identity": "0" * 64}, {"identity": None}])
def test_of_another_search(tmp_path: Path, change: dict[str, str]) -> None:
    run = interrupted(tmp_path)
    tensors, state = load_tensors(run / STATE)
    save_tensors(run / STATE, tensors, {**state, **change})
    with pytest.raises(CheckpointError) as refused:
        next(resume(run, []))
    expected = f"{run / STATE} belongs to another search: config.resolved.yaml or the data have changed since"
    assert refused.value.exit_code == 3
    assert str(refused.value).startswith(expected)


def test_truncated(tmp_path: Path) -> None:
    run = interrupted(tmp_path)
    content = (run / STATE).read_bytes()
    (run / STATE).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        next(resume(run, []))
    assert status(run) == "running", "nothing was begun"


def test_a_config_that_was_edited(tmp_path: Path) -> None:
    run = interrupted(tmp_path)
    config = run / "config.resolved.yaml"
    config.write_text(config.read_text().replace("batch_size: 12", "batch_size: 10"))
    with pytest.raises(CheckpointError, match="belongs to another search"):
        next(resume(run, []))


def test_without_a_state(tmp_path: Path) -> None:
    """Its cells are enough; what was in training begins anew."""
    run = interrupted(tmp_path)
    (run / STATE).unlink()
    finish(resume(run, []))
    (tmp_path / "fresh").mkdir()
    assert outcome(run) == outcome(small_search(tmp_path / "fresh", "training.epochs=40"))
    assert json.loads((run / "result.json").read_text())["status"] == "done"


@pytest.mark.parametrize("name", ["config.resolved.yaml", "cells.jsonl"])
def test_what_is_refused_leaves_a_finished_search_as_it_was(tmp_path: Path, name: str) -> None:
    run = small_search(tmp_path)
    content = (run / name).read_text()
    (run / name).write_text(content.replace("batch_size: 12", "batch_size: 10") if name[1] == "o" else f"?\n{content}")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunError):
        next(resume(run, ["cv.repeats=2"]))
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
