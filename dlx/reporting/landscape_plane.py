"""Draws a plane of a landscape from above, as contours, and as a surface in three dimensions."""

from __future__ import annotations

from typing import Any

import matplotlib.cm
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from dlx.reporting.drawing import (
    COLOURS,
    GREY,
    LARGEST,
    MARKERS,
    Floats,
    add_legend,
    label,
    new_figure,
    numbers,
    panels,
)
from dlx.reporting.landscape_levels import Levels
from dlx.reporting.tables import format_number, shorten

DASHES = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
NUM_MARKS = 8
"""Marks along a path, at most."""
MOST_LINES = 60
"""Lines of the net of a surface along each axis, at most."""
HOLE = "#D9D9D9"
"""Colour of what is not finite."""
LONGEST = 24
"""Characters of the name of a path in the legend, at most."""


def draw_contour(result: dict[str, Any], shown: dict[str, Any]) -> Figure:
    """Draw levels of the error, the points that are marked, and paths.

    Args:
        result: Content of result.json, of a plane.
        shown: Content of landscape.json.
    """
    across, up, values = _plane(shown)
    levels = Levels.of(values)
    notes = [levels.note(result["error"])]
    if result["num_not_finite"]:
        notes.append("grey: not finite")
    if result["kind"] == "through":
        notes.append("distances in the space of parameters")
    figure, (axes,) = panels(7.6, 4.9, _title(result, "contours"), "; ".join(notes))
    figure.subplots_adjust(right=1 - 2.85 / 7.6)
    axes.grid(visible=False)
    axes.set_facecolor(HOLE)
    finite = np.ma.masked_invalid(values)
    axes.contourf(across, up, finite, levels.bounds, cmap=levels.colours, norm=levels.norm)
    axes.contour(across, up, finite, levels.bounds[1:-1], colors="white", linewidths=0.5, alpha=0.7)
    for number, path in enumerate(shown["paths"]):
        _draw_path(axes, np.array(path), number, result, shown_part(np.array(path), across, up))
    _draw_marks(axes, result)
    axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
    axes.locator_params(nbins=5)
    if result["kind"] != "surface":
        axes.set_aspect("equal")
    label(axes, *_names(result))
    add_legend(axes, loc="upper left", bbox_to_anchor=(1.26, 1.01), borderaxespad=0, fontsize=8)
    bar = figure.colorbar(matplotlib.cm.ScalarMappable(levels.norm, levels.colours), ax=axes, fraction=0.05, pad=0.03)
    bar.set_ticks(levels.bounds[::2].tolist(), labels=[format_number(float(b), 3) for b in levels.bounds[::2]])
    bar.ax.tick_params(labelsize=7.5)
    bar.ax.set_ylabel(result["error"], fontsize=8)
    return figure


