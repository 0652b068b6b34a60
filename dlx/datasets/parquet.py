"""A table in a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from dlx.core.errors import DataError
from dlx.datasets.sheet import Sheet, shown
from dlx.datasets.table import Table


class Parquet(Table):
    """Parquet: a table of your own in a Parquet file, whose columns say themselves whether they are numbers or texts.

    Source:
        The Parquet format of the Apache Software Foundation, read with polars.
    """

    name: Literal["parquet"] = "parquet"

    def read(self) -> Sheet:
        """Read the file.

        Raises:
            DataError: If it cannot be read as a table.
        """
        import polars as pl

        path = Path(self.path)
        if not path.is_file():
            raise DataError(f"there is no file {path}, which `data.path` names; it is relative to the config")
        try:
            frame = pl.read_parquet(path, glob=False)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(f"{path} is damaged or no Parquet file: {shown(reason)}") from None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
        if not len(frame):
            raise DataError(f"{path}: there are no rows")
        return Sheet(path, frame, range(1, len(frame) + 1))
