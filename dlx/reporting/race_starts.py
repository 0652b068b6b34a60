"""Draws for every rule where each start ends: over the contours, each start as a mark of what became of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dlx.reporting.drawing import COLOURS, GREY, MARKERS, Floats, label, numbers, panels
from dlx.reporting.landscape_levels import Levels
from dlx.reporting.race_tables import fate_name
from dlx.reporting.tables import shorten

COLUMNS = 3
"""Panels beside each other, at most."""
LINES = "#C4C4C4"
OTHERS: dict[str, dict[str, Any]] = {
    "other minimum": {"marker": "P", "color": COLOURS[4]},
    "saddle": {"marker": "X", "color": COLOURS[5]},
    "maximum": {"marker": "v", "color": COLOURS[7]},
    "under way": {"marker": "o", "color": GREY, "markerfacecolor": "white"},
    "outside": {"marker": "^", "color": "black", "markerfacecolor": "white"},
    "diverged": {"marker": "x", "color": "black", "markeredgewidth": 1.4},
}
"""How starts are drawn that do not arrive at a known minimum."""
NUM_LINES = 10
"""Lines of equal height, about."""


def draw(result: dict[str, Any], shown: dict[str, Any]) -> Figure:
    """Draw one panel per rule.

    Args:
        result: Content of result.json, of a surface of two variables.
        shown: Content of race.json.
    """
    rules, plane = result["optimizers"], shown["plane"]
    fates = [fate for fate in result["fates"] if any(fate in each["all"]["fates"] for each in rules)]
    columns = min(COLUMNS, len(rules))
    rows = math.ceil(len(rules) / columns)
    title = f"{shorten(str(result['name']), 30)}: where each start ends"
    legend_rows = math.ceil(len(fates) / (2 * columns))
    note = f"a mark: one of {result['num_starts']:,} starts, larger the usual one"
    room = 0.24 * legend_rows
    figure, axes = panels(3.5, 3.1, title, note, rows, columns, left=0.6, bottom=0.65, room=room)
    for panel, rule, ends in zip(axes, rules, plane["fates"], strict=False):  # the last row may have empty panels
        draw_contours(panel, plane)
        _draw_starts(panel, result, np.array(plane["starts"]), ends)
        panel.set_title(shorten(rule["label"], 34), fontsize=9.5, loc="left", parse_math=False)
        label(panel, "x1", "x2")
    for panel in axes[len(rules) :]:
        panel.remove()
    _add_marks_legend(figure, result, fates, 2 * columns)
    return figure


def draw_contours(axes: Axes, plane: dict[str, Any]) -> None:
    """Draw lines of equal height, pale, for what is drawn over them must tell apart in grey print."""
    values = np.array([numbers(row) for row in plane["values"]])
    across, up = (np.array(axis) for axis in plane["axes"])
    finite = np.ma.masked_invalid(values)
    bounds = Levels.of(values).bounds[1:-1]
    axes.grid(visible=False)
    axes.contour(across, up, finite, bounds[:: max(1, len(bounds) // NUM_LINES)], colors=LINES, linewidths=0.7)
    axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
    axes.locator_params(nbins=5)


def _draw_starts(axes: Axes, result: dict[str, Any], starts: Floats, fates: list[str]) -> None:
    for number, minimum in enumerate(result["minima"], 1):
        style = _style(f"minimum {number}")
        axes.plot(
            *minimum["point"], marker="*", markersize=15, linestyle="none", color=style["color"],
            markeredgecolor="black", zorder=6, gid="minimum",
        )  # fmt: skip
    for number, (start, fate) in reversed(list(enumerate(zip(starts, fates, strict=True)))):
        size = 5.0 if number else 9.0
        axes.plot(
            *start, linestyle="none", markersize=size, zorder=4 if number else 5, clip_on=number == 0,
            gid=f"start-{number}", **_style(fate),
        )  # fmt: skip


def _style(fate: str) -> dict[str, Any]:
    """Give how a start is drawn that ended so."""
    if fate in OTHERS:
        return OTHERS[fate]
    number = int(fate.split()[1]) - 1
    filled = {"markeredgecolor": "white", "markeredgewidth": 0.4}
    return {"marker": MARKERS[number % len(MARKERS)], "color": COLOURS[number % len(COLOURS)], **filled}


def _add_marks_legend(figure: Figure, result: dict[str, Any], fates: list[str], columns: int) -> None:
    """Explain the marks under the note."""
    handles = [
        Line2D([], [], linestyle="none", markersize=6, label=fate_name(fate, result), **_style(fate)) for fate in fates
    ]
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.1 / width, 1 - 0.56 / height), fontsize=8.5,
        ncols=columns, frameon=False, borderpad=0, handletextpad=0.4, columnspacing=1.4,
    )  # fmt: skip


def sentence(result: dict[str, Any]) -> str:
    """Say what is to be seen."""
    if len(result["minima"]) > 1:
        return (
            "Marks of one kind that lie together are the basin of a minimum (a star). Plain descent with a small rate "
            "goes to the minimum of the valley that it is in; rules with larger or remembered steps leap over ridges, "
            "so their basins have frayed edges."
        )
    return (
        "Marks of what became of each start show from where a rule arrives: far off, where the surface is steep, a "
        "rate that is right near the minimum may be too high."
    )
