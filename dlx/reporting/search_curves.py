"""Draws the learning curves of the best and of the chosen trial of a search, over its cells."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dlx.reporting.courses import Course, common_epochs, mean_and_band
from dlx.reporting.drawing import GREY, STYLES, label, numbers, panels
from dlx.reporting.search_axes import LEGEND_ROOM, mark_legend
from dlx.reporting.search_trials import Result, Trial, cells_of, find_trial
from dlx.reporting.tables import shorten

MAX_LINES = 20
"""Cells that are drawn as lines, at most; the mean is over all."""
LOG_DECADES = 1.5
"""Losses that span more are drawn on a logarithmic axis."""
NAMES = {"train": "training loss", "valid": "inner validation loss"}


def shown_trials(result: Result, cells: Sequence[Mapping[str, Any]]) -> dict[str, list[Trial]]:
    """Give the cells with curves of the best and of the chosen trial, by a title; one where both are the same."""
    best, chosen = find_trial(result, "best"), find_trial(result, "chosen")
    which = {"best and chosen": best} if best == chosen else {"best": best, "chosen": chosen}
    found = {
        f"trial {trial['trial']} ({name})": [line for line in cells_of(trial, cells) if line.get("curve")]
        for name, trial in which.items()
        if trial is not None
    }
    return {title: lines for title, lines in found.items() if lines}


def draw(result: Result, cells: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw training loss and inner validation loss against the epoch.

    Thin lines are cells; thick lines and bands are mean and standard deviation, over the epochs that all cells trained
    in.

    Args:
        result: Content of result.json.
        cells: Lines of cells.jsonl, of which ``shown_trials`` gives some.
    """
    shown = shown_trials(result, cells)
    count = max(map(len, shown.values()))
    thin = f"thin lines: {'single' if count <= MAX_LINES else f'{MAX_LINES} of the'} cells"
    mean = f"thick lines and bands: mean ± standard deviation over {count} cells, as far as all train"
    note = f"{mean}\n{thin}" if count > 1 else "one cell: no mean, no band"
    title = f"{shorten(result['name'], 24)}: learning curves over folds"
    figure, axes = panels(6.4 if len(shown) == 1 else 4.6, 3.6, title, note, 1, len(shown), room=2 * LEGEND_ROOM)
    courses = [_courses(lines) for lines in shown.values()]
    for panel, (name, lines), each in zip(axes, shown.items(), courses, strict=True):
        panel.set_title(name, fontsize=10, loc="left", parse_math=False)
        _set_scale(panel, list(itertools.chain(*courses)))
        _draw_panel(panel, lines, each)
        label(panel, "epoch", f"loss ({shorten(result['loss'], 24)})")
    handles = [
        Line2D([], [], color=STYLES[part].colour, linestyle=STYLES[part].dashes, linewidth=2, label=NAMES[part])
        for part in _parts(next(iter(shown.values())))
    ]
    best = Line2D([], [], color=GREY, linestyle="dotted", linewidth=1.6, label="median best epoch")
    mark_legend(figure, note, {}, [*handles, best])
    return figure


def _parts(lines: Sequence[Trial]) -> list[str]:
    return [part for part in NAMES if any(line["curve"].get(part) for line in lines)]


def _courses(lines: Sequence[Trial]) -> list[Course]:
    return [
        Course(
            line["seed"],
            list(range(1, 1 + len(line["curve"]["train"]))),
            {(part, "loss"): list(numbers(line["curve"][part])) for part in NAMES if line["curve"].get(part)},
        )
        for line in lines
    ]


def _draw_panel(axes: Axes, lines: Sequence[Trial], courses: Sequence[Course]) -> None:
    drawn = courses[:: -(-len(courses) // MAX_LINES)]
    for part in _parts(lines):
        style = STYLES[part]
        is_alone = len(courses) == 1
        for number, course in enumerate(drawn):
            axes.plot(
                course.epochs, course.values(part, "loss"), color=style.colour, linestyle=style.dashes,
                linewidth=2.0 if is_alone else 0.6, alpha=1.0 if is_alone else 0.4, gid=f"{part}-{number}",
            )  # fmt: skip
        if not is_alone and common_epochs(courses):
            _draw_mean(axes, courses, part)
    epoch = statistics.median_low([line["best_epoch"] for line in lines])
    axes.axvline(epoch, color=GREY, linestyle="dotted", linewidth=1.6, gid="best-epoch")
    axes.text(
        epoch, 0.98, f" {epoch}", transform=axes.get_xaxis_transform(), fontsize=9, color=GREY, va="top", ha="left"
    )
    last = max(course.epochs[-1] for course in courses)
    axes.set_xlim((0.5, 1.5) if last == 1 else (1 - 0.02 * last, 1.03 * last))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))


def _draw_mean(axes: Axes, courses: Sequence[Course], part: str) -> None:
    style = STYLES[part]
    with np.errstate(all="ignore"):
        epochs, mean, std = mean_and_band(courses, part, "loss")
        bottom = axes.get_ylim()[0]
        lower = np.maximum(mean - std, bottom) if axes.get_yscale() == "log" else mean - std
    axes.plot(epochs, mean, color=style.colour, linestyle=style.dashes, linewidth=2.2, gid=f"{part}-mean")
    axes.fill_between(epochs, lower, mean + std, color=style.colour, alpha=0.16, linewidth=0, gid=f"{part}-band")


def _set_scale(axes: Axes, courses: Sequence[Course]) -> None:
    """Show all losses, on a logarithmic axis where they span much."""
    values = np.concatenate([course.values(part, score) for course in courses for part, score in course.scores])
    values = values[np.isfinite(values)]
    if not len(values):
        return
    low, high = float(values.min()), float(values.max())
    if low > 0 and math.log10(high) - math.log10(low) > LOG_DECADES:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.2, high * 1.2)
    else:
        margin = 0.05 * (high - low) or 0.1 * abs(high) or 0.1
        axes.set_ylim(low - margin, high + margin)


def sentence(result: Result, cells: Sequence[Mapping[str, Any]]) -> str:
    """Say what is to be seen."""
    lines = next(iter(shown_trials(result, cells).values()))
    if "valid" not in _parts(lines):
        return "There is no inner validation part: nothing chose an epoch, and the curves are those of training alone."
    epochs = sorted(line["best_epoch"] for line in lines)
    span = f"{epochs[0]} to {epochs[-1]}" if epochs[0] < epochs[-1] else str(epochs[0])
    return (
        f"The inner validation loss, on a part of each fold's training examples, is lowest at epoch {span} in the "
        f"{len(epochs)} cells. Where it rises while the training loss falls, the trial begins to overfit; where both "
        "still fall at the end, more epochs may help."
    )
