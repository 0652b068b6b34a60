"""Draws the error of central differences against their step."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, DPI, GREY, add_legend, label, numbers, panels, save_figure
from dlx.reporting.gallery import Picture, picture_file

NAME = "v_curve"


def draw_v_curve(result: Mapping[str, Any], run_dir: Path) -> Picture:
    """Draw the curve of a check into its run directory.

    Args:
        result: Content of result.json.
        run_dir: The run directory.

    Raises:
        RunError: If the file cannot be written.
    """
    save_figure(functools.partial(draw, result), run_dir / picture_file(NAME), DPI)
    return Picture(picture_file(NAME), "Error against step", sentence())


def sentence() -> str:
    """Say what there is to see."""
    return (
        "Large steps see the curvature of f (the error falls with the square of the step), small ones the rounding of "
        "its values (it grows again as the step shrinks); the check takes a step near the bottom."
    )


def draw(result: Mapping[str, Any]) -> Figure:
    """Draw the errors, the lines of slope 2 and -1 beside them, and the step that the check takes."""
    curve = result["v_curve"]
    note = f"{curve['num_entries']} entries of the gradient of the loss; error |D - g| / (|D| + |g|), g by autograd"
    figure, (axes,) = panels(6.4, 4.2, "Error of central differences against their step", note)
    steps, errors = numbers(curve["steps"]), numbers(curve["errors"])
    kept = np.isfinite(errors) & (errors > 0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot(steps[kept], errors[kept], "-o", color=COLOURS[0], markersize=4, label="measured")
    for slope, dashes, name in ((2, "--", "slope 2: truncation"), (-1, ":", "slope -1: rounding")):
        line = _line(steps[kept], errors[kept], slope)
        if line is not None:
            axes.plot(*line, dashes, color=COLOURS[1], linewidth=1.3, label=name)
    axes.axvline(curve["chosen"], color=GREY, linewidth=1, linestyle=(0, (6, 3)), label="step of the check")
    if kept.any():
        low, high = errors[kept].min(), errors[kept].max()
        axes.set_ylim(low / 10, min(high * 10, 10))
    label(axes, "step h", "relative error")
    add_legend(axes, loc="lower left")  # where a V leaves room, and no line stands
    return figure


def _line(steps: Any, errors: Any, slope: int) -> tuple[Any, Any] | None:
    """Give a line of a slope through the middle of its side of the V."""
    if len(steps) < 3:
        return None
    bottom = int(errors.argmin())
    side = slice(0, bottom) if slope > 0 else slice(bottom + 1, None)
    x, y = steps[side], errors[side]
    clear = (y > 30 * errors.min()) & (y < 0.1)
    if clear.sum() < 2:
        return None
    x, y = x[clear], y[clear]
    middle = np.exp(np.log(y / x**slope).mean())
    ends = np.array([x.min() / 3, x.max() * 3])
    return ends, middle * ends**slope
