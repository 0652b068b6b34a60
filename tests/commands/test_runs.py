"""Lists of runs, and runs side by side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from commands.runs import small_run
from reporting.results import DIVERGED, finished
from stored import RESOLVED, stored, training

from dlx.commands.resume import RESUMABLE
from dlx.commands.runs import EXTENDED_BY, Wanted, compare_runs, diff_runs, list_runs, show_run
from dlx.core.errors import RunError, UsageError

SHORT = ("command", "status", "stop_reason", "data", "model")


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Four runs, an hour apart."""
    made = [f"2026-11-28T1{hour}:00:00+00:00" for hour in range(4)]
    stored(tmp_path, "a-train", created=made[0], result=training(0.9))
    stored(tmp_path, "b-train", created=made[1], result=training(0.97))
    stored(tmp_path, "c-train", created=made[2], result=finished([DIVERGED]), stop_reason="diverged")
    stored(tmp_path, "d-cv", created=made[3], status="running", command="cv")
    return tmp_path


def names(runs: Path, **wanted: Any) -> list[str]:
    return [run["id"][0] for run in list_runs(runs, Wanted(**wanted)).value]


def test_a_list(several: Path) -> None:
    assert names(several) == ["d", "c", "b", "a"]
    assert names(several, limit=2) == ["d", "c"]
    assert names(several, command="train") == ["c", "b", "a"]
    assert names(several, status="killed") == ["d"]
    assert names(several, name="b-t") == ["b"]
    assert names(several, sort="accuracy") == ["b", "a", "d", "c"]
    assert names(several, sort="accuracy", limit=1) == ["b"]
    assert names(several, sort="loss") == ["b", "a", "d", "c"]  # both have the same loss
    assert names(several, command="fly") == []


def test_what_a_list_says(several: Path) -> None:
    shown = list_runs(several, Wanted())
    title, header, *rows = shown.text.splitlines()
    assert title == f"4 runs in {several}, the newest first"
    assert header.split() == ["id", "command", "status", "data", "model", "score", "seconds"]
    cells = [re.split(r" {3,}", row.strip()) for row in rows]
    assert cells[0] == ["d-cv", "cv", "killed", "digits", "mlp [64, 32]", "-", "-"]
    assert cells[1][5] == "diverged"
    assert cells[2][5] == "test accuracy 0.9700"
    assert shown.faults == []
    assert "2 of 4 runs" in list_runs(several, Wanted(limit=2)).text
    assert list_runs(several, Wanted(name="x")).text == f"no such run in {several}\n"


def test_lower_is_better_where_the_run_says_so(tmp_path: Path) -> None:
    for name, value in (("a", 0.2), ("b", 0.1), ("c", 0.3)):
        stored(tmp_path, name, result={**training(value), "higher_is_better": {"accuracy": False}})
    assert names(tmp_path, sort="accuracy") == ["b", "a", "c"]
    first = list_runs(tmp_path, Wanted(sort="loss")).value[0]
    assert first["score"]["name"] == "test loss"


def test_what_cannot_be_listed(several: Path) -> None:
    with pytest.raises(UsageError, match=r"no run here has a score `accurcy`; there are: accuracy, loss"):
        list_runs(several, Wanted(sort="accurcy"))
    with pytest.raises(UsageError, match="there is no status `dead`; known: running, killed"):
        list_runs(several, Wanted(status="dead"))
    with pytest.raises(RunError, match="cannot read"):
        list_runs(several / "missing", Wanted())


def test_damage_is_said_and_the_others_are_listed(several: Path) -> None:
    (several / "a-train" / "result.json").write_text("{")
    (several / "b-train" / "result.json").write_text('{"command": "train", "summary": {"test": 1}}')
    (several / "c-train" / "timing.json").write_text("3")
    (several / "foreign").mkdir()
    shown = list_runs(several, Wanted())
    assert [run["score"] for run in shown.value] == [None] * 4
    assert len(shown.faults) == 4
    assert "foreign is not a run" in shown.faults[0]
    for name in ("a-train", "b-train", "c-train"):
        assert sum(name in fault for fault in shown.faults) == 1


