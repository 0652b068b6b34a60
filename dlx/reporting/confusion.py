"""Draws the confusion matrix: which classes were taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlx.reporting.drawing import Floats, label, panels
from dlx.reporting.tables import format_number, shorten

MAX_WRITTEN = 20
"""Of more classes the counts are not written into the cells."""
MAX_NAMED = 40
"""Of more classes some names are left out along the axes."""
LONG = 4
"""Longer names stand upright under the matrix."""


def draw(name: str, values: dict[str, Any]) -> Figure:
    """Draw a confusion matrix: counts, and in colour the share of each true class.

    Args:
        name: Name of the experiment.
        values: ``confusion`` of learned.json.
    """
    counts = np.array(values["counts"], dtype=np.int64)
    size = float(np.clip(1.9 + 0.36 * len(counts), 4.2, 8.0))
    note = f"counts{_over(values)}; colour: share of the true class\n{_right(counts)}"
    figure, (axes,) = panels(size + 0.7, size, f"{name}: confusion matrix, {values['part']} part", note)
    axes.grid(visible=False)
    with np.errstate(invalid="ignore"):
        shares = np.nan_to_num(counts / counts.sum(1, keepdims=True))
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=max(shares.max(), 1e-9), aspect="auto")
    picture.set_gid("shares")
    bar = figure.colorbar(picture, ax=axes, fraction=0.05, pad=0.03)
    bar.set_label("share of the true class", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    _name_classes(figure, axes, values["classes"])
    if len(counts) <= MAX_WRITTEN:
        _write_counts(axes, counts, shares)
    return figure


def _over(values: dict[str, Any]) -> str:
    return f" summed over {values['num_seeds']} seeds" if values["num_seeds"] > 1 else ""


def _right(counts: Any) -> str:
    return f"{np.trace(counts):,} of {counts.sum():,} predictions are right: they lie on the diagonal"


def _name_classes(figure: Figure, axes: Axes, classes: list[str]) -> None:
    ticks = range(0, len(classes), -(-len(classes) // MAX_NAMED))
    names = [shorten(classes[tick], 14) for tick in ticks]
    is_long = max(map(len, names)) > LONG
    size = 9 if len(classes) <= MAX_WRITTEN else 7
    axes.set_xticks(ticks, names, fontsize=size, rotation=90 if is_long and len(classes) > 4 else 0, parse_math=False)
    axes.set_yticks(ticks, names, fontsize=size, parse_math=False)
    axes.tick_params(length=0)
    label(axes, "predicted class", "true class")
    longest = max(map(len, names))
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left=(0.7 + 0.075 * longest) / width)
    if is_long and len(classes) > 4:
        figure.subplots_adjust(bottom=(0.5 + 0.075 * longest) / height)


def _write_counts(axes: Axes, counts: Any, shares: Floats) -> None:
    size = 9 if len(counts) <= 10 and counts.max() < 10_000 else 6
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > shares.max() / 2 else "black"
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=size, color=colour)


def sentence(values: dict[str, Any]) -> str:
    """Say what is to be seen: which class is taken for which most often."""
    counts = np.array(values["counts"], dtype=np.int64)
    wrong = counts - np.diag(np.diag(counts))
    how = f"Each row is a true class, each column a predicted one, counted on the {values['part']} part"
    how += f",{_over(values)}." if _over(values) else "."
    if not wrong.any():
        return f"{how} All predictions are right."
    true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    names = values["classes"]
    share = format_number(100 * wrong[true, predicted] / counts[true].sum(), 2)
    return (
        f"{how} {_right(counts)}. The most frequent mistake: {names[true]} taken for {names[predicted]}, "
        f"{wrong[true, predicted]} times ({share} % of {names[true]})."
    )
