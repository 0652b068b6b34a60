"""Draws the surface along the paths: for every rule the median over all starts, and the middle half of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, LARGEST, MARKERS, Floats, add_legend, label, numbers, panels
from dlx.reporting.landscape_plane import DASHES
from dlx.reporting.tables import shorten

NUM_MARKS = 8
"""Marks along a line, at most."""
DEPTH = 1e-16
"""Heights below this share of the first are drawn as it: they are rounding."""
FALL = 1e6
"""How far below the starts a surface without a lowest value is shown, in their height."""
LONGEST = 30
"""Characters of the name of a rule in a legend, at most."""


def draw(result: dict[str, Any], shown: dict[str, Any]) -> Figure:
    """Draw heights against steps.

    Args:
        result: Content of result.json.
        shown: Content of race.json.
    """
    count, lowest = result["num_starts"], result["lowest"]
    what = f"line: median over {count:,} starts; band: the middle half of them" if count > 1 else "from the one start"
    note = what + ("; a cross: from there on half of them have diverged" if lowest is not None else "")
    title = f"{shorten(str(result['name']), 30)}: f along the paths"
    figure, (axes,) = panels(7.6, 4.2, title, note)
    figure.subplots_adjust(right=1 - 2.45 / 7.6)
    steps = np.array(shown["steps"])
    floor = floor_of(shown, lowest)
    for number, (rule, course) in enumerate(zip(result["optimizers"], shown["courses"], strict=True)):
        median, low, high = (height(course[name], lowest, floor) for name in ("median", "lower", "upper"))
        known = np.isfinite(median)
        style: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
        if count > 1:
            axes.fill_between(
                steps[known], np.nan_to_num(low, nan=LARGEST)[known], np.nan_to_num(high, nan=LARGEST)[known],
                color=style["color"], alpha=0.13, linewidth=0, gid=f"band-{number}",
            )  # fmt: skip
        axes.plot(
            steps, median, marker=MARKERS[number % len(MARKERS)], markersize=4.5, label=shorten(rule["label"], LONGEST),
            markevery=max(1, len(steps) // NUM_MARKS), markeredgecolor="white", markeredgewidth=0.5, linewidth=1.5,
            gid=f"course-{number}", **style,
        )  # fmt: skip
        if lowest is not None and known.any() and not known[-1]:
            at = np.flatnonzero(known)[-1]
            axes.plot(steps[at], median[at], marker="X", markersize=8, color=style["color"], markeredgecolor="white")
    scale_heights(axes, shown, lowest)
    label(axes, "step", height_name(result))
    add_legend(axes, loc="upper left", bbox_to_anchor=(1.02, 1.01), borderaxespad=0)
    return figure


def floor_of(shown: dict[str, Any], lowest: float | None) -> float:
    """Give the height under which all is rounding: a share of the median height of the starts."""
    if lowest is None:
        return 0.0
    return DEPTH * _first(shown, lowest)


def height(values: list[float | None], lowest: float | None, floor: float) -> Floats:
    """Give the heights at which values are drawn: above the lowest value, if there is one."""
    found = numbers(values)
    return found if lowest is None else np.clip(found - lowest, floor, LARGEST)


def height_name(result: dict[str, Any]) -> str:
    """Name the axis of heights."""
    lowest = result["lowest"]
    return "f" if not lowest else f"f - ({lowest:g}), above its lowest"


def top_of(shown: dict[str, Any], lowest: float | None) -> float:
    """Give the height at which the axis ends: ten times the median height of the starts."""
    return 10 * _first(shown, lowest)


def _first(shown: dict[str, Any], lowest: float | None) -> float:
    """Give the median height of the starts, the same for all rules; 1 where that says nothing."""
    (first,) = height(shown["courses"][0]["median"][:1], lowest, 0.0)
    return float(first) if first > 0 else 1.0


def scale_heights(axes: Axes, shown: dict[str, Any], lowest: float | None) -> None:
    """Choose the scale and the ends of the axis of heights: of what is drawn as lines, not of bands."""
    found = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()])
    found, top = found[np.isfinite(found)], top_of(shown, lowest)
    if lowest is None:
        axes.set_yscale("symlog", linthresh=top / 10)
        axes.set_ylim(max(float(found.min(initial=-top)), -FALL * top), top)
        return
    low = float(found[found > 0].min(initial=top / 10))
    axes.set_yscale("log")
    axes.set_ylim(low / 3, top)


def sentence(result: dict[str, Any]) -> str:
    """Say what is to be seen."""
    if result["lowest"] is None:
        return "Where a line falls faster and faster, the path has left the stationary point and goes down for ever."
    return (
        "A straight line on this scale is a constant factor per step. The first fall is into the valley, the slow rest "
        "along its floor: there the rules differ most, by how well they go along a direction that hardly slopes."
    )
