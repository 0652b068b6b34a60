"""What all figures share: colours and marks that also tell apart in grey print, headings, legends, the PNG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dlx.reporting.report import replace_file

Floats = np.ndarray[Any, np.dtype[np.float64]]
GREY = "#4D4D4D"
GRID_COLOUR = "#E0E0E0"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")
"""Okabe and Ito's palette, its yellow darkened so that lines and marks of it are seen on white."""
MARKERS = "osD^vP*X<>"
DPI = 100
"""Pixels per inch of the small figures; the learning curve has more."""
LARGEST = 1e150
"""Larger values are drawn as this: axes and squares of them would overflow."""


@dataclass(frozen=True)
class Style:
    """How a part is drawn: a colour of Okabe and Ito's palette, and what tells it apart in grey print."""

    colour: str
    dashes: Any
    marker: str


STYLES = {
    "train": Style("#0072B2", "solid", "s"),
    "valid": Style("#D55E00", (0, (4, 1.6)), "o"),
    "test": Style("#000000", "none", "D"),
}


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of so many inches."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save_figure(draw: Callable[[], Figure], path: Path, dpi: int = 150) -> None:
    """Draw a figure in matplotlib's default style, whatever the process has set, and replace a PNG by it.

    Args:
        draw: Gives the figure.
        path: The PNG; its folder is made if it is missing.
        dpi: Pixels per inch.

    Raises:
        RunError: If the file cannot be written.
    """
    buffer = io.BytesIO()
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a run may be named in any script
        draw().savefig(buffer, format="png", dpi=dpi)
    replace_file(path, buffer.getvalue())


def panels(
    width: float,
    height: float,
    title: str,
    note: str,
    rows: int = 1,
    columns: int = 1,
    *,
    left: float = 0.85,
    bottom: float = 0.55,
    room: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """Make a figure with a heading and panels in a grid, given row by row.

    Args:
        width: Inches of one panel with its labels.
        height: Inches of one panel with its labels.
        title: What the figure shows.
        note: How it is to be read, in a line or two.
        rows: Rows of panels.
        columns: Panels in each.
        left: Inches left of each panel for its labels.
        bottom: Inches under each panel for its labels.
        room: Inches left free between note and panels.
    """
    head = 0.62 + 0.17 * note.count("\n") + room
    whole = columns * width, rows * height + head
    figure = new_figure(*whole)
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=left / whole[0], right=1 - 0.3 / whole[0], bottom=bottom / whole[1], top=1 - (head + 0.13) / whole[1],
        wspace=(left + 0.25) / (width - left - 0.25), hspace=(bottom + 0.2) / (height - bottom - 0.2),
    )  # fmt: skip
    figure.text(0.2 / whole[0], 1 - 0.3 / whole[1], title, fontsize=12, fontweight="bold", parse_math=False)
    figure.text(
        0.2 / whole[0], 1 - 0.4 / whole[1], note, fontsize=8.5, color=GREY, va="top", linespacing=1.25, parse_math=False
    )
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_axisbelow(True)
        panel.grid(color=GRID_COLOUR, linewidth=0.6)
    return figure, list(axes.flat)


def label(axes: Axes, x: str, y: str) -> None:
    """Name the axes; a name is shown as it is, not read as a formula."""
    axes.set_xlabel(x, parse_math=False)
    axes.set_ylabel(y, parse_math=False)


def add_legend(axes: Axes, **settings: Any) -> None:
    """Explain what is drawn, if anything is."""
    if axes.get_legend_handles_labels()[1] or settings.get("handles"):
        for text in axes.legend(**{"fontsize": 8.5, "framealpha": 0.85, "edgecolor": "none", **settings}).get_texts():
            text.set_parse_math(False)


def over_seeds(count: int, text: str = "mean and ±1 standard deviation (band)") -> str:
    """Say over how many seeds something is taken; nothing for one."""
    return f"{text} over {count} seeds" if count > 1 else ""


def numbers(values: Sequence[float | None]) -> Floats:
    """Turn values into an array, NaN for what is missing, no value so large that axes or squares overflow."""
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return np.clip(found, -LARGEST, LARGEST)
