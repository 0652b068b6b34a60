"""Columns of a table as features: numbers as they are, each text a feature that is 0 or 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dlx.core.types import Column
from dlx.datasets.sheet import Sheet, first, shown

if TYPE_CHECKING:
    import polars as pl


def fitted_column(sheet: Sheet, series: pl.Series, max_categories: int, is_imputed: bool) -> Column:
    """Learn how a column becomes features.

    Args:
        sheet: The table, for messages.
        series: The column as numbers or texts.
        max_categories: Different texts that it may have.
        is_imputed: Whether values may be missing.

    Raises:
        DataError: If values are missing that must not be, all are, or there are too many different texts.
    """
    name, num_missing = series.name, series.null_count()
    if num_missing == len(series):
        raise sheet.fault(f"no row has a value; leave the column out: data.ignore: [{name}]", name)
    if num_missing and not is_imputed:
        raise sheet.fault(
            f"there is no value; {num_missing} of {len(series)} rows lack one: set data.missing=impute, or leave the "
            f"column out: data.ignore: [{name}]",
            name,
            first(series.is_null()),
        )
    if series.dtype.is_numeric():
        return Column(name, None, bool(num_missing))
    texts = series.drop_nulls().unique().sort().to_list()
    if len(texts) > max_categories:
        raise sheet.fault(
            f"there are {len(texts)} different texts, more than data.max_categories={max_categories}, and each would "
            f"become a feature; raise it, or leave the column out: data.ignore: [{name}]",
            name,
        )
    return Column(name, tuple(texts), bool(num_missing))


def encode(sheet: Sheet, table: Sequence[Column], unseen: Literal["error", "ignore"]) -> Any:
    """Turn columns into a matrix of features.

    Args:
        sheet: The table.
        table: How its columns become features.
        unseen: What becomes of a text that is no category: refused, or 0 in all of them.

    Returns:
        Features, [N, D], float64; NaN where a number is missing.

    Raises:
        DataError: If a column is not as the features need it.

    Source:
        One-hot encoding: a category is a unit vector, so that no order of texts is assumed.
    """
    width = sum(len(column.feature_names) for column in table)
    inputs, place = np.zeros((len(sheet.frame), width)), 0
    for column in table:
        series = sheet.column(column.name, column.categories is not None)
        if column.categories is None:
            if not series.dtype.is_numeric():
                raise sheet.fault(f"expected a number, found `{shown(series[0])}`", column.name, 0)
            inputs[:, place] = series.to_numpy()
        else:
            rows, numbers = _numbered(sheet, series, column.categories, unseen)
            inputs[rows, place + numbers] = 1
        place += len(column.feature_names)
        if column.has_missing:
            inputs[:, place - 1] = series.is_null().to_numpy()
    return inputs


def _numbered(sheet: Sheet, series: pl.Series, categories: Sequence[str], unseen: Literal["error", "ignore"]) -> Any:
    """Give the rows that have a known text, and the number of its category."""
    import polars as pl

    numbers = series.replace_strict(list(categories), list(range(len(categories))), default=None, return_dtype=pl.Int64)
    index = first(numbers.is_null() & series.is_not_null())
    if index is not None and unseen == "error":
        known = ", ".join(map(shown, categories[:10]))
        raise sheet.fault(
            f"the text `{shown(series[index])}` was not in the table that was learned from ({known} ...); "
            "data.unseen=ignore takes it for none of them",
            series.name,
            index,
        )
    rows = numbers.is_not_null().arg_true().to_numpy()
    return rows, numbers.drop_nulls().to_numpy()
