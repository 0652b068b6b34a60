"""Draws on which share of the seeds each optimizer of a comparison is better than each other."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from dlx.reporting.comparison_arms import arm_labels
from dlx.reporting.comparison_texts import Result, part_name, tuned_arms
from dlx.reporting.drawing import GRID_COLOUR, label, panels
from dlx.reporting.tables import format_number, shorten

DARK = 0.62
"""Shares above are written in white."""
CELL = 0.58
"""Inches of a cell of the map."""


def draw(result: Result) -> Figure:
    """Draw the share of seeds on which the optimizer of a row is better than that of a column, the number in each cell.

    Args:
        result: Content of result.json, of one problem, with two tuned arms at least.
    """
    names = [arm["name"] for arm in tuned_arms(result)]
    labels = arm_labels(result)
    places = [result["better"]["arms"].index(name) for name in names]
    shares = np.array(
        [[np.nan if i == j else result["better"]["shares"][i][j] for j in places] for i in places], dtype=np.float64
    )
    count = len(result["protocol"]["seeds"])
    longest = 0.075 * max(len(labels[name]) for name in names)
    left, bottom = longest + 0.55, longest + 0.5
    width = max(left + CELL * len(names) + 0.3, 6.6)
    height = bottom + CELL * len(names) + 0.15
    note = (
        f"share of {count} seeds on which the row has the lower {part_name(result)} (ties half)\n"
        "0.5: as often as not; best median first"
    )
    title = f"{shorten(result['name'], 24)}: how often the row beats the column"
    figure, (axes,) = panels(width, height, title, note, left=left, bottom=bottom)
    axes.grid(visible=False)
    axes.set_facecolor(GRID_COLOUR)  # seen where an optimizer would be compared with itself
    axes.set_anchor("NW")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15, aspect="equal", gid="shares")
    for row, column in np.argwhere(np.isfinite(shares)):
        share = shares[row, column]
        axes.text(
            column, row, format_number(share, 2) if 0 < share < 1 else f"{share:.0f}", ha="center", va="center",
            fontsize=9, color="white" if share > DARK else "black", gid=f"{row}-{column}",
        )  # fmt: skip
    ticks = range(len(names))
    texts = [labels[name] for name in names]
    axes.set_xticks(ticks, texts, rotation=90, fontsize=9, parse_math=False)
    axes.set_yticks(ticks, texts, fontsize=9, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    label(axes, "than this one", "this one is better")
    return figure


def sentence(result: Result) -> str:
    """Say what is to be seen."""
    labels = arm_labels(result)
    order, shares = result["better"]["arms"], result["better"]["shares"]
    always = [labels[name] for name, row in zip(order, shares, strict=True) if all(s in (None, 1) for s in row)]
    first = (
        f"{always[0]} is better than every other on every seed. "
        if always
        else "No optimizer is better than every other on every seed. "
    )
    return (
        f"{first}A number far from 0.5 says that the order of two optimizers does not hang on the seed; of "
        f"{len(result['protocol']['seeds'])} seeds alone it is itself uncertain, as the intervals in the tables say."
    )
