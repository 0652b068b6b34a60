"""Draws the paths of all rules from the usual start over the contours of the surface."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, LARGEST, MARKERS, add_legend, label, panels
from dlx.reporting.landscape_plane import DASHES, shown_part
from dlx.reporting.race_courses import LONGEST
from dlx.reporting.race_starts import draw_contours
from dlx.reporting.tables import shorten

NUM_MARKS = 12
"""Marks along a path, about; the first is later from rule to rule, so that equal paths do not hide each other's."""


def draw(result: dict[str, Any], shown: dict[str, Any]) -> Figure:
    """Draw the paths.

    Args:
        result: Content of result.json, of a surface of two variables.
        shown: Content of race.json.
    """
    title = f"{shorten(str(result['name']), 30)}: paths from the usual start"
    every = max(1, result["steps"] // NUM_MARKS)
    marks = f"a mark every {every:,} steps: far apart is fast" if every > 1 else "a mark at every step"
    note = f"{result['steps']:,} steps at most, {marks}; cross: where a path ends"
    figure, (axes,) = panels(8.0, 5.2, title, note)
    figure.subplots_adjust(right=1 - 2.5 / 8.0)
    draw_contours(axes, shown["plane"])
    for number, path in enumerate(shown["plane"]["paths"]):
        _draw_path(axes, number, path, result["optimizers"][number], shown["plane"]["axes"], every)
    black: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "black", "zorder": 5}
    axes.plot(*result["start"], marker="o", color="white", markersize=8, label="start", **black)
    for number, minimum in enumerate(result["minima"]):
        text = None if number else "minimum" if len(result["minima"]) == 1 else "minima"
        axes.plot(*minimum["point"], marker="*", color="white", markersize=14, label=text, gid="minimum", **black)
    label(axes, "x1", "x2")
    add_legend(axes, loc="upper left", bbox_to_anchor=(1.02, 1.01), borderaxespad=0)
    return figure


def _draw_path(
    axes: Axes, number: int, path: list[list[float]], rule: dict[str, Any], ends: list[list[float]], every: int
) -> None:
    """Draw one path with its own colour, dashes and marks after so many steps, until it leaves the box for good."""
    points = np.array(path)
    points = np.clip(points[shown_part(points, *map(np.array, ends))], -LARGEST, LARGEST)
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    ending = {"diverged": "\n(diverged)", "outside": "\n(left the box)"}.get(rule["usual"]["fate"], "")
    axes.plot(
        *points.T, color=colour, linestyle=DASHES[number % len(DASHES)], linewidth=1.5, marker=marker, markersize=5.5,
        markevery=(min(every * (number + 1) // 4, len(points) - 1), every), markeredgecolor="white",
        markeredgewidth=0.6, label=shorten(rule["label"], LONGEST) + ending, zorder=3, gid=f"path-{number}",
    )  # fmt: skip
    axes.plot(*points[-1], marker="X", color=colour, markersize=9, markeredgecolor="white", zorder=6)


def sentence(result: dict[str, Any]) -> str:
    """Say what is to be seen."""
    return (
        "Each line joins points of one height: where lines lie close the surface is steep. Descent goes at right "
        "angles to them, so in a long narrow valley it crosses from wall to wall instead of going along. A path that "
        "leaves the box is cut at its edge."
    )
