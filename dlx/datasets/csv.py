"""A table in a text file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from dlx.core.errors import DataError
from dlx.datasets.sheet import Sheet, shown
from dlx.datasets.table import Table

if TYPE_CHECKING:
    import polars as pl

MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "?")
SEPARATORS = {";": "';'", "\t": '"\\t"', "|": "'|'", ",": "','"}
"""Characters that separate values, and how a config writes each."""


class Csv(Table):
    """CSV: a table of your own in a text file, its first row the names of the columns, in UTF-8.

    Rows without any value are left out. Numbers have a decimal point. A column is text where most of its values are no
    numbers; true and false are texts, too.

    Source:
        RFC 4180, read with polars.
    """

    name: Literal["csv"] = "csv"
    separator: Annotated[str, Field(pattern=r'^[^"\r\n\x80-\uffff]$')] = ","
    """The character between two values."""
    missing_values: Annotated[tuple[str, ...], Field(strict=False)] = MISSING
    """What a cell says where a value is missing."""

    def header(self) -> list[str]:
        """Give the names of the columns.

        Raises:
            DataError: If there is no such file, or its first row are no names.
        """
        return _header(Path(self.path), self.separator)

    def read(self) -> Sheet:
        """Read the file.

        Raises:
            DataError: If it cannot be read as a table.
        """
        import polars as pl

        path = Path(self.path)
        names = self.header()
        frame = self._parse(path, names)
        is_row = ~frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        rows: Sequence[int] = range(2, len(frame) + 2)
        if not is_row.all():
            rows, frame = (is_row.arg_true() + 2).to_list(), frame.filter(is_row)
        if not len(frame):
            raise DataError(f"{path}: there are names of columns, but no rows")
        if frame.to_series(-1).null_count():  # polars fills what a short row lacks
            _check_widths(path, self.separator, len(names))
        return Sheet(path, frame, rows)

    def _parse(self, path: Path, names: list[str]) -> pl.DataFrame:
        """Read columns as numbers where their first rows are such, or if that fails later all as texts."""
        import polars as pl

        texts = {name: pl.String for name in names if name in self.categorical}
        found: Exception | None = None
        for is_guessed in (True, False):
            try:
                frame = pl.read_csv(
                    path,
                    glob=False,
                    separator=self.separator,
                    null_values=list(self.missing_values),
                    infer_schema=is_guessed,
                    schema_overrides=texts if is_guessed else None,
                )
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                found = error
                continue
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror}") from None
            if frame.width != len(names):
                raise DataError(f"{path}: row 1 names {len(names)} columns, but polars finds {frame.width} in the file")
            frame.columns = names
            return frame.with_columns(self._stripped(pl.col(pl.String)))
        _check_widths(path, self.separator, len(names))
        reason = str(found).strip().splitlines()[0]
        raise DataError(f"{path} cannot be read as a table: {shown(reason)}; look for a quote that is never closed")

    def _stripped(self, texts: pl.Expr) -> pl.Expr:
        """Strip texts of blanks; what then says that a value is missing is null."""
        import polars as pl

        bare = texts.str.strip_chars()
        return pl.when(~bare.is_in(list(self.missing_values))).then(bare)


def _header(path: Path, separator: str) -> list[str]:
    """Give the names of the columns.

    Raises:
        DataError: If there is no such file, or its first row are no names.
    """
    names = next((each for _, each in _records(path, separator)), None)
    if names is None:
        raise DataError(f"{path} is empty; expected a row of names and then one for each example")
    names = [name.strip() for name in names]
    others = [each for each in SEPARATORS if each != separator and each in "".join(names)]
    if len(names) == 1 and others:
        raise DataError(
            f"{path}: there is one column, `{shown(names[0])}`, with `{separator}` between values; "
            f"if another character separates them, set data.separator={SEPARATORS[others[0]]}"
        )
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(f"{path}, row 1: column {number} has no name; the first row names the columns")
        if (earlier := names.index(name) + 1) < number:
            raise DataError(f"{path}, row 1: columns {earlier} and {number} have one name, `{shown(name)}`; rename one")
    if all(map(_is_number, names)):
        raise DataError(f"{path}, row 1: these are numbers, but the first row names the columns; add a row of names")
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_widths(path: Path, separator: str, width: int) -> None:
    """Refuse a row with more or fewer values than there are names; a blank line is none."""
    for row, values in _records(path, separator):
        if values and len(values) != width:
            raise DataError(
                f"{path}, row {row}: expected {width} values as there are names of columns, found {len(values)}; "
                'a text with a separator in it stands in quotes: "a, b"'
            )


def _records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Give the rows of a file as texts, with their numbers from 1.

    Raises:
        DataError: If there is no such file, or it is no text in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from enumerate(csv.reader(file, delimiter=separator), 1)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}, which `data.path` names; it is relative to the config") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}, row {_first_undecodable(path)}: {NOT_UTF8}") from None
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from None


NOT_UTF8 = "the text is not in UTF-8; save the file anew in that encoding (iconv -f latin1 -t utf-8 OLD > NEW)"


def _first_undecodable(path: Path) -> int:
    """Find the first line whose bytes are no UTF-8, from 1."""
    with path.open("rb") as file:
        return next(number for number, line in enumerate(file, 1) if not _is_utf8(line))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
