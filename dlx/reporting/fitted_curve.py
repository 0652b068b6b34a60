"""Draws what a regression predicts along its only feature."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, STYLES, add_legend, label, numbers, over_seeds, panels
from dlx.reporting.tables import shorten


def draw(name: str, values: dict[str, Any]) -> Figure:
    """Draw the fitted curve, mean and band over seeds, over the examples.

    Args:
        name: Name of the experiment.
        values: ``fitted_curve`` of learned.json.
    """
    note = over_seeds(values["num_seeds"]) or f"prediction of seed {values['seed']}"
    figure, (axes,) = panels(6.2, 4.2, f"{name}: fitted curve", note)
    for part, points in values["points"].items():
        style = STYLES[part]
        axes.plot(
            *points["inputs"], points["targets"], linestyle="none", marker=style.marker, markersize=4,
            markerfacecolor="white" if part == "train" else style.colour, color=style.colour, markeredgewidth=0.8,
            label=f"{part} examples", gid=part,
        )  # fmt: skip
    x, mean = np.array(values["x"]), numbers(values["mean"])
    axes.plot(x, mean, color=COLOURS[1], linewidth=2.2, label="prediction", gid="curve", zorder=4)
    if "std" in values:
        std = numbers(values["std"])
        axes.fill_between(
            x, mean - std, mean + std, color=COLOURS[1], alpha=0.25, linewidth=0, label="±1 standard deviation",
            gid="band", zorder=3,
        )  # fmt: skip
    label(axes, shorten(values["feature"], 40), shorten(values["target"], 30))
    add_legend(axes)
    return figure


def sentence(values: dict[str, Any]) -> str:
    """Say what is to be seen."""
    band = " The band is wide where the seeds disagree, as beyond the data." if values["num_seeds"] > 1 else ""
    return (
        "A curve that misses the bend of the examples means underfitting, one that runs through single training "
        f"examples and past the test examples overfitting.{band}"
    )
