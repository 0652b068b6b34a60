"""Draws the learning rate against the step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, label, panels
from dlx.reporting.tables import format_number, is_number

MAX_CURVES = 8
"""Seeds whose learning rates differ, that are drawn at most."""


def read(epochs: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Read learning rates from the lines of metrics.jsonl: one curve for all seeds that have the same.

    Returns:
        ``curves``, each with ``steps`` and ``rates`` at the ends of epochs; None if no rate changes.
    """
    found: dict[int, tuple[list[int], list[float]]] = {}
    for line in epochs:
        for member in line["members"]:
            if is_number(member.get("lr")):
                steps, rates = found.setdefault(member["seed"], ([], []))
                steps.append(member["step"])
                rates.append(member["lr"])
    longest: list[tuple[list[int], list[float]]] = []
    for steps, rates in sorted(found.values(), key=lambda each: -len(each[0])):
        if not any(steps == other[0][: len(steps)] and rates == other[1][: len(rates)] for other in longest):
            longest.append((steps, rates))
    if all(len(set(rates)) < 2 for _, rates in longest):
        return None
    return {"curves": [{"steps": steps, "rates": rates} for steps, rates in longest[:MAX_CURVES]]}


def draw(name: str, values: dict[str, Any]) -> Figure:
    """Draw the learning rate against the step.

    Args:
        name: Name of the experiment.
        values: What ``read`` gives.
    """
    curves = values["curves"]
    which = "all seeds have the same" if len(curves) == 1 else f"{len(curves)} seeds whose rates differ"
    figure, (axes,) = panels(5.6, 3.4, f"{name}: learning rate", f"at the last step of each epoch; {which}")
    for number, curve in enumerate(curves):
        marker = "o" if len(curve["steps"]) <= 60 else ""
        axes.plot(
            curve["steps"], curve["rates"], color=COLOURS[number % len(COLOURS)], linewidth=1.6, marker=marker,
            markersize=3.5, gid=f"curve-{number}",
        )  # fmt: skip
    rates = [rate for curve in curves for rate in curve["rates"] if rate > 0]
    if rates and max(rates) > 20 * float(np.median(rates)):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 1.06 * max(rates, default=1.0))
    label(axes, "step", "learning rate")
    return figure


def sentence(values: dict[str, Any]) -> str:
    """Say what is to be seen."""
    rates = values["curves"][0]["rates"]
    first, highest, last = (format_number(rate, 3) for rate in (rates[0], max(rates), rates[-1]))
    return (
        f"The learning rate is {first} after the first epoch, {highest} at its highest and {last} at the end. Where "
        "the loss falls as soon as the rate does, the rate was too high before."
    )
