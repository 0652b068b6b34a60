"""What is odd about a column of a table, though it can be learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

MIN_ROWS = 10
"""Rows from which on a column with a different value in each looks like an identifier."""
MAX_SPREAD = 2
"""Whole numbers between the first and the last that there may be for each row, so that they look like its number."""


def of_column(series: pl.Series) -> Iterator[str]:
    """Say whether an input is constant, or looks like a number or name of the row."""
    name, low = series.name, series.min()
    if low == series.max() and not series.null_count():
        yield f"`{name}` is the same in every row, so nothing can be learned from it (data.ignore: [{name}])"
    elif len(series) >= MIN_ROWS and (
        _counts(series) if series.dtype.is_numeric() else series.n_unique() == len(series)
    ):
        yield f"`{name}` looks like an identifier of the row, which tells nothing of others (data.ignore: [{name}])"


def _counts(series: pl.Series) -> bool:
    """Whether numbers are whole ones, each once, with few left out between the first and the last."""
    low, high = series.min(), series.max()
    if not (isinstance(low, float) and isinstance(high, float) and high - low < MAX_SPREAD * len(series)):
        return False  # counting different numbers takes long
    return bool((series == series.floor()).all()) and series.n_unique() == len(series)
