"""A user's table as it was read: its columns as numbers or texts, and where in the file each row stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.core.errors import DataError
from dlx.core.registry import nearest

if TYPE_CHECKING:
    import polars as pl

MAX_SHOWN = 40
"""Characters of a value, and names of columns, that a message shows at most."""
DATES = (
    r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?$",
    r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( .*)?$",
)
"""How dates are written: with the year first or last, a time after it or none."""

TRUTH = "^(?i:true|false)$"


@dataclass(frozen=True)
class Sheet:
    """A table in memory.

    Attributes:
        path: The file.
        frame: Its columns. Texts are stripped of blanks, and what is missing is null.
        rows: Number in the file of each row; in a CSV the header is row 1.
    """

    path: Path
    frame: pl.DataFrame
    rows: Sequence[int]

    def fault(self, message: str, column: str | None = None, index: int | None = None) -> DataError:
        """Make an error that says where in the file it is.

        Args:
            message: What is wrong and how to mend it.
            column: Name of the column.
            index: Which example, from 0.
        """
        row = [] if index is None else [f"row {self.rows[index]}"]
        return DataError(f"{', '.join([str(self.path), *row, *([f'column `{column}`'] if column else [])])}: {message}")

    def require(self, names: Sequence[str], key: str) -> None:
        """Make sure that there are these columns.

        Args:
            names: Names of columns.
            key: The key of the config that names them.

        Raises:
            DataError: If one is missing.
        """
        for name in names:
            if name not in self.frame.columns:
                near = nearest(name, self.frame.columns)
                hint = f"did you mean `{near}`? " if near else ""
                raise self.fault(f"there is no column `{name}`, which `data.{key}` names; {hint}{self._known()}")

    def _known(self) -> str:
        names = [shown(name) for name in self.frame.columns[:MAX_SHOWN]]
        more = len(self.frame.columns) - len(names)
        return f"columns: {', '.join(names)}{f' and {more} more' if more else ''}"

    def column(self, name: str, is_text: bool = False) -> pl.Series:
        """Give a column as numbers (Float64) or texts (String); null where there is no value.

        Texts that are all numbers are numbers.

        Args:
            name: Its name.
            is_text: Whether it is text whatever is in it.

        Raises:
            DataError: If it holds dates, values that are not finite, or numbers and a few texts among them.
        """
        import polars as pl

        series = self.frame[name]
        kind = series.dtype
        if isinstance(kind, pl.Categorical | pl.Enum | pl.Boolean) or (is_text and kind.is_numeric()):
            series = series.cast(pl.String)
        if series.dtype == pl.String:
            if series.str.contains(TRUTH).all():
                return series.str.to_lowercase()  # as polars writes them where it knows the column as truth values
            return series if is_text else self._text_or_numbers(series)
        if kind.is_numeric() or kind == pl.Null:
            return self._numbers(series.cast(pl.Float64))
        if kind.is_temporal():
            raise self._dates(name)
        raise self.fault(f"values of the type {kind} are neither numbers nor texts; {_left_out(name)}", name)

    def _numbers(self, values: pl.Series) -> pl.Series:
        """Refuse infinite numbers; those that are none (NaN) are missing."""
        if (index := first(values.is_infinite())) is not None:
            raise self.fault("the value is infinite; give a finite number, or leave the cell empty", values.name, index)
        return values.fill_nan(None)

    def _text_or_numbers(self, series: pl.Series) -> pl.Series:
        import polars as pl

        numbers = series.cast(pl.Float64, strict=False)
        is_word = series.is_not_null() & numbers.is_null()
        if (index := first(is_word)) is None:
            return self._numbers(numbers)
        num_words, num_known = int(is_word.sum()), len(series) - series.null_count()
        if 2 * num_words <= num_known:
            raise self.fault(
                f"expected a number as in most rows, found the text `{shown(series[index])}` ({num_words} such); "
                f"mend it, or if it means a missing value add it to data.missing_values, or take the column as text: "
                f"data.categorical: [{series.name}]",
                series.name,
                index,
            )
        if any(series.str.contains(pattern).all() for pattern in DATES):
            raise self._dates(series.name)
        return series

    def _dates(self, name: str) -> DataError:
        return self.fault(
            "dates are not read; write what matters of them as columns of numbers (year, month, days since the first), "
            f"or {_left_out(name)}",
            name,
            0,
        )


def first(is_bad: pl.Series) -> int | None:
    """Find the first true entry, or None."""
    index = is_bad.arg_max() if is_bad.any() else None
    return None if index is None else int(index)


def shown(value: Any) -> str:
    """Write a value in one line, clipped."""
    text = "".join(each if each.isprintable() else "\ufffd" for each in str(value))
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _left_out(name: str) -> str:
    return f"leave the column out: data.ignore: [{name}]"
