"""Draws the error along lines: both axes through the centre, or straight from weights to weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, GREY, MARKERS, Floats, add_legend, label, numbers, panels
from dlx.reporting.landscape_levels import WIDE
from dlx.reporting.landscape_plane import DASHES
from dlx.reporting.tables import shorten

NUM_MARKS = 8
"""Marks along a line, at most."""


def draw(result: dict[str, Any], shown: dict[str, Any]) -> Figure:
    """Draw the error along each line.

    Args:
        result: Content of result.json, of random directions or weights to go through.
        shown: Content of landscape.json.
    """
    cut = "; where a line breaks off, it is not finite" if result["num_not_finite"] else ""
    is_random = result["kind"] == "random"
    note = "through the centre" if is_random else "straight between weights; dotted: even rise from end to end"
    title = f"{shorten(str(result['name']), 30)}: {result['error']} along lines"
    figure, (axes,) = panels(6.6, 3.9, title, note + cut)
    (_along_axes if is_random else _between_weights)(axes, result, shown)
    found = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()])
    found = found[np.isfinite(found)]
    if len(found) and found.min() > 0 and found.max() > WIDE * found.min():
        axes.set_yscale("log")
    add_legend(axes)
    return figure


def _along_axes(axes: Axes, result: dict[str, Any], shown: dict[str, Any]) -> None:
    middle = len(shown["axes"][0]) // 2
    lines = shown["values"][middle], [row[middle] for row in shown["values"]]
    for number, (axis, line) in enumerate(zip(shown["axes"], lines, strict=True)):
        _draw_line(axes, np.array(axis), numbers(line), number, f"random direction {number + 1}")
    axes.axvline(0, color=GREY, linewidth=0.8)
    value = result["marks"][0]["value"]
    if value is not None and np.isfinite(value) and value > 0:
        axes.axhline(2 * value, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), label="twice the error at the centre")
    label(axes, "distance from the centre, in units of the direction", result["error"])


def _between_weights(axes: Axes, result: dict[str, Any], shown: dict[str, Any]) -> None:
    for number, (barrier, line) in enumerate(zip(result["barriers"], shown["edges"], strict=True)):
        share = np.linspace(0, 1, len(line))
        names = (result["marks"][barrier[end]]["name"] for end in ("from", "to"))
        values = numbers(line)
        _draw_line(axes, share, values, number, " to ".join(names))
        axes.plot(
            share[[0, -1]], values[[0, -1]], color=COLOURS[number % len(COLOURS)], linewidth=0.9, linestyle=(0, (1, 2))
        )
    label(axes, "share of the way", result["error"])


def _draw_line(axes: Axes, place: Floats, values: Floats, number: int, text: str) -> None:
    axes.plot(
        place, values, color=COLOURS[number], linestyle=DASHES[number], marker=MARKERS[number], markersize=4,
        markevery=max(1, len(place) // NUM_MARKS), label=text, gid=f"line-{number}",
    )  # fmt: skip


def sentence(result: dict[str, Any]) -> str:
    """Say what is to be seen."""
    if result["kind"] == "random":
        return (
            "A narrow valley means that small relative changes of the weights cost much; at initial weights, the "
            "centre is on a slope, not in a valley."
        )
    return (
        "Where the line rises above the dotted one there is a barrier: whoever walks straight from one of the weights "
        "to the other has to climb. A flat line says that both lie in one basin."
    )
