"""Draws the calibration curve (reliability diagram): how often predictions of a probability are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, GREY, add_legend, label, numbers, over_seeds, panels
from dlx.reporting.tables import format_mean

FEW = 10
"""Bins with fewer predictions are drawn hollow and off the line: chance moves them far."""
MANY_TEXT = "predictions of a bin"
FEW_TEXT = f"fewer than {FEW} predictions"


def draw(name: str, values: dict[str, Any]) -> Figure:
    """Draw accuracy against top probability in bins, with the number of predictions in each bin.

    Args:
        name: Name of the experiment.
        values: ``calibration`` of learned.json.

    Source:
        Guo et al. (2017), "On calibration of modern neural networks", figure 1.
    """
    pooled = f"predictions of {values['num_seeds']} seeds together" if values["num_seeds"] > 1 else "one seed"
    note = f"{pooled}, in bins of similar probability\nexpected calibration error {_error(values)}"
    figure, (upper, lower) = panels(4.9, 2.9, f"{name}: calibration, {values['part']} part", note, rows=2)
    edges = np.array(values["edges"])
    confidence, accuracy = numbers(values["confidence"]), numbers(values["accuracy"])
    upper.plot([0, 1], [0, 1], color=GREY, linestyle=(0, (4, 1.6)), linewidth=1.2, label="probability = share of right")
    counts = np.array(values["count"])
    is_few = counts < FEW
    for x, y in zip(confidence, accuracy, strict=True):
        upper.plot([x, x], [x, y], color=COLOURS[1], linewidth=1.1)
    upper.plot([], [], color=COLOURS[1], linewidth=1.1, label="distance from it")
    for bins, line, face, text in ((~is_few, "solid", COLOURS[0], MANY_TEXT), (is_few, "none", "white", FEW_TEXT)):
        if (counts[bins] > 0).any():
            upper.plot(
                confidence[bins], accuracy[bins], color=COLOURS[0], linestyle=line, marker="o", markersize=5,
                markerfacecolor=face, label=text, gid="few" if line == "none" else "many",
            )  # fmt: skip
    upper.set(xlim=(0, 1), ylim=(-0.03, 1.05))
    label(upper, "probability of the predicted class", "share of right predictions")
    add_legend(upper, loc="best")
    lower.bar(edges[:-1], counts, np.diff(edges), align="edge", color=COLOURS[5], edgecolor="white", gid="counts")
    for left, count in zip(edges[:-1], counts, strict=True):
        if count:
            lower.text(left + edges[1] / 2, count, f"{count}", ha="center", va="bottom", fontsize=7)
    lower.set(xlim=(0, 1), ylim=(0, 1.12 * counts.max()))
    label(lower, "probability of the predicted class", "number of predictions")
    return figure


def _error(values: dict[str, Any]) -> str:
    error = values["expected_calibration_error"]
    return format_mean(error["mean"], error["std"]) + over_seeds(values["num_seeds"], ", mean ± std")


def sentence(values: dict[str, Any]) -> str:
    """Say what is to be seen: whether probabilities are too high or too low on the whole."""
    count, confidence, accuracy = (numbers(values[name]) for name in ("count", "confidence", "accuracy"))
    held = count > 0
    difference = float(np.average((confidence - accuracy)[held], weights=count[held]))
    which = "above" if difference > 0 else "below"
    return (
        "Where the curve lies on the diagonal, predictions that claim a probability of 0.8 are right in 80 % of cases; "
        "below it the model is too sure of itself, above it not sure enough. The expected calibration error, the mean "
        f"distance from the diagonal, is {_error(values)}. On the whole the probabilities lie {abs(difference):.2g} "
        f"{which} the accuracy. Bins with few predictions tell little."
    )
