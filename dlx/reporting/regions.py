"""Draws the decision regions of a classifier of two features."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dlx.reporting.drawing import COLOURS, GREY, MARKERS, add_legend, label, panels
from dlx.reporting.tables import shorten

TINT = 0.62
"""How much white is in the colour of a region."""
MAX_LEGEND = 10
"""Classes that the legend names, at most."""


def draw(name: str, values: dict[str, Any]) -> Figure:
    """Draw the class that one seed predicts over the plane, where other seeds disagree, and the examples.

    Args:
        name: Name of the experiment.
        values: ``regions`` of learned.json.
    """
    several = f"\nhatched: some of {values['num_seeds']} seeds disagree" if values["num_seeds"] > 1 else ""
    note = f"background: class predicted by seed {values['seed']}{several}"
    figure, (axes,) = panels(6.9, 4.3, f"{name}: decision regions", note)
    axes.grid(visible=False)
    figure.subplots_adjust(right=1 - 1.75 / 6.9)
    predicted = np.array(values["predicted"])
    x, y = (np.array(values[axis]) for axis in "xy")
    colours = np.array([to_rgb(colour) for colour in COLOURS])
    tints = TINT + (1 - TINT) * colours
    extent = (*_ends(x), *_ends(y))
    axes.imshow(
        tints[predicted % len(tints)], extent=extent, origin="lower", aspect="auto", interpolation="nearest",
        gid="regions",
    )  # fmt: skip
    for number in np.unique(predicted)[1:]:
        axes.contour(x, y, (predicted >= number).astype(float), [0.5], colors=GREY, linewidths=0.9)
    if "agreeing" in values:
        unsure = (np.array(values["agreeing"]) < values["num_seeds"]).astype(float)
        if unsure.any() and not unsure.all():
            axes.contourf(x, y, unsure, [0.5, 1.5], colors="none", hatches=["/////"])
    _draw_points(axes, values)
    axes.set(xlim=_ends(x), ylim=_ends(y))
    label(axes, *(shorten(feature, 30) for feature in values["features"]))
    add_legend(axes, handles=_handles(values), loc="upper left", bbox_to_anchor=(1.01, 1.01), borderaxespad=0)
    return figure


def _ends(values: Any) -> tuple[float, float]:
    """Give the edges of the outer cells."""
    half = (values[-1] - values[0]) / (len(values) - 1) / 2
    return float(values[0] - half), float(values[-1] + half)


def _draw_points(axes: Axes, values: dict[str, Any]) -> None:
    for part, points in values["points"].items():
        inputs, targets = np.array(points["inputs"]), np.array(points["targets"])
        for number in np.unique(targets):
            chosen = inputs[:, targets == number]
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            is_test = part == "test"
            axes.scatter(
                chosen[0], chosen[1], s=20 if is_test else 9, marker=marker, facecolor=colour if is_test else "white",
                edgecolor="black" if is_test else colour, linewidth=0.7, gid=f"{part}-{number}",
            )  # fmt: skip


def _handles(values: dict[str, Any]) -> list[Any]:
    handles: list[Any] = []
    for number, name in enumerate(values["classes"][:MAX_LEGEND]):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        handles.append(
            Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=5, label=shorten(f"class {name}"))
        )
    if len(values["classes"]) > MAX_LEGEND:
        handles.append(Patch(visible=False, label=f"and {len(values['classes']) - MAX_LEGEND} more"))
    for part, face, edge in (("train", "white", GREY), ("test", GREY, "black")):
        if part in values["points"]:
            mark = Line2D([], [], linestyle="none", marker="o", markersize=5, label=f"{part} example")
            mark.set(markerfacecolor=face, markeredgecolor=edge)
            handles.append(mark)
    if values["num_seeds"] > 1:
        handles.append(Patch(facecolor="white", edgecolor="black", hatch="/////", label="seeds disagree"))
    return handles


def sentence(values: dict[str, Any]) -> str:
    """Say what is to be seen: where the boundary lies and how much of the plane is contested."""
    first = (
        f"The background is the class that seed {values['seed']} predicts, the marks are the examples. "
        "A boundary that bends around single examples means overfitting, one that leaves many of a class on the wrong "
        "side underfitting."
    )
    if "agreeing" not in values:
        return first
    share = 100 * float(np.mean(np.array(values["agreeing"]) < values["num_seeds"]))
    return (
        f"{first} In {share:.2g} % of the area shown (hatched) {values['num_seeds']} seeds do not all agree: "
        "there the training data do not decide."
    )
