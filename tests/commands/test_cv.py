"""``dlx cv``: what it leaves, what it repeats, what it refuses before anything is made."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands.runs import status, write_config
from commands.searches import BYTES, FILES, KINDS, SMALL, cells, cells_by_id, outcome, read, small_search

from dlx.cli.render import search_lines
from dlx.commands import cv as cv_module
from dlx.commands.cv import cv
from dlx.core.errors import ConfigError, DivergedError
from dlx.core.records import Cell, Finished, SearchProgress, SearchStarted
from dlx.engine.fit import populations_of
from dlx.search.cells import Trial
from dlx.search.cross_validation import Standing, train_cells

pytestmark = pytest.mark.usefixtures("no_search_pictures")

# What a run holds


def test_records(tmp_path: Path) -> None:
    first, *middle, last = cv(write_config(tmp_path, SMALL), [], tmp_path / "runs")
    assert isinstance(first, SearchStarted)
    assert (first.num_cells, first.num_found, first.score) == (12, None, "accuracy")
    assert first.facts == {
        "data": "two_moons, 60 examples, 2 features, 2 classes, scale standard",
        "folds": "stratified 3-fold, cv.seeds 0; 0.2 of the rest is for validation",
        "search": "grid, 4 trials over optimizer.lr, model.hidden",
        "score": "accuracy of the held-out folds, higher is better",
        "model": "mlp, hidden [4], activation relu, init torch (varies)",
        "loss": "binary_cross_entropy",
        "optimizer": "adam, lr 0.05, rho1 0.9, rho2 0.999, delta 1e-08 (varies)",
        "schedule": "constant",
        "training": "4 epochs at most, 3 steps of 12 examples each, no early stopping",
        "device": "cpu, float32",
    }
    progress = [record for record in middle if isinstance(record, SearchProgress)]
    assert progress == middle
    assert [(each.num_done, each.share) for each in progress[-1:]] == [(12, 1.0)]
    assert [each.num_done for each in progress] == sorted(each.num_done for each in progress)
    assert isinstance(last, Finished)
    assert last.run_dir == first.run_dir
    assert last.result == read(last.run_dir)
    best = last.result["selection"]["best"]
    assert progress[-1].best is not None
    assert progress[-1].best[1] == last.result["trials"][best]["score"]["mean"]


def test_the_run_folder(tmp_path: Path) -> None:
    run = small_search(tmp_path, "optimizer.lr=0.02")
    found = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert found - {".lock"} == FILES
    assert (status(run), read(run, "run.json")["stop_reason"]) == ("done", "done")
    assert (run / "config.input.yaml").read_text() == SMALL, "verbatim, without the overrides"
    assert "lr: 0.02" in (run / "config.resolved.yaml").read_text()
    assert read(run, "environment.json")["seeds"] == [0]
    assert read(run, "timing.json")["member_steps"] == 12 * 4 * 3
    lines = cells(run)
    assert len(lines) == 12
    for line in lines:
        assert list(line) == [
            "id", "values", "trial", "seed", "repeat", "fold", "epochs", "stop_reason", "last_epoch", "num_steps",
            "num_parameters", "num_train", "num_valid", "num_test", "best_epoch", "train", "valid", "test", "curve",
        ]  # fmt: skip
        assert (line["stop_reason"], line["last_epoch"], line["num_steps"]) == ("max_epochs", 4, 12)
        assert {name: len(curve) for name, curve in line["curve"].items()} == {"train": 4, "valid": 4}
        assert line["curve"]["valid"][line["best_epoch"] - 1] == min(line["curve"]["valid"]) == line["valid"]["loss"]
        assert line["num_parameters"] == {4: 17, 6: 25}[line["values"]["model.hidden"][0]]
    for fold in read(run, "folds.json"):
        (line,) = [each for each in lines if (each["trial"], each["fold"]) == (0, fold["fold"])]
        assert (line["num_test"], line["num_valid"]) == (len(fold["test"]), len(fold["valid"]))
    held_out = sorted(i for fold in read(run, "folds.json") for i in fold["test"])
    assert held_out == list(range(60)), "every example is held out once"


def test_the_result(tmp_path: Path) -> None:
    """Every number of result.json that the cells give, computed anew."""
    run = small_search(tmp_path, "cv.repeats=2", "cv.seeds=[0, 3]")
    result, lines = read(run), cells_by_id(run)
    assert {key: result[key] for key in ("schema", "command", "name", "status", "loss", "metrics", "score")} == {
        "schema": 1, "command": "cv", "name": "small", "status": "done", "loss": "binary_cross_entropy",
        "metrics": ["accuracy"], "score": {"name": "accuracy", "higher_is_better": True},
    }  # fmt: skip
    assert result["folds"] == {
        "kind": "stratified 3-fold", "num_folds": 3, "repeats": 2, "seeds": [0, 3], "nested": False, "pooled": False,
        "num_train": 40.0, "num_test": 20.0,
    }  # fmt: skip
    space = {"optimizer.lr": [0.01, 0.1], "model.hidden": [[4], [6]]}
    assert result["search"] == {"method": "grid", "budget": "full", "space": space, "num_trials": 4}
    points = [(lr, hidden) for lr in (0.01, 0.1) for hidden in ([4], [6])]
    assert [tuple(trial["values"].values()) for trial in result["trials"]] == points
    means = []
    for number, trial in enumerate(result["trials"]):
        own = [lines[name] for name in trial["cells"]]
        keys = [(cell["repeat"], cell["fold"], cell["seed"]) for cell in own]
        assert keys == [(repeat, fold, seed) for repeat in range(2) for fold in range(3) for seed in (0, 3)]
        assert all(cell["values"] == trial["values"] for cell in own)
        scores = np.array([cell["test"]["accuracy"] for cell in own]).reshape(6, 2).mean(1)
        assert trial["score"]["folds"] == pytest.approx(scores.tolist())
        means.append(scores.mean())
        assert trial["score"]["mean"] == pytest.approx(scores.mean())
        assert trial["score"]["se"] == pytest.approx(scores.std(ddof=1) / math.sqrt(3))
        assert trial["means"]["test"]["accuracy"]["mean"] == trial["score"]["mean"]
        assert trial["train_score"]["mean"] == pytest.approx(np.mean([cell["train"]["accuracy"] for cell in own]))
        assert trial["best_epoch"] == statistics.median_low(cell["best_epoch"] for cell in own)
        assert (trial["trial"], trial["epochs"], trial["num_diverged"]) == (number, 4, 0)
    best = result["trials"][result["selection"]["best"]]
    assert best["rank"] == 1
    assert best["score"]["mean"] == pytest.approx(max(means))
    assert "difference" not in best
    assert result["estimate"]["kind"] == "selection"
    assert result["estimate"]["mean"] == result["trials"][result["selection"]["chosen"]]["score"]["mean"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeated_search_gives_the_same_bytes(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: in the second a second lasts a thousand, and the state is saved after every slice."""
    first = small_search(tmp_path, *KINDS[kind])
    monkeypatch.setattr("dlx.commands.clock.time", SimpleNamespace(monotonic=lambda: 1000 * time.monotonic()))
    second = small_search(tmp_path, *KINDS[kind])
    assert first != second
    assert outcome(first) == outcome(second)
    assert set(outcome(first)) >= BYTES
    assert read(first, "timing.json") != read(second, "timing.json")


