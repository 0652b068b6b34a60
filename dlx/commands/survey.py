"""What a look at a user's table says: which columns can be learned from, and what kind of target there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dlx.core.errors import DataError
from dlx.core.types import Task
from dlx.datasets import remarks
from dlx.datasets.csv import SEPARATORS, Csv
from dlx.datasets.encoding import fitted_column
from dlx.datasets.parquet import Parquet
from dlx.datasets.sheet import Sheet
from dlx.datasets.table import Table

PARQUET = (".parquet", ".pq")
"""Ends of the names of Parquet files; any other is read as text."""


@dataclass
class Survey:
    """What is known of a table.

    Attributes:
        table: The data set as the config names it, with what has no default.
        num_rows: Rows, N.
        num_columns: Columns of the file.
        task: What kind of target there is.
        reason: Why, in a sentence.
        class_sizes: Examples of each class; empty for values.
        inputs: Columns that are inputs.
        left_out: Columns that cannot be inputs, or tell nothing, and why.
        lacking: Inputs with missing values.
    """

    table: Table
    num_rows: int
    num_columns: int
    task: Task
    reason: str
    class_sizes: list[int]
    inputs: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)


def survey(path: Path, targets: Sequence[str]) -> Survey:
    """Look at a table.

    Args:
        path: The file, a CSV or Parquet.
        targets: Columns to be predicted, at least one.

    Raises:
        DataError: If the file cannot be read, or has no such columns, or a target that cannot be predicted.
    """
    table = _table(path, targets)
    sheet = table.read()
    sheet.require(targets, "target")
    values, task, _, reasons = table.load_targets(sheet)
    sizes = np.bincount(values).tolist() if task == "classification" else []
    reason = reasons[0] if reasons else "a list of targets is for values, so the task is regression"
    found = Survey(table, len(values), sheet.frame.width, task, reason.partition(" (")[0], sizes)
    for name in sheet.frame.columns:
        if name not in targets:
            _judge(found, sheet, name)
    if not found.inputs:
        why = "; ".join(f"`{name}` {each}" for name, each in found.left_out.items()) or "there is no other column"
        raise sheet.fault(f"nothing is left to learn from: {why}")
    return found


def _table(path: Path, targets: Sequence[str]) -> Table:
    """Choose how a file is read; of a text file, which character separates values."""
    given: dict[str, Any] = {"path": str(path), "target": targets[0] if len(targets) == 1 else tuple(targets)}
    if path.suffix.lower() in PARQUET:
        return Parquet(**given)
    table = Csv(**given)
    for separator in SEPARATORS if path.is_file() else ():
        other = Csv(**given, separator=separator)
        try:
            if set(targets) <= set(other.header()):
                return other
        except DataError:
            continue
    return table


def _judge(found: Survey, sheet: Sheet, name: str) -> None:
    """Say whether a column is an input."""
    try:
        series = sheet.column(name)
        column = fitted_column(sheet, series, found.table.max_categories, is_imputed=True)
    except DataError as error:
        found.left_out[name] = str(error).removeprefix(f"{sheet.path}, ").partition("; ")[0]
        return
    if notes := list(remarks.of_column(series)):
        found.left_out[name] = notes[0].removeprefix(f"`{name}` ").partition(" (")[0]
        return
    found.inputs.append(name)
    if column.has_missing:
        found.lacking.append(name)
