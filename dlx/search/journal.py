"""What a search has found so far, on disk: a line for every finished cell, and one for every trial that was told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dlx.core.errors import RunError
from dlx.tracking.files import finite
from dlx.tracking.ledger import Ledger, read_ledger, rewrite_ledger

Line = dict[str, Any]
TRIAL: Mapping[str, type] = {"trial": int, "values": dict}
CELL: Mapping[str, type] = {
    **TRIAL, "id": str, "seed": int, "repeat": int, "fold": int, "epochs": int, "num_steps": int, "stop_reason": str,
}  # fmt: skip
"""What a line has at least, and of which type."""
JOURNAL = {"cells.jsonl": CELL, "trials.jsonl": TRIAL}
"""The files of a journal, and the lines in them."""


class Journal:
    """The cells and trials of a run, in memory and as appended to its files.

    Attributes:
        cells: The line of each finished cell, by its name.
        trials: The line of each trial whose score was told to the sampler, by (outer fold, number).
    """

    def __init__(self, folder: Path) -> None:
        (self._cell_ledger, cells), (self._trial_ledger, trials) = (
            _open(folder / name, kind) for name, kind in JOURNAL.items()
        )
        self.cells: dict[str, Line] = {line["id"]: line for line in cells}
        self.trials: dict[tuple[int | None, int], Line] = {_key(line): line for line in trials}

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path) -> Iterator[Journal]:
        """Open the files of a run, or make them."""
        journal = cls(folder)
        with contextlib.closing(journal._cell_ledger), contextlib.closing(journal._trial_ledger):
            yield journal

    def add_cells(self, lines: Iterable[Line]) -> None:
        """Append finished cells; one that is there already is not written again."""
        for line in finite(list(lines)):
            if line["id"] not in self.cells:
                self.cells[line["id"]] = line
                self._cell_ledger.append(line)

    def add_trial(self, line: Line) -> None:
        """Append a trial whose score was told, unless that is known; of several lines of a trial the last counts."""
        if self.trials.get(_key(line)) != line:
            self.trials[_key(line)] = line
            self._trial_ledger.append(line)

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        self._cell_ledger.sync()
        self._trial_ledger.sync()


def read_lines(path: Path, kind: Mapping[str, type]) -> list[Line]:
    """Read the lines of cells.jsonl or trials.jsonl.

    Args:
        path: The file; one that is missing has no lines.
        kind: What every line has: ``CELL`` or ``TRIAL``.

    Raises:
        RunError: If a line is damaged.
    """
    lines = read_ledger(path)
    for number, line in enumerate(lines, 1):
        parts = {"train": dict, "test": dict} if kind is CELL and line.get("stop_reason") != "diverged" else {}
        for name, wanted in {**kind, **parts}.items():
            if type(line.get(name)) is not wanted:
                raise RunError(f"{path}, line {number} is damaged: it needs `{name}`; restore it from a copy")
    return lines


def _open(path: Path, kind: Mapping[str, type]) -> tuple[Ledger, list[Line]]:
    """Open a ledger without the torn last line that a crash may have left."""
    lines = read_lines(path, kind)
    if path.exists():
        rewrite_ledger(path, lines)
    return Ledger(path), lines


def _key(line: Line) -> tuple[int | None, int]:
    return line.get("outer_fold"), line["trial"]
