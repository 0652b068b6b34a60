"""What a search found, on disk: after a crash, after a resume, and never twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlx.core.errors import RunError
from dlx.search.journal import Journal

LINES: list[dict[str, Any]] = [
    {
        "id": f"{number:016x}", "values": {}, "trial": number, "seed": 0, "repeat": 0, "fold": 0, "epochs": 2,
        "num_steps": 8, "stop_reason": "max_epochs", "train": {}, "test": {"loss": number / 7},
    }
    for number in range(4)
]  # fmt: skip
TOLD: list[dict[str, Any]] = [{"trial": number, "values": {"a.b": [number]}, "told": None} for number in range(3)]


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(folder: Path) -> None:
    with Journal.open(folder) as journal:
        journal.add_cells(LINES)
        for line in TOLD:
            journal.add_trial(line)


def test_what_is_written_is_found_again(tmp_path: Path) -> None:
    write(tmp_path)
    with Journal.open(tmp_path) as journal:
        assert journal.cells == {line["id"]: line for line in LINES}
        assert journal.trials == {(None, line["trial"]): line for line in TOLD}


def test_lines_are_on_disk_as_they_are_added(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        journal.add_cells(LINES[:1])
        journal.add_trial(TOLD[0])
        assert (read(tmp_path / "cells.jsonl"), read(tmp_path / "trials.jsonl")) == (LINES[:1], TOLD[:1])


@pytest.mark.parametrize("kept", [1, 20, -2, -1])
@pytest.mark.parametrize("name", ["cells.jsonl", "trials.jsonl"])
def test_a_torn_last_line_is_written_anew(tmp_path: Path, name: str, kept: int) -> None:
    write(tmp_path)
    path = tmp_path / name
    *whole, last = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole) + last[:kept])
    with Journal.open(tmp_path) as journal:
        is_torn = kept != -1  # only the newline was lost
        assert len(journal.cells) == len(LINES) - (is_torn and name == "cells.jsonl")
        assert len(journal.trials) == len(TOLD) - (is_torn and name == "trials.jsonl")
    write(tmp_path)
    assert (read(tmp_path / "cells.jsonl"), read(tmp_path / "trials.jsonl")) == (LINES, TOLD)


def test_damage_before_the_last_line_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "cells.jsonl"
    path.write_text(path.read_text().replace('{"id": "0000000000000001"', '{"id"'))
    with pytest.raises(RunError, match=r"cells.jsonl, line 2 is damaged"), Journal.open(tmp_path):
        pass


@pytest.mark.parametrize("name", ["id", "values", "trial", "seed", "epochs", "num_steps", "test"])
def test_a_line_that_lacks_what_every_cell_has_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    lines = [LINES[0], {key: value for key, value in LINES[1].items() if key != name}]
    (tmp_path / "cells.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RunError, match=rf"cells.jsonl, line 2 is damaged: it needs `{name}`"), Journal.open(tmp_path):
        pass


def test_a_cell_is_written_once(tmp_path: Path) -> None:
    for _ in range(2):
        with Journal.open(tmp_path) as journal:
            journal.add_cells([*LINES, *LINES, {**LINES[0], "trial": 9}])
    assert read(tmp_path / "cells.jsonl") == LINES


def test_of_what_was_told_of_a_trial_the_last_counts(tmp_path: Path) -> None:
    for told in (None, None, 0.5, 0.5):
        with Journal.open(tmp_path) as journal:
            journal.add_trial({**TOLD[0], "told": told})
            assert journal.trials[None, 0]["told"] == told
    assert [line["told"] for line in read(tmp_path / "trials.jsonl")] == [None, 0.5]
    with Journal.open(tmp_path) as journal:
        assert journal.trials[None, 0]["told"] == 0.5


def test_trials_of_outer_folds_are_others(tmp_path: Path) -> None:
    with Journal.open(tmp_path) as journal:
        for line in (TOLD[0], {**TOLD[0], "outer_fold": 0}, {**TOLD[0], "outer_fold": 1}):
            journal.add_trial(line)
    with Journal.open(tmp_path) as journal:
        assert set(journal.trials) == {(None, 0), (0, 0), (1, 0)}


def test_what_is_not_finite_is_null_in_memory_as_on_disk(tmp_path: Path) -> None:
    line = {**LINES[0], "test": {"loss": float("inf"), "r2": float("nan")}}
    with Journal.open(tmp_path) as journal:
        journal.add_cells([line])
        assert journal.cells[line["id"]]["test"] == {"loss": None, "r2": None}
    with Journal.open(tmp_path) as journal:
        assert journal.cells[line["id"]]["test"] == {"loss": None, "r2": None}
