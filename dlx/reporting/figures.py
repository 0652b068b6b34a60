"""Draws the learning curve of a run: loss and metrics against the epoch, from metrics.jsonl and result.json.

What is drawn is what is known: a thin line for every seed; mean and deviation over seeds only as far as all of them
still train, because a mean whose members change jumps without any of them moving.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.patheffects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, SymmetricalLogLocator

from dlx.reporting.courses import Course, common_epochs, mean_and_band, read_courses
from dlx.reporting.drawing import GREY, STYLES, new_figure, save_figure
from dlx.reporting.tables import finished_members, format_mean, is_number, present_parts

LOG_DECADES = 1.5
"""Spans that are wider are drawn on a logarithmic axis."""
MAX_COLUMNS = 3
"""More panels go into further rows."""
LEFT = 0.92
"""Inches left of the axes: room for ticks such as -35000."""
MAX_NAMED = 3
"""More seeds that diverge at one place are counted, not listed."""


def learning_curve(epochs: list[dict[str, Any]], result: dict[str, Any], path: Path) -> None:
    """Draw the learning curve of a run and replace the file by it.

    Args:
        epochs: Lines of metrics.jsonl.
        result: Content of result.json.
        path: The PNG; its folder is made if it is missing.

    Raises:
        RunError: If the file cannot be written.
    """
    save_figure(lambda: draw_learning_curve(epochs, result), path)


def draw_learning_curve(epochs: list[dict[str, Any]], result: dict[str, Any]) -> Figure:
    """Draw the learning curve: one panel for the loss and one for each metric.

    Thin lines are seeds. With two or more seeds that do not diverge, a thick line and a band are their mean and its
    standard deviation, over the epochs that all of them trained in. Axes show these seeds whole; a diverging one
    leaves them at the top.

    Args:
        epochs: Lines of metrics.jsonl.
        result: Content of result.json.

    Returns:
        The figure; lines have the gids ``train-3`` (a seed) and ``train-mean``, bands ``train-band``.
    """
    courses = read_courses(epochs)
    scores = ["loss", *result.get("metrics", [])]
    rows = -(-len(scores) // MAX_COLUMNS)
    columns = -(-len(scores) // rows)
    width, height = 1.75 + 5.1 * columns, 1.0 + 3.7 * rows
    figure = new_figure(width, height)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    figure.subplots_adjust(LEFT / width, 0.99 / height, 1 - 1.55 / width, 1 - 0.85 / height, wspace=0.72, hspace=0.28)
    for panel in axes[len(scores) :]:
        panel.remove()
    with np.errstate(all="ignore"):  # sums of losses near 1e308
        for panel, score in zip(axes, scores, strict=False):
            _draw_panel(panel, courses, score, result)
    axes[0].set_ylabel(f"loss ({result['loss']})", parse_math=False)
    _write_title(figure, courses, result)
    _add_legend(figure, courses, result)
    return figure


def _draw_panel(axes: Axes, courses: Sequence[Course], score: str, result: dict[str, Any]) -> None:
    healthy = [course for course in courses if not course.is_diverged]
    shown = healthy or courses
    last = max((course.end for course in courses), default=1)
    single = 0.5 if last == 1 else 0.0
    axes.set_xlim(max(1 - 0.02 * last, 0.3) - single, 1.06 * last + single)
    ticks = MaxNLocator(integer=True, nbins=7, min_n_ticks=1, steps=[1, 2, 5, 10]).tick_values(1, last)
    axes.set_xticks([tick for tick in ticks if 1 <= tick <= last])
    axes.set_xlabel("epoch")
    axes.set_ylabel(score, parse_math=False)
    axes.grid(color="#E0E0E0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _set_scale(axes, shown, score, result)
    for part in ("train", "valid"):
        for course in courses:
            _draw_course(axes, course, part, score, is_bold=shown == [course] or not healthy)
        if len(healthy) > 1:
            _draw_mean(axes, healthy, part, score)
    _mark_best(axes, healthy, score, result)
    labels = list(_line_labels(shown, score))
    labels += _draw_test(axes, score, result, last)
    _mark_diverged(axes, courses, score)
    _place_labels(axes, labels)


def _set_scale(axes: Axes, courses: Sequence[Course], score: str, result: dict[str, Any]) -> None:
    drawn = [value for course in courses for part in ("train", "valid") for value in course.values(part, score)]
    mean, std = _test_score(score, result)
    drawn += [] if mean is None else [mean, mean + std, *([mean - std] if mean > std else [])]
    values = np.array([value for value in drawn if math.isfinite(value)], dtype=np.float64)
    if not len(values):
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        return
    low, high = float(values.min()), float(values.max())
    if low > 0 and math.log10(high) - math.log10(low) > LOG_DECADES and _falls(courses, score):
        margin = 10 ** (0.05 * (math.log10(high) - math.log10(low)))
        axes.set_yscale("log")
        axes.set_ylim(max(low / margin, 1e-300), min(high * margin, 1e300))
        return
    if max(abs(low), abs(high)) > 1e4 * max(1.0, float(np.median(np.abs(values)))):
        axes.set_yscale("symlog", linthresh=1.0)  # r2 of the first epochs may be -1e6
        ticks = SymmetricalLogLocator(base=10, linthresh=1.0)
        ticks.set_params(numticks=8)
        axes.yaxis.set_major_locator(ticks)
        axes.set_ylim(low - 4 * abs(low) if low < 0 else 0.0, high + 9 * max(abs(high), 1.0))
        return
    margin = 0.05 * (high / 2 - low / 2) * 2 or 0.1 * abs(high) or 0.1
    axes.set_ylim(low - margin, high + margin)


def _falls(courses: Sequence[Course], score: str) -> bool:
    """Tell whether a score is one that falls, as losses do; accuracy near 0 needs no logarithm."""
    ends = [
        (course.values("train", score)[0], course.values("train", score)[-1]) for course in courses if course.epochs
    ]
    return score == "loss" or any(last < first for first, last in ends)


def _draw_course(axes: Axes, course: Course, part: str, score: str, is_bold: bool) -> None:
    if not course.epochs or (part, score) not in course.scores:
        return
    style = STYLES[part]
    axes.plot(
        course.epochs,
        course.values(part, score),
        color=style.colour,
        linestyle=style.dashes,
        linewidth=1.9 if is_bold else 0.8,
        alpha=1.0 if is_bold else 0.45,
        marker=style.marker if len(course.epochs) == 1 else "",
        markersize=5,
        gid=f"{part}-{course.seed}",
    )


def _draw_mean(axes: Axes, courses: Sequence[Course], part: str, score: str) -> None:
    if not any((part, score) in course.scores for course in courses) or not common_epochs(courses):
        return
    style = STYLES[part]
    epochs, mean, std = mean_and_band(courses, part, score)
    axes.plot(
        epochs,
        mean,
        color=style.colour,
        linestyle=style.dashes,
        linewidth=2.2,
        marker=style.marker if len(epochs) == 1 else "",
        gid=f"{part}-mean",
    )
    bottom = axes.get_ylim()[0]
    lower = np.maximum(mean - std, bottom) if axes.get_yscale() == "log" else mean - std
    if np.isfinite([lower, mean + std]).all():
        axes.set_ylim(min(bottom, *lower), max(axes.get_ylim()[1], *(mean + std)))
    axes.fill_between(epochs, lower, mean + std, color=style.colour, alpha=0.16, linewidth=0, gid=f"{part}-band")


def _best_epochs(result: dict[str, Any]) -> dict[int, int]:
    """Give the epoch of each member's best weights, by seed; none where no validation data chose them."""
    chosen = [member for member in finished_members(result) if member.get("valid") and member.get("best_epoch")]
    return {member["seed"]: member["best_epoch"] for member in chosen}