def draw_surface(result: dict[str, Any], shown: dict[str, Any]) -> Figure:
    """Draw the error as height, in the colours of the contours; arguments as ``draw_contour``."""
    across, up, values = _plane(shown)
    levels = Levels.of(values)
    heights = levels.relief(values)
    floor = float(heights[np.isfinite(heights)].min())
    note = "height and colour: " + levels.name(result["error"])
    if floor > float(levels.height(values)[np.isfinite(values)].min()):
        note += f"; cut off below {floor:.2g}, where the valley is narrower than the grid"
    if result["num_not_finite"]:
        note += "\ngrey: not finite, cut off at the top"
    figure = new_figure(6.4, 5.4)
    figure.text(0.03, 0.945, _title(result, "surface"), fontsize=12, fontweight="bold", parse_math=False)
    figure.text(0.03, 0.925, note, fontsize=8.5, color=GREY, va="top", linespacing=1.25, parse_math=False)
    axes: Any = figure.add_axes((0.0, 0.02, 0.95, 0.88), projection="3d")
    top = float(heights[np.isfinite(heights)].max())
    colours = levels.colours(levels.norm(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)))
    colours[~np.isfinite(values)] = matplotlib.colors.to_rgba(HOLE)
    stride = max(1, -(-len(across) // MOST_LINES))
    axes.plot_surface(
        *np.meshgrid(across, up), np.where(np.isfinite(heights), heights, top), facecolors=colours, rstride=stride,
        cstride=stride, linewidth=0.15, edgecolor="#FFFFFF60", shade=False,
    )  # fmt: skip
    for number, (path, path_values) in enumerate(zip(shown["paths"], shown["path_values"], strict=True)):
        inside = _within(np.array(path), across, up)
        kept = np.where(inside, 1.0, np.nan)[shown_part(np.array(path), across, up)]
        points = np.array(path)[: len(kept)]
        height = np.maximum(levels.height(numbers(path_values)), floor)[: len(kept)]
        line = [*(kept[:, None] * points).T, kept * height]
        axes.plot(*line, color=COLOURS[number % len(COLOURS)], linestyle=DASHES[number % len(DASHES)], zorder=10)
    for mark in result["marks"]:
        if mark["value"] is not None and np.isfinite(mark["value"]):
            top = max(floor, float(levels.height(np.array([mark["value"]]))[0]))
            axes.scatter(*mark["at"], top, color="black", s=18, zorder=11)
    short = [name.rpartition(", ")[2].removeprefix("along ").replace("from weights 1 ", "") for name in _names(result)]
    axes.set_xlabel(short[0], parse_math=False, fontsize=8.5)
    axes.set_ylabel(short[1], parse_math=False, fontsize=8.5)
    axes.set_zlabel(levels.name(result["error"]), parse_math=False, fontsize=8.5)
    axes.tick_params(labelsize=7.5)
    axes.view_init(elev=38, azim=-58)
    axes.set_box_aspect((4, 4, 3), zoom=0.92)
    return figure


def _plane(shown: dict[str, Any]) -> tuple[Floats, Floats, Floats]:
    across, up = (np.array(axis) for axis in shown["axes"])
    return across, up, np.array([[np.nan if each is None else each for each in row] for row in shown["values"]])


def _title(result: dict[str, Any], what: str) -> str:
    return f"{shorten(str(result['name']), 30)}: {result['error']}, {what}"


def _names(result: dict[str, Any]) -> tuple[str, str]:
    if result["kind"] == "surface":
        return "x1", "x2"
    if result["kind"] == "through":
        return "from weights 1 towards weights 2", "at right angles, towards weights 3"
    return "along random direction 1", "along random direction 2"


def _within(points: Floats, across: Floats, up: Floats) -> Any:
    """Tell which points of a path lie within the axes."""
    return (points >= (across[0], up[0])).all(1) & (points <= (across[-1], up[-1])).all(1)


def shown_part(points: Floats, across: Floats, up: Floats) -> slice:
    """Give what is shown of a path: all of it, or until it first leaves the axes if it does not end within them."""
    inside = _within(points, across, up)
    return slice(None) if inside[-1] else slice(int(np.argmin(inside)) + 1)


def _draw_path(axes: Axes, points: Floats, number: int, result: dict[str, Any], part: slice) -> None:
    """Draw one path with its own colour, dashes and marks; a cross is its end."""
    path = result["paths"][number]
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    ending = "diverged" if path["diverged"] else "left the box" if path["left_box"] is not None else ""
    text = shorten(path["label"], LONGEST) + (f"\n({ending})" if ending else "")
    shown = np.clip(points[part], -LARGEST, LARGEST)
    axes.plot(
        *shown.T, color=colour, linestyle=DASHES[number % len(DASHES)], linewidth=1.4, marker=marker, markersize=4.5,
        markevery=max(1, len(shown) // NUM_MARKS), markeredgecolor="white", markeredgewidth=0.5, label=text, zorder=4,
        gid=f"path-{number}", path_effects=[Stroke(linewidth=2.8, foreground="white"), Normal()],
    )  # fmt: skip
    axes.plot(*shown[-1], marker="X", color=colour, markersize=8, markeredgecolor="white", zorder=6)


def _draw_marks(axes: Axes, result: dict[str, Any]) -> None:
    """Mark where the weights are, where the grid is lowest, and known minima."""
    style: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "black", "zorder": 5}
    for mark, marker in zip(result["marks"], "osD", strict=False):
        axes.plot(*mark["at"], marker=marker, color="white", markersize=7, label=mark["name"], **style)
    minima: list[Any] = (result.get("minima") or {}).get("points", [])
    for number, point in enumerate(minima):
        text = None if number else ("known minimum" if len(minima) == 1 else "known minima")
        axes.plot(*point[:2], marker="*", color="#F0E442", markersize=12, label=text, gid="minimum", **style)
    if result["lowest"] is not None and not minima:
        axes.plot(
            *result["lowest"]["at"], marker="v", color="#F0E442", markersize=8, label="lowest point of the grid",
            gid="lowest", **style,
        )  # fmt: skip


def contour_sentence(result: dict[str, Any]) -> str:
    """Say what is to be seen from above."""
    if result["kind"] == "surface":
        return (
            "Each line joins points of one height: where lines lie close the surface is steep. Descent goes at right "
            "angles to them, so in a long narrow valley it crosses from wall to wall instead of going along. A path "
            "that leaves the box is cut at its edge."
        )
    if result["kind"] == "through":
        return (
            "The plane through three weights, with true distances and angles. Separate basins mean that straight lines "
            "between them cross a barrier; a bend through other directions may still go around it."
        )
    return (
        "Each line joins points of one error: round lines mean that the error rises alike in all directions of the "
        "plane, long ones that it is steeper across than along. Two random directions of many show a typical cut, "
        "not the steepest one."
    )


def surface_sentence(result: dict[str, Any]) -> str:
    """Say what is to be seen in three dimensions."""
    return "The same plane as a relief: height and colour are the error on the scale of the contours."
