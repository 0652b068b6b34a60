"""Whether a column of targets holds classes or values, and which classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlx.core.types import Task
from dlx.datasets.sheet import Sheet

if TYPE_CHECKING:
    import polars as pl

MAX_CLASSES = 20
"""Different whole numbers that are taken for classes, at most."""
MIN_PER_CLASS = 5
"""Examples of each class on average, at least, where there are more than two."""


def task_of(series: pl.Series) -> Task:
    """Guess from a column of targets, without missing values, what kind it is."""
    if not series.dtype.is_numeric():
        return "classification"
    limit = max(2, min(MAX_CLASSES, len(series) // MIN_PER_CLASS))
    is_class = bool((series == series.floor()).all()) and series.n_unique() <= limit
    return "classification" if is_class else "regression"


def reason(series: pl.Series, task: Task) -> str:
    """Say in a sentence what was guessed, why, and how to say otherwise."""
    other = "regression" if task == "classification" else "classification"
    if not series.dtype.is_numeric():
        return f"`{series.name}` holds texts, so the task is {task}"
    kind = f"{series.n_unique()} different {'whole ' if task == 'classification' else ''}numbers"
    return f"`{series.name}` has {kind}, so the task is {task} (data.task={other} says otherwise)"


def classes_of(sheet: Sheet, series: pl.Series) -> tuple[Any, tuple[str, ...]]:
    """Number the classes of a column of targets.

    Args:
        sheet: The table, for messages.
        series: The column, without missing values.

    Returns:
        Classes in 0..C-1, [N], int64, and the name of each: texts in their order, numbers in theirs.

    Raises:
        DataError: If there are so many that they can be no classes.
    """
    values, numbers = np.unique(series.to_numpy(), return_inverse=True)
    if len(values) > max(2, len(series) // 2):
        raise sheet.fault(
            f"{len(values)} different values in {len(series)} rows are no classes; name another column as data.target, "
            "or for values set data.task=regression",
            series.name,
        )
    return numbers.astype(np.int64), tuple(map(_name, values.tolist()))


def _name(value: Any) -> str:
    """Write a class: 3 where a column of numbers says 3.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