def _mark_best(axes: Axes, courses: Sequence[Course], score: str, result: dict[str, Any]) -> None:
    best = _best_epochs(result)
    for course in courses:
        epoch = best.get(course.seed)
        if epoch in course.epochs:
            value = course.values("valid", score)[course.epochs.index(epoch)]
            axes.plot(
                [epoch], [value], "o", color=STYLES["valid"].colour, markerfacecolor="white", markersize=6,
                markeredgewidth=1.3, zorder=4, gid=f"best-{course.seed}",
            )  # fmt: skip


def _test_score(score: str, result: dict[str, Any]) -> tuple[float | None, float]:
    """Give mean and standard deviation (0 with one seed) of the best weights' test score; None if there is none."""
    found = ((result.get("summary") or {}).get("test") or {}).get(score) or {}
    mean, std = found.get("mean"), found.get("std")
    return (mean if is_number(mean) else None), std if is_number(std) else 0.0


def _draw_test(axes: Axes, score: str, result: dict[str, Any], last: int) -> Iterator[tuple[float, str, str]]:
    mean, std = _test_score(score, result)
    if mean is None:
        return
    style = STYLES["test"]
    found = result["summary"]["test"][score]
    lower = min(std, mean - axes.get_ylim()[0]) if axes.get_yscale() == "log" else std
    x = axes.get_xlim()[1] - 0.025 * last
    axes.errorbar(
        [x], [mean], [[max(lower, 0.0)], [std]], fmt=style.marker, color=style.colour, markersize=6, capsize=3,
        elinewidth=1.2, zorder=5, gid="test",
    )  # fmt: skip
    yield mean, f"test\n{format_mean(mean, found.get('std'))}", style.colour


