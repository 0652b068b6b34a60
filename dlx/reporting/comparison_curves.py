"""Draws the loss of the tuned optimizers of a comparison while they train, against steps and against seconds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from dlx.reporting.comparison_arms import arm_labels, arm_styles, losses, seed_words, step_words
from dlx.reporting.comparison_axes import Scale, legend_room, legend_under, line_handle, loss_scale
from dlx.reporting.comparison_texts import Arm, Result, best_values, finite_or_inf, listed, part_name, tuned_arms
from dlx.reporting.drawing import GREY, Floats, Style, label, panels
from dlx.reporting.tables import format_number, is_number, shorten

Cells = Sequence[Mapping[str, Any]]
INSIDE = {True: 0.9, False: 0.75}
"""Share of the points of all curves that an axis shows, logarithmic or not; the first of the training are left out."""
LONG = 2.0
"""Arms that train for more than so many times the median time are cut off."""
MARKS = 6
"""Marks along a curve."""


@dataclass(frozen=True)
class Curve:
    """The course of an arm over its fresh seeds.

    Attributes:
        name: Name of the arm.
        steps: Steps done, [K], the first 0.
        low: Lower quartile of the loss, [K], infinite where too few runs have one.
        median: Median of the loss, [K].
        high: Upper quartile, [K].
    """

    name: str
    steps: Floats
    low: Floats
    median: Floats
    high: Floats


def curves_of(result: Result, cells: Cells) -> list[Curve]:
    """Give the curves of the tuned arms, best first; nothing where cells are missing.

    Args:
        result: Content of result.json, of one problem.
        cells: Lines of cells.jsonl.
    """
    lines = {_key(line["values"].get("optimizer"), line["seed"]): line for line in cells}
    seeds = result["protocol"]["seeds"]
    searches = [search for arm in tuned_arms(result) for search in arm["searches"]]
    wanted = [_key(best_values(search), seed) for search in searches for seed in seeds]
    return [_curve(result, arm, lines) for arm in tuned_arms(result)] if all(key in lines for key in wanted) else []


def _key(values: Mapping[str, Any] | None, seed: int) -> tuple[str, int]:
    """Name a run by its settings: equal ones of two optimizers are trained once, under the number of the first."""
    return json.dumps(values, sort_keys=True), seed


def _curve(result: Result, arm: Arm, lines: Mapping[tuple[str, int], Mapping[str, Any]]) -> Curve:
    protocol, part = result["protocol"], result["judged"]["part"]
    best = [best_values(search) for search in arm["searches"]]
    rows = [[lines[_key(values, seed)] for seed in protocol["seeds"]] for values in best]
    done = [line for row in rows for line in row if line["stop_reason"] != "diverged"]
    length = max((len(line["curve"][part]) for line in done), default=protocol["epochs"])
    per_epoch = next((line["num_steps"] / line["last_epoch"] for line in done), protocol["steps_per_epoch"])

    def course(line: Mapping[str, Any]) -> Floats:
        """The loss at the beginning and after each epoch; it stays where a run ended early."""
        before = finite_or_inf(result["untrained"][str(line["seed"])])
        if line["stop_reason"] == "diverged":
            return np.array([before, *[math.inf] * length])
        found = losses(line["curve"][part])
        return np.concatenate([[before], found, np.full(length - len(found), found[-1])])

    runs = np.sort(np.median([[course(line) for line in row] for row in rows], axis=0), axis=0)  # [seeds, epochs]
    low, high = (runs[math.ceil(share * len(runs)) - 1] for share in (0.25, 0.75))
    return Curve(arm["name"], per_epoch * np.arange(length + 1), low, np.median(runs, axis=0), high)


def draw(result: Result, curves: Sequence[Curve], seconds: Mapping[str, float]) -> Figure:
    """Draw median and quartiles over the fresh seeds against steps and, where they are known, against seconds.

    Args:
        result: Content of result.json, of one problem.
        curves: What ``curves_of`` gives, at least one.
        seconds: Seconds of a step of each arm, by its name; of some or of none.
    """
    styles, labels = arm_styles(result), arm_labels(result)
    timed = [curve for curve in curves if is_number(seconds.get(curve.name))]
    longest, cut = _longest(timed, seconds)
    note = _note(result, [labels[name] for name in cut])
    lost = {curve.name: "" if np.isfinite(curve.median[-1]) else " (infinite)" for curve in curves}
    handles: list[Artist] = [line_handle(styles[name], labels[name] + text) for name, text in lost.items()]
    if is_number(result["target"]):
        handles.append(Line2D([], [], color=GREY, linewidth=1.0, label=f"target {format_number(result['target'])}"))
    columns, width = (2, 5.0) if timed else (1, 7.0)
    title = f"{shorten(result['name'], 24)}: {part_name(result)} of the tuned optimizers while they train"
    figure, axes = panels(width, 4.0, title, note, 1, columns, room=legend_room(handles, columns * width))
    scale = _scale(result, curves)
    for curve in curves:
        _draw_curve(axes[0], curve, curve.steps, styles[curve.name], scale)
    for curve in timed:
        _draw_curve(axes[1], curve, curve.steps * seconds[curve.name], styles[curve.name], scale)
    ends = [max(curve.steps[-1] for curve in curves), longest]
    for panel, end, name in zip(axes, ends, ("steps", "seconds of training"), strict=False):
        scale.show(panel)
        panel.set_xlim(0, 1.01 * end)
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6))
        label(panel, name, f"{part_name(result)} ({shorten(result['loss'], 24)})")
        if is_number(result["target"]):
            panel.axhline(result["target"], color=GREY, linewidth=1.0, zorder=1.5, gid="target")
    legend_under(figure, note, handles)
    return figure


def _note(result: Result, cut: Sequence[str]) -> str:
    count = len(result["protocol"]["seeds"])
    band = f"lines: median over {seed_words(result)}; bands: the middle half of them" if count > 1 else "one seed alone"
    tail = [f"{listed(cut)} {'goes' if len(cut) == 1 else 'go'} on for longer than is shown"] if cut else []
    more = "; ".join(filter(None, [step_words(result), *tail]))
    return "\n".join(filter(None, [f"{band}; a run that diverged counts as infinite", more]))


def _longest(curves: Sequence[Curve], seconds: Mapping[str, float]) -> tuple[float, list[str]]:
    """Give how many seconds are shown, and the arms that go on for longer."""
    ends = {curve.name: float(curve.steps[-1] * seconds[curve.name]) for curve in curves}
    if not ends:
        return 1.0, []
    most = min(max(ends.values()), LONG * float(np.median(list(ends.values()))))
    return most or 1.0, [name for name, end in ends.items() if end > most]


def _scale(result: Result, curves: Sequence[Curve]) -> Scale:
    """Show nearly all points, and the ends of all curves."""
    is_log = bool(result["judged"]["is_log"])
    medians = np.concatenate([curve.median for curve in curves])
    finite = medians[np.isfinite(medians)]
    ends = [curve.median[-1] for curve in curves if np.isfinite(curve.median[-1])]
    target = [result["target"]] if is_number(result["target"]) else []
    top = max(
        [*(np.quantile(finite, [INSIDE[is_log]]) if len(finite) else []), *(1.1 * np.abs(ends)), *target], default=1.0
    )
    lows = np.concatenate([*(curve.low for curve in curves), np.array(target)])
    return loss_scale(lows, is_log, float(top))


def _draw_curve(axes: Axes, curve: Curve, x: Floats, style: Style, scale: Scale) -> None:
    every = max(1, len(x) // MARKS)
    axes.fill_between(
        x, scale.clip(curve.low), scale.clip(curve.high), color=style.colour, alpha=0.13, linewidth=0,
        gid=f"band-{curve.name}",
    )  # fmt: skip
    axes.plot(
        x, scale.clip(curve.median), color=style.colour, linestyle=style.dashes, linewidth=1.7, marker=style.marker,
        markersize=4.5, markevery=(ord(style.marker) % every, every), gid=f"median-{curve.name}",
    )  # fmt: skip


def sentence(result: Result, curves: Sequence[Curve]) -> str:
    """Say what is to be seen."""
    best = min(curves, key=lambda curve: float(curve.median[-1]))
    name, last = arm_labels(result)[best.name], best.median[-1]
    end = f"at {format_number(last)}" if np.isfinite(last) else "at infinity: more than half of its runs diverge"
    if len(curves) == 1:
        return f"The median {part_name(result)} of {name} ends {end}; it is the only tuned optimizer."
    return (
        f"Of the tuned optimizers the median {part_name(result)} of {name} ends lowest, {end}. Curves may cross, so "
        "which is ahead depends on when one looks; the bands show how much the seeds alone matter, and whether two "
        "optimizers differ is judged by the pairs of runs with one seed, not by the bands."
    )
