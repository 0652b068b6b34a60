"""One cell of a search alone: the command that trains it, and the proof that it comes to the same bits."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlx.commands.train import train
from dlx.core.errors import CheckError, DlxError, UsageError
from dlx.core.records import PARTS, Cell, Finished, Record
from dlx.search.cells import cell_overrides
from dlx.search.journal import CELL, Line, read_lines
from dlx.tracking.files import finite

COMPARED = ("best_epoch", "last_epoch", *PARTS, "first_nonfinite_step", "last_finite_loss")
"""What a cell and a training have in common; that of a cell whose training was cut short by halving stops there too."""


def repeat_cell(run: Path, name: str, runs_dir: Path, plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Train one cell of a search alone, as ``dlx train`` does, and compare the two bit for bit.

    Args:
        run: The search's run directory.
        name: The cell's name, or its first digits.
        runs_dir: Folder that the training's own run directory is made in.
        plugins: The files of definitions that the search was begun with.

    Yields:
        As ``train`` does.

    Raises:
        UsageError: If there is no such cell.
        CheckError: If anything differs.
    """
    line = find_cell(run, name)
    found: dict[str, Any] = {}
    try:
        for record in train(run / "config.resolved.yaml", overrides_of(line), runs_dir, plugins):
            if isinstance(record, Finished):
                found = record.result["members"][0]
            yield record
    except DlxError:
        if not found:
            raise  # it never came to an end; one that diverged, which is an error too, is to be compared
    alone = finite(found)
    differing = [key for key in COMPARED if line.get(key) != alone.get(key)]
    if differing:
        shown = "; ".join(f"{key}: {line.get(key)} in the search, {alone.get(key)} alone" for key in differing)
        raise CheckError(f"cell {line['id']} differs alone from what it was in the search: {shown}")


def find_cell(run: Path, name: str) -> Line:
    """Give the line of a cell.

    Args:
        run: The search's run directory.
        name: The cell's name, or its first digits.

    Raises:
        UsageError: If the run is no search, or has no such cell or several.
        RunError: If its cells.jsonl is damaged.
    """
    if not (run / "cells.jsonl").is_file():
        raise UsageError(f"{run} is not a search: `--cell` needs the run directory of a dlx cv, with a cells.jsonl")
    lines = [line for line in read_lines(run / "cells.jsonl", CELL) if line["id"].startswith(name)]
    if len(lines) != 1 or not name:
        found = f"{len(lines)} cells begin" if lines else "no cell begins"
        raise UsageError(f"{found} with `{name}`; the names of all are in {run / 'cells.jsonl'}")
    return lines[0]


def overrides_of(line: Line) -> list[str]:
    """Give the ``KEY=VALUE`` that turn the config of a search into the training of one of its cells."""
    cell = Cell(line["seed"], line["repeat"], line["fold"], line.get("outer_fold"), line["trial"])
    return cell_overrides(line["values"], cell, line["epochs"])


def train_line(run: Path, line: Line, flags: Sequence[str] = ()) -> str:
    """Write the command that trains one cell alone, with the flags that name its plugins."""
    return shlex.join(["dlx", "train", str(run / "config.resolved.yaml"), *overrides_of(line), *flags])