def _line_labels(courses: Sequence[Course], score: str) -> Iterator[tuple[float, str, str]]:
    """Name the lines where they end: value, text and colour; several seeds are named at the one that trains longest."""
    for part in ("train", "valid"):
        longest = max((course for course in courses if course.epochs), key=lambda course: course.end, default=None)
        if longest is not None and math.isfinite(value := float(longest.values(part, score)[-1])):
            yield value, part, STYLES[part].colour


def _mark_diverged(axes: Axes, courses: Sequence[Course], score: str) -> None:
    """Put a cross where a member has its last scores, at the top edge if that lies off the axes or there are none."""
    low, high = axes.get_ylim()
    top = axes.transData.inverted().transform(axes.transAxes.transform((0, 0.97)))[1]
    ends: dict[tuple[int, float], list[int]] = {}
    for course in courses:
        if course.is_diverged:
            value = float(course.values("train", score)[-1]) if course.epochs else math.nan
            epoch = course.epochs[-1] if course.epochs else course.end
            ends.setdefault((epoch, value if low <= value <= high else top), []).append(course.seed)
    placed: list[tuple[float, float]] = []
    for (epoch, value), seeds in sorted(ends.items()):
        axes.plot([epoch], [value], "x", color=GREY, markersize=8, markeredgewidth=2, zorder=6, clip_on=False,
                  gid="diverged-" + "-".join(map(str, seeds)))  # fmt: skip
        x, y = axes.transData.transform((epoch, value)) * 72.0 / axes.figure.dpi
        # Names stand below their crosses, and a row lower where they would touch the one before.
        row = sum(abs(x - other_x) < 26 and abs(y - other_y) < 10 for other_x, other_y in placed)
        placed.append((x, y))
        axes.annotate(
            _named_seeds(seeds), (epoch, value), (-4, -9 - 12 * row), textcoords="offset points", ha="left", va="top",
            fontsize=9, color=GREY, annotation_clip=False, zorder=6,
path_effects=[matplotlib.patheffects.withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip


def _named_seeds(seeds: Sequence[int]) -> str:
    more = f" +{len(seeds) - MAX_NAMED}" if len(seeds) > MAX_NAMED else ""
    return ", ".join(map(str, seeds[:MAX_NAMED])) + more


def _place_labels(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write labels right of the axes at the height of their values, pushed apart where they would overlap."""
    points = 72.0 / axes.figure.dpi
    bottom, top = (axes.transAxes.transform((0, y))[1] * points for y in (0, 1))
    wanted = sorted(
        (float(axes.transData.transform((0, value))[1]) * points, text, colour) for value, text, colour in labels
    )
    heights = [13.0 * (1 + text.count("\n")) for _, text, _ in wanted]
    centres = _push_apart([centre for centre, *_ in wanted], heights)
    for (_, text, colour), centre in zip(wanted, centres, strict=True):
        y = (centre - bottom) / (top - bottom)
        axes.text(1.015, y, text, color=colour, transform=axes.transAxes, va="center", fontsize=10, fontweight="bold")


def _push_apart(centres: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Move sorted centres of intervals as little as it takes that they do not overlap, keeping their order."""
    moved = list(centres)
    for _ in range(100):  # each round halves the overlap that is left among three or four labels
        for below in range(len(moved) - 1):
            overlap = (heights[below] + heights[below + 1]) / 2 - (moved[below + 1] - moved[below])
            if overlap > 0:
                moved[below] -= overlap / 2
                moved[below + 1] += overlap / 2
    return moved


def _write_title(figure: Figure, courses: Sequence[Course], result: dict[str, Any]) -> None:
    healthy = [course for course in courses if not course.is_diverged]
    count = f"seed {courses[0].seed}" if len(courses) == 1 else f"{len(courses)} seeds"
    left, height = LEFT / figure.get_figwidth(), figure.get_figheight()
    text = f"{result['name']}: learning curve, {count}"
    figure.text(left, 1 - 0.33 / height, text, fontsize=13, fontweight="bold", parse_math=False)
    figure.text(left, 1 - 0.6 / height, _explanation(healthy, len(courses)), fontsize=9, color=GREY)


def _explanation(healthy: Sequence[Course], count: int) -> str:
    diverged = count - len(healthy)
    if not healthy:
        return "every seed diverged" if count > 1 else "diverged"
    without = f" ({diverged} diverged)" if diverged else ""
    epochs = common_epochs(healthy)
    if len(healthy) == 1 or not epochs:
        return f"one seed to average{without}: no mean, no band" if diverged else "one seed: no mean, no band"
    end = "" if epochs[-1] == max(course.end for course in healthy) else ", as far as all of them train"
    return f"mean and ±1 standard deviation (band) over {len(healthy)} seeds{without}{end}"


def _add_legend(figure: Figure, courses: Sequence[Course], result: dict[str, Any]) -> None:
    """Explain the marks that are drawn; lines are named where they end."""
    healthy = [course for course in courses if not course.is_diverged]
    handles: list[Line2D | Patch] = []
    if len(healthy) > 1:
        handles.append(Line2D([], [], color=GREY, linewidth=0.8, alpha=0.7, label="one seed"))
        handles.append(Line2D([], [], color=GREY, linewidth=2.2, label="mean"))
        handles.append(Patch(facecolor=GREY, alpha=0.25, label="±1 standard deviation"))
    if healthy and _best_epochs(result):
        handles.append(_mark("o", "best weights (lowest validation loss)", STYLES["valid"].colour, "white"))
    if "test" in present_parts(result.get("summary") or {}):
        handles.append(_mark("D", "test, best weights", STYLES["test"].colour))
    if len(healthy) < len(courses):
        handles.append(_mark("x", "diverged, with its seed", GREY))
    if handles:
        columns = min(len(handles), 6 if len(figure.axes) > 1 else 3)
        figure.legend(handles=handles, loc="lower center", ncols=columns, frameon=False, fontsize=9)


def _mark(marker: str, label: str, colour: str, face: str | None = None) -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker=marker, color=colour, markerfacecolor=face or colour, markersize=6,
        markeredgewidth=1.3, label=label,
    )  # fmt: skip
