"""Draws the predictions of a regression against the truth, and its residuals."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, GREY, Floats, add_legend, label, numbers, panels
from dlx.reporting.tables import format_number, shorten


def draw(name: str, values: dict[str, Any]) -> Figure:
    """Draw predicted against true values and residuals against predicted ones, a row of both for each target.

    Args:
        name: Name of the experiment.
        values: ``predictions`` of learned.json.
    """
    seeds = f", {values['num_seeds']} seeds together" if values["num_seeds"] > 1 else ""
    targets = values["targets"]
    title = f"{name}: predictions, {values['part']} part"
    drawn = len(targets[0]["true"])
    of = f"{drawn:,} of {values['num_values']:,}" if drawn < values["num_values"] else f"{drawn:,}"
    figure, axes = panels(4.5, 3.6, title, f"{of} predictions{seeds}, in the target's own units", len(targets), 2)
    for row, target in enumerate(targets):
        true, predicted = numbers(target["true"]), numbers(target["predicted"])
        _draw_truth(axes[2 * row], target["name"], true, predicted)
        _draw_residuals(axes[2 * row + 1], target["name"], true, predicted)
    add_legend(axes[0], loc="upper left")
    add_legend(axes[1], loc="best")
    return figure


def _mark(axes: Axes, x: Floats, y: Floats) -> None:
    size = 4.5 if len(x) <= 300 else 3
    axes.plot(
        x, y, "o", color=COLOURS[0], markerfacecolor="white", markersize=size, markeredgewidth=0.8, gid="examples"
    )


def _draw_truth(axes: Axes, name: str, true: Floats, predicted: Floats) -> None:
    _mark(axes, true, predicted)
    ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
    axes.plot(ends, ends, color=GREY, linestyle=(0, (4, 1.6)), linewidth=1.2, label="predicted = true")
    short = shorten(name, 24)
    label(axes, f"true {short}", f"predicted {short}")


def _draw_residuals(axes: Axes, name: str, true: Floats, predicted: Floats) -> None:
    residuals = predicted - true
    _mark(axes, predicted, residuals)
    axes.axhline(0, color=GREY, linestyle=(0, (4, 1.6)), linewidth=1.2)
    mean = float(residuals.mean())
    axes.axhline(mean, color=COLOURS[1], linewidth=1.4, label=f"mean residual {format_number(mean, 3)}")
    short = shorten(name, 24)
    label(axes, f"predicted {short}", "residual (predicted - true)")


def sentence(values: dict[str, Any]) -> str:
    """Say what is to be seen: the size of the residuals, and what a shape in them means."""
    texts = []
    for target in values["targets"]:
        residuals = numbers(target["predicted"]) - numbers(target["true"])
        size = format_number(float(np.sqrt(np.mean(residuals**2))), 3)
        texts.append(f"{size} ({target['name']})" if len(values["targets"]) > 1 else size)
    return (
        f"On the {values['part']} part the root mean square of the residuals is {', '.join(texts)}. Left, marks along "
        "the diagonal are right; a cloud flatter than the diagonal is drawn towards the mean. Right, a good model "
        "leaves residuals without a shape: a bend means that the model is too simple, a funnel that the noise differs."
    )
