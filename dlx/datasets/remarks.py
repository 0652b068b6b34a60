"""What is odd about a column of a table, though it can be learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

MIN_ROWS = 10
"""Rows from which on a column with a different value in each looks like an identifier."""


def of_column(series: pl.Series) -> Iterator[str]:
    """Say whether an input is constant, or looks like a number or name of the row."""
    name, count = series.name, len(series)
    num_values = series.n_unique()
    if num_values == 1:
        yield f"`{name}` is the same in every row, so nothing can be learned from it (data.ignore: [{name}])"
    elif num_values == count >= MIN_ROWS and (not series.dtype.is_numeric() or _counts(series)):
        yield f"`{name}` looks like an identifier of the row, which tells nothing of others (data.ignore: [{name}])"


def _counts(series: pl.Series) -> bool:
    """Whether numbers, all different, are consecutive whole ones."""
    low, high = series.min(), series.max()
    is_whole = bool((series == series.floor()).all())
    return is_whole and isinstance(low, float) and isinstance(high, float) and high - low == len(series) - 1
