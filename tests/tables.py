"""Small tables as files, for data sets and commands that read a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

TABLES = ("csv", "parquet")
"""Data sets that read a table."""


def flats(num_rows: int = 60, holes: bool = False) -> pl.DataFrame:
    """Flats with a rent that follows from size and city, up to noise; with holes, some of both are missing."""
    rng = np.random.default_rng(0)
    size, city = rng.uniform(20, 150, num_rows).round(2), rng.choice(["Ulm", "Bonn", "Kiel"], num_rows)
    rent = 8 * size + 200 * (city == "Bonn") + rng.normal(size=num_rows)
    frame = pl.DataFrame({"size": size, "city": city, "floor": rng.integers(0, 9, num_rows), "rent": rent.round(2)})
    if not holes:
        return frame
    gap = pl.Series(rng.random(num_rows) < 0.2)
    other = pl.Series(rng.random(num_rows) < 0.2)
    return frame.with_columns(pl.when(~gap).then(pl.col("size")), pl.when(~other).then(pl.col("city")))


def write_frame(frame: pl.DataFrame, path: Path) -> Path:
    """Write a table as its name ends."""
    (frame.write_parquet if path.suffix == ".parquet" else frame.write_csv)(path)
    return path


def write_table(folder: Path, kind: str, holes: bool = False) -> dict[str, Any]:
    """Write flats into a folder, and give the settings of a data set that reads them.

    Args:
        folder: Where to.
        kind: One of ``TABLES``.
        holes: Whether values are missing.
    """
    return {"path": str(write_frame(flats(holes=holes), folder / f"flats.{kind}")), "target": "rent"}
