"""The figures of what was learned: which there are, in which order, and where."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TITLES = {
    "confusion": "Confusion matrix",
    "calibration": "Calibration",
    "regions": "Decision regions",
    "fitted_curve": "Fitted curve",
    "predictions": "Predictions and residuals",
    "learning_rate": "Learning rate",
    "gradient_norms": "Gradient norms",
}
"""What each figure is called; each has a module of its name beside this one, and a run has those that fit it."""


@dataclass(frozen=True)
class Picture:
    """A figure that was drawn: its file within the run directory, its title, and a sentence on what to see in it."""

    file: str
    title: str
    sentence: str


def picture_file(name: str) -> str:
    """Name the file of a figure within a run directory."""
    return f"figures/{name}.png"


def draw_pictures(
    run_dir: Path,
    name: str,
    epochs: list[dict[str, Any]],
    learned: dict[str, Any],
    shapes: Mapping[str, Sequence[int]],
) -> list[Picture]:
    """Draw every figure that a run has numbers for.

    Args:
        run_dir: The run directory.
        name: Name of the experiment.
        epochs: Lines of metrics.jsonl.
        learned: Content of learned.json.
        shapes: Shape of each parameter by its name.

    Returns:
        What was drawn, in the order of ``TITLES``.

    Raises:
        RunError: If a file cannot be written.
    """
    from dlx.reporting import (
        calibration,
        confusion,
        fitted_curve,
        gradient_norms,
        learning_rate,
        predictions,
        regions,
    )
    from dlx.reporting.drawing import DPI, save_figure

    artists: tuple[Any, ...] = (
        confusion,
        calibration,
        regions,
        fitted_curve,
        predictions,
        learning_rate,
        gradient_norms,
    )
    norms = gradient_norms.read(epochs, shapes)
    found = {**learned, "learning_rate": learning_rate.read(epochs), "gradient_norms": norms}
    pictures = []
    for (key, title), artist in zip(TITLES.items(), artists, strict=True):
        if values := found.get(key):
            save_figure(functools.partial(artist.draw, name, values), run_dir / picture_file(key), DPI)
            pictures.append(Picture(picture_file(key), title, artist.sentence(values)))
    return pictures
