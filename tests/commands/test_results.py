"""What a training comes to, as values."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import pytest
from commands.runs import metrics, small_run

from dlx.commands.results import epoch_line, summarise_members
from dlx.core.records import Cell, Divergence, EpochDone, MemberEpoch

pytestmark = pytest.mark.usefixtures("no_pictures")
SCORES = {"train": {"loss": 0.5, "r2": math.nan}}


def test_line_of_an_epoch() -> None:
    going = MemberEpoch(Cell(3, 1, 2), 17, None, SCORES, True, None, None)
    lost = MemberEpoch(Cell(4), 18, 0.1, {}, False, "diverged", Divergence(18, None))
    line = epoch_line(EpochDone(2, (going, lost)), 1.23456)
    assert line["time"] == {"seconds": 1.235}
    assert line["epoch"] == 2
    assert line["members"] == [
        {"seed": 3, "repeat": 1, "fold": 2, "step": 17, **SCORES, "is_best": True},
        {
            "seed": 4, "repeat": 0, "fold": 0, "step": 18, "lr": 0.1, "is_best": False, "stop_reason": "diverged",
            "divergence": {"first_nonfinite_step": 18, "last_finite_loss": None},
        },
    ]  # fmt: skip


def test_result_of_a_run(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=3", "training.epochs=12", "training.early_stopping={patience: 2}")
    result = json.loads((run / "result.json").read_text())
    assert list(result)[:4] == ["schema", "command", "name", "status"]
    assert (result["schema"], result["command"], result["status"]) == (1, "train", "done")
    for member in result["members"]:
        lines = [m for line in metrics(run) for m in line["members"] if m["seed"] == member["seed"]]
        assert member["last_epoch"] == len(lines)
        assert member["stop_reason"] == lines[-1]["stop_reason"]
        best = min(range(len(lines)), key=lambda number: lines[number]["valid"]["loss"])
        assert member["best_epoch"] == best + 1
        assert [line["is_best"] for line in lines].index(True) == 0
        for part in ("train", "valid"):
            assert member[part]["loss"] == pytest.approx(lines[best][part]["loss"], rel=1e-6)
            assert member["last"][part]["loss"] == pytest.approx(lines[-1][part]["loss"], rel=1e-6)
        assert set(member["test"]) == {"loss", "accuracy"}
    assert result["split_seed"] == 0
    assert "loss_remark" not in result
    values = [member["test"]["accuracy"] for member in result["members"]]
    expected = {"mean": statistics.fmean(values), "std": statistics.stdev(values)}
    assert result["summary"]["test"]["accuracy"] == pytest.approx(expected)
    assert set(result["summary"]["last"]) == {"train", "valid", "test"}


def test_the_report_knows_the_split_and_the_loss(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=2", "data.split.seed=null", "loss.label_smoothing=0.1", "training.epochs=2")
    assert json.loads((run / "result.json").read_text())["split_seed"] is None
    report = (run / "report.md").read_text()
    assert "The loss smooths the labels" in report
    assert "luck of the split" not in report


@pytest.mark.parametrize(("split", "parts"), [("{valid: 0}", {"train", "test"}), ("{test: 0}", {"train", "valid"})])
def test_parts_that_are_left_out(tmp_path: Path, split: str, parts: set[str]) -> None:
    run = small_run(tmp_path, f"data.split={split}")
    (member,) = json.loads((run / "result.json").read_text())["members"]
    assert {"train", "valid", "test"} & set(member) == parts
    if "valid" not in parts:
        assert member["best_epoch"] == member["last_epoch"] == 4
        assert {part: member[part] for part in parts} == member["last"]


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    summary = json.loads((small_run(tmp_path) / "result.json").read_text())["summary"]
    assert summary["test"]["loss"]["std"] is None
    assert summary["test"]["loss"]["mean"] > 0


def test_what_is_not_finite_has_no_mean() -> None:
    members = [{"train": {"loss": 1.0, "r2": math.nan}}, {"train": {"loss": 2.0, "r2": 0.5}}]
    assert summarise_members(members) == {
        "train": {"loss": {"mean": 1.5, "std": 0.5**0.5}, "r2": {"mean": None, "std": None}}
    }
    assert summarise_members([]) == {}


def test_no_clock_values(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    year = (run.name)[:4]
    for name in ("result.json", "report.md", "preprocessing.json", "config.resolved.yaml"):
        text = (run / name).read_text()
        assert f"{year}-" not in text
        assert run.name not in text
        assert "seconds" not in text
    assert all("seconds" not in json.dumps(line) for line in metrics(run))


def test_what_the_rule_tells_is_in_the_log_the_result_and_the_report(tmp_path: Path) -> None:
    run = small_run(tmp_path, "optimizer=newton", "seeds=2", "training.epochs=3")
    result = json.loads((run / "result.json").read_text())
    lines = [line["members"] for line in metrics(run)]
    assert [[member["optimizer"]["steps"] for member in members] for members in lines] == [[5, 5], [10, 10], [15, 15]]
    for member, last in zip(result["members"], lines[-1], strict=True):
        assert member["optimizer"] == last["optimizer"]
        count = member["optimizer"]["indefinite"]
        assert member["remark"].startswith(f"newton: the Hessian was indefinite at {count:.0f} of 15 steps")
        assert f"seed {member['seed']}: {member['remark']}" in (run / "report.md").read_text()
    assert any(member["optimizer"]["indefinite"] for member in result["members"]), "a small MLP at its start"


def test_a_rule_that_tells_nothing_leaves_no_trace(tmp_path: Path) -> None:
    run = small_run(tmp_path, "optimizer=sgd")
    assert "remark" not in (run / "result.json").read_text()
    assert '"optimizer"' not in (run / "metrics.jsonl").read_text()
    assert "Update rule" not in (run / "report.md").read_text()
