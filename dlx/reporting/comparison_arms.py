"""What all figures of a comparison share: its optimizers (arms) in one order, each always drawn in the same way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from dlx.reporting.comparison_texts import Result, finite_or_inf, listed, more_gradients
from dlx.reporting.drawing import COLOURS, Floats, Style
from dlx.reporting.tables import format_number

DASHES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (1, 1.1)),
    (0, (7, 1.5, 1.2, 1.5)),
    (0, (3, 1.2, 1, 1.2, 1, 1.2)),
)
ARM_MARKERS = "osD^vPX<>"
"""No star: it marks the best trial. Colours, dashes and marks are 8, 5 and 9, so the pairs repeat after 40 arms."""
LONGEST_NAME = 22


def arm_styles(result: Result) -> dict[str, Style]:
    """Give the colour, dashes and mark of each arm, by its name: those of its place in the config."""
    return {
        arm["name"]: Style(COLOURS[n % len(COLOURS)], DASHES[n % len(DASHES)], ARM_MARKERS[n % len(ARM_MARKERS)])
        for n, arm in enumerate(result["arms"])
    }


def arm_labels(result: Result, longest: int = LONGEST_NAME) -> dict[str, str]:
    """Give a short text for the name of each arm: a long one is cut in its middle, unless two became the same.

    Args:
        result: Result of one problem.
        longest: Characters of a label, at most.
    """
    names = [str(arm["name"]) for arm in result["arms"]]
    tail = longest // 2 - 1
    cut = [name if len(name) <= longest else f"{name[: longest - tail - 1]}…{name[-tail:]}" for name in names]
    return {name: short if cut.count(short) == 1 else name for name, short in zip(names, cut, strict=True)}


def losses(values: Iterable[float | None]) -> Floats:
    """Give numbers as they were, [n]: infinite ones are missing in result.json."""
    return np.array([finite_or_inf(value) for value in values], dtype=np.float64)


def seed_words(result: Result) -> str:
    """Say over how many fresh seeds something is taken."""
    count = len(result["protocol"]["seeds"])
    return f"{count} fresh seeds" if count > 1 else "the only fresh seed"


def step_words(result: Result) -> str:
    """Say which arms need more than one gradient for a step; nothing where none does."""
    labels = arm_labels(result)
    found = [f"{labels[arm['name']]} {format_number(arm['gradients_per_step'], 3)}" for arm in more_gradients(result)]
    return f"gradients of a step: {listed(found)}, the others 1" if found else ""