# Refused before a run directory is made


@pytest.mark.parametrize(
    ("overrides", "message", "hint"),
    [
        (["data.num_examples=8", "cv.folds=9"], "9 folds need as many examples, but there are 8", ""),
        (
            ["data.num_examples=21", "cv.folds=11"],
            "class `upper` has 10 of the 11 examples that a stratified split with folds=11 needs of each",
            "set data.split.stratify=false",
        ),
        (["data.split={groups: y}", "cv.folds=61"], "61 folds need as many groups, but `y` has 60", ""),
        (["cv.folds=1"], "`cv.folds` must be at least 2, found 1", ""),
        (
            ["data.split.folds=4"],
            "`data.split.folds` is 4, but `cv.folds` is 3",
            "leave data.split.folds out",
        ),
        (
            ["search.space={optimizer.lr: []}"],
            "`search.space.optimizer.lr` must have at least 1 entry, found 0",
            "",
        ),
        (
            ["search.space={optimizer.lrr: [1]}"],
            "unknown key `lrr` in `optimizer`",
            "did you mean `lr`? valid here: lr, rho1, rho2, delta",
        ),
        (
            ["search.space={optimizer.lr: [a, 0.1]}"],
            "`optimizer.lr` must be a number, found the text `a`",
            "Learning rate; the first step moves every parameter by it.",
        ),
        (["search.space={model.hidden: [3]}"], "`model.hidden` must be a list, found 3", "write `[3]`"),
        (
            ["cv.score=accurracy"],
            "`accurracy` is not measured, so it cannot decide",
            "did you mean `accuracy`? known: loss, accuracy",
        ),
        (
            ["cv.score=nll"],
            "`nll` is not measured, so it cannot decide",
            "known: loss, accuracy, or add it to `metrics`",
        ),
        (
            ["data.split.seed=null"],
            "`data.split.seed` is null, but the folds must be the same for every seed and trial",
            "give it a number; cv.repeats cuts them anew",
        ),
        (
            ["cv={folds: leave_one_out, nested: true}"],
            "nested leave_one_out would train a model for every two examples",
            "set cv.folds to a number, or cv.nested=false",
        ),
        (
            ["data.split.time_series=true", "cv.repeats=2"],
            "`time_series` leaves no choice of folds, so `cv.repeats` would be the same folds again",
            "leave it out; cv.seeds trains more than once on each fold",
        ),
        (
            ["data.split={fold_column: x, valid: 0}", "cv.repeats=2"],
            "`fold_column` leaves no choice of folds, so `cv.repeats` would be the same folds again",
            "leave it out; cv.seeds trains more than once on each fold",
        ),
        (
            ["search={budget: halving, space: {training.epochs: [4, 2]}}"],
            "`training.epochs` cannot vary with search.budget=halving, which decides them itself",
            "give every setting 4 epochs, as training.epochs says, or set search.budget=full",
        ),
        (
            ["search={budget: hyperband, space: {training: [{epochs: 3, batch_size: 8}]}}"],
            "`training.epochs` cannot vary with search.budget=hyperband, which decides them itself",
            "give every setting 4 epochs, as training.epochs says, or set search.budget=full",
        ),
    ],
)
def test_bad_input(tmp_path: Path, overrides: list[str], message: str, hint: str) -> None:
    """The fault stands at the override that made it; there is one alone."""
    with pytest.raises(ConfigError) as refused:
        next(cv(write_config(tmp_path, SMALL), overrides, tmp_path / "runs"))
    first, shown, caret, *more = str(refused.value).splitlines()
    assert refused.value.exit_code == 2
    assert first.endswith(f"': {message}")
    guilty = [override for override in overrides if first == f"override '{override}': {message}"]
    assert shown == f"      | {guilty[0]}"
    assert caret.lstrip(" |").strip("^") == ""
    assert more == ([f"      = {hint}"] if hint else [])
    assert not (tmp_path / "runs").exists()


