"""What a search trains in the end: the chosen setting on all examples, or beside each outer fold."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from commands.runs import finish
from commands.searches import HALVING, SMALL, cells, read, small_search

from dlx.commands.cv import cv
from dlx.commands.train import train
from dlx.core.errors import DivergedError, PartlyDivergedError

pytestmark = pytest.mark.usefixtures("no_search_pictures", "no_pictures")

DIABETES = """\
data: {name: diabetes, split: {valid: 0.2}}
model: linear
loss: mse
training: {epochs: 3}
cv: {folds: 3, seeds: [4, 2]}
search: {space: {optimizer.lr: [0.01, 0.1]}}
device: cpu
"""
SEARCHES = {
    "plain": (SMALL, []),
    "early": (SMALL, ["training.epochs=20", "training.early_stopping={patience: 2}", "optimizer.lr=0.2"]),
    "plateau": (SMALL, ["schedule={name: plateau, patience: 0}", "search.space={model.hidden: [[4], [6]]}"]),
    "halving": (SMALL, [HALVING]),
    "leave one out": (SMALL, ["cv.folds=leave_one_out", "data.num_examples=16", "training.batch_size=full"]),
    "values": (DIABETES, []),
    "column": (SMALL, ["data.split={fold_column: x, valid: 0}", "data.num_examples=12", "training.batch_size=full"]),
    "time": (SMALL, ["data.split={time_series: true, valid: 0.2}"]),
    "groups": (SMALL, ["data.split={groups: y, valid: 0.2, stratify: false}"]),
    "sections": (SMALL, ["search.space={optimizer: [sgd, {name: momentum, lr: 0.1}], data.scale: [none, minmax]}"]),
}


@pytest.mark.parametrize("kind", SEARCHES)
def test_best_yaml_trains_to_the_same_bits(tmp_path: Path, kind: str) -> None:
    text, overrides = SEARCHES[kind]
    run = small_search(tmp_path, *overrides, text=text)
    result = read(run)
    chosen = result["trials"][result["selection"]["chosen"]]
    lines = [line for line in cells(run) if line["id"] in chosen["cells"]]
    epochs = statistics.median_low(line["best_epoch"] for line in lines)
    assert (result["refit"]["epochs"], result["refit"]["seed"]) == (epochs, lines[0]["seed"])
    alone = finish(train(run / "best.yaml", [], tmp_path / "alone"))
    (member,) = read(alone)["members"]
    assert member["train"] == result["refit"]["train"]
    for name in ("checkpoints/best.safetensors", "checkpoints/last.safetensors", "preprocessing.json"):
        assert (alone / name).read_bytes() == (run / name).read_bytes()
    assert (member["last_epoch"], member["seed"], member["stop_reason"]) == (epochs, lines[0]["seed"], "max_epochs")
    assert ("valid" in member) == (kind == "plateau")
    assert "test" not in member
    assert (run / "best.yaml").read_text() == (alone / "config.resolved.yaml").read_text()


def test_no_refit(tmp_path: Path) -> None:
    """The setting is written down all the same, as the report says."""
    wanted = small_search(tmp_path)
    run = small_search(tmp_path, "cv.refit=false")
    assert read(run)["refit"] is None
    assert (run / "best.yaml").read_text() == (wanted / "best.yaml").read_text()
    assert "dlx train RUN/best.yaml" in (run / "report.md").read_text()
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["state.safetensors"]


def test_outer_folds(tmp_path: Path) -> None:
    """What an outer fold chose is trained on all beside it, and scored on it; the fold took no part in the choice."""
    run = small_search(tmp_path, "cv.nested=true", "cv.seeds=2", "training.epochs=8", "training.early_stopping={}")
    result, folds = read(run), read(run, "folds.json")
    outer = result["estimate"]["outer"]
    assert [each["outer_fold"] for each in outer] == [0, 1, 2]
    for each in outer:
        (held_out,) = [f["test"] for f in folds if "outer_fold" not in f and f["fold"] == each["outer_fold"]]
        inner = [f for f in folds if f.get("outer_fold") == each["outer_fold"]]
        assert sorted([*held_out, *(i for f in inner for i in f["test"])]) == list(range(60))
        assert not set(held_out) & {i for f in inner for i in f["valid"]}
        study = [line for line in cells(run) if line.get("outer_fold") == each["outer_fold"]]
        best_epochs = [line["best_epoch"] for line in study if line["trial"] == each["trial"]]
        assert each["epochs"] == statistics.median_low(best_epochs)
        again = [
            f"data.split.fold={each['outer_fold']}", "data.split.valid=0", "training.early_stopping=null", "seeds=2",
            f"training.epochs={each['epochs']}", *(f"{key}={value}" for key, value in each["values"].items()),
        ]  # fmt: skip
        members = read(finish(train(run / "config.resolved.yaml", again, tmp_path / "alone")))["members"]
        assert each["score"] == statistics.mean(member["test"]["accuracy"] for member in members)
    assert result["estimate"]["mean"] == pytest.approx(statistics.mean(each["score"] for each in outer))


def test_a_refit_that_diverges_is_told_and_saves_nothing(tmp_path: Path) -> None:
    """Twice the examples are twice the steps: enough for a rate that is just too high."""
    text = "data: {name: diabetes, split: {valid: 0}}\nmodel: linear\nloss: mse\nmetrics: [mse]\n"
    config = tmp_path / "diverging.yaml"
    config.write_text(text)
    overrides = [
        "optimizer={name: sgd, lr: 0.7}", "training={epochs: 1, batch_size: 8, early_stopping: null}", "cv.folds=2",
    ]  # fmt: skip
    with pytest.raises(PartlyDivergedError, match="trained on all examples it diverged"):
        list(cv(config, overrides, tmp_path / "runs"))
    (run,) = (tmp_path / "runs").iterdir()
    assert read(run)["status"] == "done"
    assert set(read(run)["refit"]) == {"epochs", "seed", "reason"}
    assert not (run / "checkpoints" / "best.safetensors").exists()
    assert "There are no weights: trained on all examples it diverged" in (run / "report.md").read_text()
    with pytest.raises(DivergedError):
        list(train(run / "best.yaml", [], tmp_path / "alone"))
