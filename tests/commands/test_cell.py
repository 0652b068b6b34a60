"""``dlx cv RUN --cell ID``, and the ``dlx train`` of report.md: a cell of a search, alone, to the same bits."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands.runs import finish, small_run
from commands.searches import HALVING, SMALL, cells, read, small_search

from dlx.commands import cell
from dlx.commands.cell import repeat_cell
from dlx.commands.cv import cv
from dlx.commands.train import train
from dlx.core.errors import CheckError, RunError, UsageError

pytestmark = pytest.mark.usefixtures("no_search_pictures", "no_pictures")

Choose = Callable[[dict[str, Any]], Any]
EARLY = "training.early_stopping={patience: 1, min_delta: 0.02}"
DIABETES = SMALL.replace("two_moons, num_examples: 60", "diabetes").replace("binary_cross_entropy", "mse")
DIVERGING = "search.space={optimizer: [{name: sgd, lr: 0.01}, {name: sgd, lr: 3.0}]}"
LEAVE_ONE_OUT = ("data.num_examples=12", "data.split.valid=0.25", "cv.folds=leave_one_out", "training.batch_size=4")
SEARCHES: dict[str, tuple[str, list[str], Choose]] = {
    "full": (SMALL, ["cv.repeats=2", "cv.seeds=[2, 5]"], lambda line: line["repeat"] and line["seed"] == 5),
    "stopped early": (SMALL, ["training.epochs=30", EARLY], lambda line: line["stop_reason"] == "patience"),
    "rung": (SMALL, [HALVING, "schedule=plateau"], lambda line: line["epochs"] == 2),
    "last rung": (SMALL, [HALVING, "training.epochs=8", EARLY], lambda line: line["epochs"] == 8),
    "diverged": (DIABETES, [DIVERGING], lambda line: line["stop_reason"] == "diverged"),
    "inner": (SMALL, ["cv.nested=true"], lambda line: line.get("outer_fold") == 2 and line["fold"] == 1),
    "outer": (SMALL, ["cv.nested=true", EARLY], lambda line: line["num_valid"] == 0 and line["fold"] == 2),
    "outer, plateau": (
        SMALL,
        ["cv.nested=true", "schedule={name: plateau, patience: 0}", "cv.seeds=2"],
        lambda line: "data.split.valid" in line["values"] and line["seed"] == 1,
    ),
    "left out": (SMALL, [*LEAVE_ONE_OUT], lambda line: line["fold"] == 7),
    "a section": (
        SMALL,
        ["search.space={loss: [{name: binary_cross_entropy}], prior: [null, {name: laplace, rate: 0.1}]}"],
        lambda line: line["values"]["prior"] is not None,
    ),
}  # fmt: skip
"""Config and overrides of a search, and which of its cells."""


@pytest.mark.parametrize("kind", SEARCHES)
def test_alone_to_the_same_bits(tmp_path: Path, kind: str) -> None:
    text, overrides, is_wanted = SEARCHES[kind]
    run = small_search(tmp_path, *overrides, text=text)
    line = next(line for line in cells(run) if is_wanted(line))
    alone = finish(repeat_cell(run, line["id"], tmp_path / "alone"))
    (member,) = read(alone)["members"]
    for key in ("seed", "stop_reason", "best_epoch", "last_epoch", "train", "valid", "test", "first_nonfinite_step"):
        if key != "stop_reason" or line["epochs"] == 8:
            assert member.get(key) == line.get(key)
    assert ("test" in member) == (kind != "diverged")
    again = finish(train(*words(cell.train_line(run, line)), tmp_path / "again"), diverges=kind == "diverged")
    assert read(again)["members"] == [member]


def words(line: str) -> tuple[Path, list[str]]:
    """Read a command line as a shell does."""
    program, command, config, *overrides = shlex.split(line)
    assert (program, command) == ("dlx", "train")
    return Path(config), overrides


def test_the_report_says_how(tmp_path: Path) -> None:
    run = small_search(tmp_path / "a folder's", *["data.split.valid=0.25"], text=SMALL)
    report = (run / "report.md").read_text()
    (name,) = re.findall(r"^dlx cv RUN --cell (\w+)$", report, re.M)
    (line,) = [line for line in cells(run) if line["id"] == name]
    assert line["trial"] == read(run)["selection"]["best"]
    (command,) = re.findall(r"^dlx train .*config\.resolved\.yaml.*$", report, re.M)
    (member,) = read(finish(train(*words(command), tmp_path / "again")))["members"]
    assert {part: member[part] for part in ("train", "valid", "test")} == {
        p: line[p] for p in ("train", "valid", "test")
    }


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("best_epoch", lambda line: line["best_epoch"] - 1),
        ("last_epoch", lambda line: 77),
        ("test", lambda line: {**line["test"], "loss": line["test"]["loss"] * (1 + 2**-52)}),
        ("valid", lambda line: {}),
    ],
)
def test_a_difference_is_found_and_shown(tmp_path: Path, key: str, change: Callable[[dict[str, Any]], Any]) -> None:
    run = small_search(tmp_path)
    first, *rest = cells(run)
    planted = {**first, key: change(first)}
    (run / "cells.jsonl").write_text("".join(json.dumps(line) + "\n" for line in (planted, *rest)))
    with pytest.raises(CheckError) as found:
        finish(repeat_cell(run, first["id"], tmp_path / "alone"))
    assert found.value.exit_code == 4
    expected = f"{key}: {planted[key]} in the search, {first[key]} alone"
    assert str(found.value) == f"cell {first['id']} differs alone from what it was in the search: {expected}"


def test_which_cell(tmp_path: Path) -> None:
    run = small_search(tmp_path)
    names = [line["id"] for line in cells(run)]
    assert cell.find_cell(run, names[3]) == cells(run)[3]
    prefix = next(names[3][:n] for n in range(1, 17) if sum(name.startswith(names[3][:n]) for name in names) == 1)
    assert cell.find_cell(run, prefix) == cells(run)[3]
    two = json.loads(json.dumps(cells(run)[:2]))
    two[0]["id"], two[1]["id"] = "ab" * 8, "ac" * 8
    (run / "cells.jsonl").write_text("".join(json.dumps(line) + "\n" for line in two) + '{"id": "ad')
    for name, found in [
        ("a", "2 cells begin"),
        ("b", "no cell begins"),
        ("", "2 cells begin"),
        ("ad", "no cell begins"),
    ]:
        with pytest.raises(UsageError) as refused:
            cell.find_cell(run, name)
        assert refused.value.exit_code == 2
        assert str(refused.value) == f"{found} with `{name}`; the names of all are in {run / 'cells.jsonl'}"
    assert cell.find_cell(run, "ab")["id"] == "ab" * 8


def test_not_a_search(tmp_path: Path) -> None:
    for run in (small_run(tmp_path), tmp_path / "missing"):
        with pytest.raises(UsageError) as refused:
            next(repeat_cell(run, "ab", tmp_path / "alone"))
        needs = "`--cell` needs the run directory of a dlx cv, with a cells.jsonl"
        assert str(refused.value) == f"{run} is not a search: {needs}"
    assert not (tmp_path / "alone").exists()


@pytest.mark.usefixtures("slice_by_slice")
def test_of_a_search_that_goes_on(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    records = cv(tmp_path / "small.yaml", ["training.epochs=20"], tmp_path / "runs")
    run = next(records).run_dir  # type: ignore[union-attr]
    for _ in records:
        if cells(run):
            break
    with (run / "cells.jsonl").open("a") as file:
        file.write('{"id": "12')  # a line that is being written
    line = cell.find_cell(run, next(iter((run / "cells.jsonl").read_text().splitlines()))[8:24])
    finish(repeat_cell(run, line["id"], tmp_path / "alone"))
    assert not (run / "result.json").exists()
    records.close()  # type: ignore[attr-defined]


def test_damaged_cells(tmp_path: Path) -> None:
    (tmp_path / "cells.jsonl").write_text("{}\nnonsense\n")
    with pytest.raises(RunError, match="line 2 is damaged"):
        next(repeat_cell(tmp_path, "ab", tmp_path / "alone"))