def test_showing_one(several: Path) -> None:
    shown = show_run(several, "b")
    assert shown.value["settings"]["model.hidden"] == "[64, 32]"
    assert "optimizer.lr" not in shown.value["settings"]
    assert shown.value["scores"][0] == {
        "name": "test accuracy", "value": 0.97, "spread": None, "text": "0.9700",
    }  # fmt: skip
    assert shown.value["files"]["config.resolved.yaml"] == len(RESOLVED)
    where = several / "b-train"
    assert shown.text.endswith(
        f"\nextend: dlx resume {where} training.epochs=N\nrepeat: dlx train {where}/config.resolved.yaml\n"
    )
    killed = show_run(several, "d")
    assert f"\ngo on: dlx resume {several / 'd-cv'}\n" in killed.text
    assert "scores: none" in killed.text


def test_how_others_go_on(tmp_path: Path) -> None:
    assert set(EXTENDED_BY) == set(RESUMABLE)
    stored(tmp_path, "check", command="gradcheck")
    stored(tmp_path, "early", resolved=None, status="interrupted")
    stored(tmp_path, "own", status="failed", resolved=f"plugins:\n- path: own.py\n  sha256: 0a\n{RESOLVED}")
    stored(tmp_path, "race", command="compare-optimizers", resolved="surface:\n  name: beale\n")
    steps = {name: show_run(tmp_path, name).value["next"] for name in ("check", "early", "own", "race")}
    assert list(steps["check"]) == list(steps["race"]) == ["repeat"]
    assert steps["early"] == {}
    assert steps["own"]["go on"] == f"dlx resume {tmp_path / 'own'} --plugin own.py"
    assert steps["own"]["repeat"].endswith("--plugin own.py")


def test_side_by_side(several: Path) -> None:
    other = RESOLVED.replace("lr: 0.001", "lr: 0.1").replace("epochs: 30", "epochs: 3")
    stored(several, "other", result=training(0.5), resolved=other)
    shown = compare_runs(several, ["a", "other", "d"])
    assert shown.value["settings"] == {
        "optimizer.lr": ["0.001", "0.1", "0.001"], "training.epochs": ["30", "3", "30"],
    }  # fmt: skip
    lines = [line.split() for line in shown.text.splitlines()]
    assert ["test", "accuracy", "0.9000", "0.5000", "-"] in lines
    assert ["optimizer.lr", "0.001", "0.1", "0.001"] in lines
    with pytest.raises(UsageError, match="nothing to be compared with"):
        compare_runs(several, ["a"])


def test_differences(several: Path) -> None:
    for name, torch in (("a-train", "2.9"), ("b-train", "2.10")):
        (several / name / "environment.json").write_text(f'{{"packages": {{"torch": "{torch}", "numpy": "2"}}}}')
    shown = diff_runs(several, "a", "b")
    assert shown.value["environment"] == {"packages.torch": ["2.9", "2.10"]}
    assert shown.value["scores"] == {"test accuracy": [0.9, 0.97]}
    assert (shown.value["settings"], shown.value["is_same_result"]) == ({}, False)
    assert ["test", "accuracy", "0.9000", "0.9700", "+0.07"] in [line.split() for line in shown.text.splitlines()]
    assert "settings that differ: none" in shown.text


def test_a_difference_below_what_is_shown(tmp_path: Path) -> None:
    for name, value in (("a", 0.5), ("b", 0.5 + 1e-12)):
        stored(tmp_path, name, result=training(value))
    found = diff_runs(tmp_path, "a", "b")
    assert "+1e-12" in found.text
    assert found.value["scores"] == {"test accuracy": [0.5, 0.5 + 1e-12]}


@pytest.mark.usefixtures("no_pictures")
def test_a_repeated_training_is_the_same(tmp_path: Path) -> None:
    first = small_run(tmp_path, "training.epochs=1")
    second = small_run(tmp_path, "training.epochs=1")
    assert first != second
    shown = diff_runs(tmp_path, str(first), str(second))
    assert shown.value["is_same_result"]
    assert (shown.value["settings"], shown.value["scores"], shown.value["environment"]) == ({}, {}, {})
    assert shown.text.endswith("\nresult.json holds the same in both, to the last bit\n")
    listed = list_runs(first.parent, Wanted(sort="accuracy")).value
    assert {run["id"] for run in listed} == {first.name, second.name}
    assert {tuple(run[key] for key in SHORT) for run in listed} == {("train", "done", "done", "two_moons", "mlp [5]")}