# Trials that come to nothing

DIVERGING = "search.space={optimizer: [{name: sgd, lr: 0.001}, {name: sgd, lr: 1e6}]}"
VALUES = SMALL.replace("two_moons, num_examples: 60", "diabetes").replace("binary_cross_entropy", "mse")


def test_a_trial_that_diverges_is_last_and_named(tmp_path: Path) -> None:
    run = small_search(tmp_path, DIVERGING, text=VALUES)
    result = read(run)
    good, bad = result["trials"]
    assert (result["status"], good["status"], bad["status"]) == ("done", "done", "diverged")
    assert (good["rank"], bad["rank"], bad["num_diverged"]) == (1, 2, 3)
    assert bad["reason"].startswith("3 of 3 cells diverged, the first in fold ")
    assert bad["score"]["mean"] is None
    assert "difference" not in bad
    assert result["selection"]["best"] == result["selection"]["chosen"] == 0
    row = (run / "trials.csv").read_text().splitlines()[-1]
    assert row.startswith("2,1,diverged,False,False,")
    assert row.endswith(bad["reason"] + '"')
    assert "diverged" in (run / "report.md").read_text()
    shown = [text for text, _ in search_lines(result, run)]
    assert any("diverged" in text for text in shown)


def test_every_trial_diverges(tmp_path: Path) -> None:
    records = cv(
        write_config(tmp_path, VALUES), ["search.space={optimizer: [{name: sgd, lr: 1e6}]}"], tmp_path / "runs"
    )
    first, *_ = taken = [next(records)]
    assert isinstance(first, SearchStarted)
    run = first.run_dir
    with pytest.raises(DivergedError) as raised:
        taken.extend(records)
    assert isinstance(taken[-1], Finished)
    result = read(run)
    assert (raised.value.exit_code, result["status"], result["refit"]) == (4, "diverged", None)
    why = f"trial 0: {result['trials'][0]['reason']}"
    assert str(raised.value) == f"every trial diverged ({why}); a lower optimizer.lr is the usual remedy"
    assert (result["selection"]["best"], result["selection"]["chosen"], result["estimate"]["mean"]) == (
        None,
        None,
        None,
    )
    assert status(run) == "done"
    assert not (run / "best.yaml").exists()
    assert "every trial diverged" in (run / "report.md").read_text() or "diverged" in (run / "report.md").read_text()


# Early stopping never sees the held-out part


def test_the_held_out_part_stops_nothing(tmp_path: Path) -> None:
    """Best epochs are those of a training whose data, held-out targets changed, are otherwise the same."""
    overrides = ["training.epochs=40", "training.early_stopping={patience: 2}", "search={}", "optimizer.lr=0.3"]
    run = small_search(tmp_path, *overrides)
    folds = {fold["fold"]: fold for fold in read(run, "folds.json")}
    for line in cells(run):
        fold = folds[line["fold"]]
        assert not set(fold["test"]) & set(fold["valid"])
        curve = line["curve"]["valid"]
        assert line["best_epoch"] == int(np.argmin(curve)) + 1
        assert line["valid"]["loss"] == min(curve)
        setup, _ = cv_module.load_search(tmp_path / "small.yaml", overrides)
        targets = setup.examples.targets.copy()
        targets[fold["test"]] = 1 - targets[fold["test"]]
        flipped = dataclasses.replace(setup, examples=dataclasses.replace(setup.examples, targets=targets))
        member = setup.member(Trial(0, {}, setup.experiment), Cell(0, fold=line["fold"]))
        (population,) = populations_of([member], flipped.device)
        standing = Standing()
        (now,) = [now for now in train_cells(iter([population]), standing, flipped.bench, lambda *_: {}) if now.lines]
        (found,) = now.lines
        assert {key: found[key] for key in ("best_epoch", "last_epoch", "train", "valid", "curve")} == {
            key: line[key] for key in ("best_epoch", "last_epoch", "train", "valid", "curve")
        }
        assert found["test"] != line["test"]
