"""Scales and legends of the figures of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from dlx.reporting.drawing import LARGEST, Floats, Style
from dlx.reporting.search_trials import value_text

SMALLEST = 1e-12
"""Losses below it are drawn as it on a logarithmic axis."""
MOST_TICKS, FEWEST_TICKS = 6, 3
ROW = 0.17
"""Inches that a row of a legend needs."""


@dataclass(frozen=True)
class Scale:
    """How far an axis reaches, and whether it is logarithmic.

    Attributes:
        low: Lowest value that is to be seen.
        high: Highest value that is to be seen, above ``low``.
        is_log: Whether the axis is logarithmic; then ``low`` is positive.
    """

    low: float
    high: float
    is_log: bool

    def at(self, share: float) -> float:
        """Give the value at a share of the way from ``low`` to ``high``; below 0 and above 1 it lies beyond."""
        if self.is_log:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)

    def clip(self, values: Floats, reach: float = 1.0) -> Floats:
        """Bring values that lie far beyond nearer, infinite ones too, so that lines leave the axis where they should.

        Args:
            values: Of any shape.
            reach: How far beyond they may be, in lengths of the axis.
        """
        return np.clip(values, self.at(-reach), self.at(1 + reach))

    def show(self, axes: Axes, which: str = "y", above: float = 0.04, below: float = 0.04) -> None:
        """Set scale, limits and ticks of an axis of a panel.

        Args:
            axes: The panel.
            which: ``x`` or ``y``.
            above: Margin beyond ``high``, as a share of the axis.
            below: Margin beyond ``low``.
        """
        axes.set(**{f"{which}scale": "log" if self.is_log else "linear"})
        axes.set(**{f"{which}lim": (self.at(-below), self.at(1 + above))})
        axis = axes.xaxis if which == "x" else axes.yaxis
        axis.set_minor_locator(NullLocator())
        ticks = log_ticks(self.low, self.high) if self.is_log else _linear_ticks(self.low, self.high)
        axis.set_ticks(ticks, [value_text(tick) for tick in ticks], fontsize=9)


def loss_scale(values: Floats, is_log: bool, high: float | None = None) -> Scale:
    """Make the scale of losses that shows all values, or those up to ``high``.

    Args:
        values: The losses, of any shape; infinite ones are beyond every axis.
        is_log: Whether the loss cannot be negative, and so is drawn on a logarithmic axis.
        high: Highest loss that is to be seen.
    """
    found = values[np.isfinite(values) & (np.abs(values) < LARGEST)]
    if is_log:
        found = np.maximum(found[found > 0], SMALLEST)
    if not len(found):
        return Scale(0.1, 1.0, is_log)
    low = float(found.min())
    top = float(found.max()) if high is None or not low < high < LARGEST else high
    if is_log:
        return Scale(low, top, is_log=True) if top > 1.05 * low else Scale(low / 1.5, 1.5 * top, is_log=True)
    return Scale(low, max(top, low + (0.05 * abs(low) or 1.0)), is_log=False)


def log_ticks(low: float, high: float) -> list[float]:
    """Give some round numbers within a range: powers of ten if there are enough, else of a finer kind."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5)):
        ticks = [float(f"{digit}e{power}") for power in powers for digit in digits]
        inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(inside) >= FEWEST_TICKS:
            return inside[:: -(-len(inside) // MOST_TICKS)]
    return _linear_ticks(low, high)


def _linear_ticks(low: float, high: float) -> list[float]:
    slack = 1e-9 * (high - low)
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(f"{tick:.12g}") for tick in ticks if low - slack <= tick <= high + slack]


def line_handle(style: Style, text: str, *, marked: bool = True) -> Line2D:
    """Make the entry of an arm in a legend."""
    return Line2D(
        [], [], color=style.colour, linestyle=style.dashes, linewidth=1.7, marker=style.marker if marked else None,
        markersize=4.5, label=text,
    )  # fmt: skip


def legend_room(handles: Sequence[Artist], width: float) -> float:
    """Give the inches that a legend of rows over the whole width of a figure needs.

    Args:
        handles: Its entries, each with a label.
        width: Inches of the figure.
    """
    return ROW * -(-len(handles) // _columns(handles, width)) + 0.03 if handles else 0.0


def _columns(handles: Sequence[Artist], width: float) -> int:
    longest = max(len(str(handle.get_label())) for handle in handles)
    return max(1, min(len(handles), int((width - 0.3) / (0.073 * longest + 0.62))))


def legend_under(figure: Figure, note: str, handles: Sequence[Artist], **settings: Any) -> None:
    """Put a legend in rows under the note, where ``legend_room`` was left.

    Args:
        figure: The figure.
        note: Its note.
        handles: The entries, each with a label.
        settings: More for matplotlib.
    """
    if not handles:
        return
    width, height = figure.get_size_inches()
    top = 0.55 + ROW * note.count("\n")
    legend = figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.12 / width, 1 - top / height), frameon=False, borderpad=0,
        ncols=_columns(handles, width), labelspacing=0.3, columnspacing=1.4,
        **{"fontsize": 8.5, "handlelength": 3.0, "handletextpad": 0.5, **settings},
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
