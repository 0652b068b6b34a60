"""Draws what each learning rate comes to, with the rates up to which descent is stable at a minimum."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from dlx.reporting.drawing import COLOURS, GREY, MARKERS, Floats, add_legend, label, panels
from dlx.reporting.landscape_plane import DASHES
from dlx.reporting.race_courses import LONGEST, floor_of, height, height_name, scale_heights, top_of
from dlx.reporting.race_tables import written_value
from dlx.reporting.tables import shorten

LIMIT_DASHES = ((0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (8, 3)))
STRIP = 0.05
"""Height of a row of marks at the top, as a share of the panel."""


def draw(result: dict[str, Any], shown: dict[str, Any]) -> Figure:
    """Draw final heights against learning rates.

    Args:
        result: Content of result.json, of a surface with a lowest value.
        shown: Content of race.json.
    """
    lowest, rates = result["lowest"], np.array(result["rates"])
    rules = [(number, each) for number, each in enumerate(result["optimizers"]) if each["sweep"]]
    note = (
        f"f after {result['steps']:,} steps, median over {result['num_starts']:,} starts; ring: lr as written\n"
        "hollow marks at the top: half of the starts or more diverged, or end far above where they began"
    )
    figure, (axes,) = panels(8.0, 4.5, f"{shorten(str(result['name']), 30)}: learning rates", note)
    figure.subplots_adjust(right=1 - 2.6 / 8.0)
    floor, top = floor_of(shown, lowest), top_of(shown, lowest)
    axes.set_xscale("log")
    for number, each in rules:
        values = height(each["sweep"], lowest, floor)
        values = np.where(values > top, np.nan, values)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.plot(
            rates, values, color=colour, linestyle=DASHES[number % len(DASHES)], marker=marker, markersize=4.5,
            markeredgecolor="white", markeredgewidth=0.5, linewidth=1.5, gid=f"sweep-{number}",
            label=_name(each, result),
        )  # fmt: skip
        written = height([written_value(each)], lowest, floor)
        axes.plot(
            each["lr"], written[0], marker="o", markersize=11, color=colour, markerfacecolor="none", linestyle="none",
            markeredgewidth=1.5, gid=f"written-{number}",
        )  # fmt: skip
    scale_heights(axes, shown, lowest)
    _draw_lost(axes, rates, [(number, _is_lost(each["sweep"], lowest, top)) for number, each in rules])
    _draw_limits(axes, result)
    axes.set_xlim(rates[0] / 1.5, rates[-1] * 1.5)
    label(axes, "learning rate", height_name(result))
    add_legend(axes, loc="upper left", bbox_to_anchor=(1.02, 1.01), borderaxespad=0)
    return figure


def _name(each: dict[str, Any], result: dict[str, Any]) -> str:
    """Name a rule in the legend, from which starts its line is in a second row if not from all."""
    return shorten(str(each["label"]), LONGEST) + (
        "\n(usual start)" if each["swept_starts"] < result["num_starts"] else ""
    )


def _is_lost(values: list[float | None], lowest: float, top: float) -> list[bool]:
    """Tell at which rates a rule diverges, or ends far above where it began."""
    return [value is None or value - lowest > top for value in values]


def _draw_lost(axes: Axes, rates: Floats, rules: list[tuple[int, list[bool]]]) -> None:
    """Mark the rates at which a rule is lost, a row of its hollow marks each above the panel's lines."""
    lost = [(number, rates[where]) for number, where in rules if any(where)]
    low, high = axes.get_ylim()
    share = max(1 - STRIP * (len(lost) + 1), 0.5)  # the lines keep the lower part
    axes.set_ylim(low, low * (high / low) ** (1 / share))
    rows = blended_transform_factory(axes.transData, axes.transAxes)
    for row, (number, where) in enumerate(lost):
        axes.plot(
            where, np.full(len(where), 1 - (1 - share) * (row + 0.7) / (len(lost) + 0.4)), transform=rows,
            linestyle="none", marker=MARKERS[number % len(MARKERS)], markersize=4.5, markerfacecolor="white",
            color=COLOURS[number % len(COLOURS)], gid=f"lost-{number}",
        )  # fmt: skip


def _draw_limits(axes: Axes, result: dict[str, Any]) -> None:
    """Draw the rates up to which descent is stable at the minimum."""
    for number, limit in enumerate(result["limits"]):
        axes.axvline(
            limit["lr"], color=GREY, linewidth=1.4, linestyle=LIMIT_DASHES[number % len(LIMIT_DASHES)], zorder=1,
            label=f"{limit['rule']} is stable below\n{limit['formula']} = {limit['lr']:.3g}", gid=f"limit-{number}",
        )  # fmt: skip


def sentence(result: dict[str, Any]) -> str:
    """Say what is to be seen."""
    text = (
        "The lowest point of a line is the best learning rate of a rule, the width of its trough how little that "
        "matters. Too low a rate does not get there within the steps, too high a one leaps across the valley."
    )
    if len(result["minima"]) > 1:
        text += " The limits are those of the minimum at which they are highest."
    if result["limits"]:
        text += (
            " The upright lines are where theory says that steps across the steepest direction at the minimum begin to "
            "grow: momentum moves that limit a little, but goes along the flat direction many times faster at one rate."
        )
    return text
