"""Draws the held-out score of a search against each hyperparameter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dlx.reporting.drawing import COLOURS, GREY, label, panels
from dlx.reporting.search_axes import (
    BEST,
    CHOSEN,
    DIVERGED,
    DROPPED,
    LEGEND_ROOM,
    KeyAxis,
    ScoreAxis,
    key_axis,
    mark,
    mark_legend,
    num_beyond,
    score_axis,
    score_words,
)
from dlx.reporting.search_tables import HELD_OUT
from dlx.reporting.search_trials import Result, Trial, find_trial, num_fold_scores, scored
from dlx.reporting.tables import format_number, is_number, shorten

MAX_PANELS = 9
"""Hyperparameters that are drawn, at most."""
MAX_FOLDS = 20
"""Folds that are drawn as dots, at most; of more a bar shows the standard error."""
DODGE = 0.32
"""How far from its value a trial is drawn that shares it with others, as a share of the distance of values."""


def draw(result: Result, keys: Sequence[str]) -> Figure:
    """Draw the mean score of every trial, and its folds, against the value of each hyperparameter.

    Args:
        result: Content of result.json, of a space with a key at least.
        keys: Its keys, the most important first.
    """
    shown = [key_axis(result, key) for key in keys[:MAX_PANELS]]
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    depth = max(axis.depth for axis in shown)
    width = 6.4 if columns == 1 else 4.0 if columns == 2 else 3.6
    note = _note(result, len(keys))
    title = f"{shorten(result['name'], 24)}: score against each hyperparameter"
    figure, axes = panels(width, 3.1 + depth, title, note, rows, columns, bottom=0.55 + depth, room=LEGEND_ROOM)
    for panel in axes[len(shown) :]:
        panel.remove()
    scores = _score_axis(result)
    for panel, axis in zip(axes, shown, strict=False):
        _draw_panel(panel, result, axis, scores)
    mark_legend(figure, note, _kinds(result), _more_handles(result, shown, scores))
    return figure


def _note(result: Result, num_keys: int) -> str:
    texts = ["small dots: its folds" if _has_dots(result) else "bars: ± standard error"]
    texts += ["in each panel the other hyperparameters vary, too"] if num_keys > 1 else []
    texts += [f"the {MAX_PANELS} most important of {num_keys}"] if num_keys > MAX_PANELS else []
    better = "higher" if result["score"]["higher_is_better"] else "lower"
    return "\n".join([f"large marks: {score_words(result)} ({better} is better); {texts[0]}", *texts[1:]])


def _has_dots(result: Result) -> bool:
    return num_fold_scores(result) <= MAX_FOLDS


def _score_axis(result: Result) -> ScoreAxis:
    trials = [*scored(result), *scored(result, DROPPED)]
    values = [trial["score"]["mean"] for trial in trials]
    if _has_dots(result):
        values += [score for trial in scored(result) for score in trial["score"]["folds"]]
    else:
        for trial in scored(result):
            mean, se = trial["score"]["mean"], trial["score"]["se"] or 0.0
            values += [mean - se, mean + se]
    return score_axis(values, higher_is_better=result["score"]["higher_is_better"])


def _kinds(result: Result) -> dict[str, str]:
    kinds = {"trial": "trial"} if scored(result) else {}
    kinds |= {DROPPED: "dropped: score of a smaller budget"} if scored(result, DROPPED) else {}
    kinds |= {DIVERGED: "diverged"} if any(trial["status"] == DIVERGED for trial in result["trials"]) else {}
    if find_trial(result, BEST) is not None:
        kinds |= {BEST: BEST, CHOSEN: CHOSEN}
    return kinds


def _more_handles(result: Result, shown: Sequence[KeyAxis], scores: ScoreAxis) -> list[Line2D]:
    handles = []
    if any(_has_line(result, axis) for axis in shown):
        handles.append(Line2D([], [], color=GREY, linewidth=1.0, label="best of each value"))
    means = [trial["score"]["mean"] for status in ("done", DROPPED) for trial in scored(result, status)]
    if num_beyond(means, scores):
        text = f"beyond the axis ({num_beyond(means, scores)})"
        handles.append(Line2D([], [], linestyle="none", marker=_arrow(result), color=COLOURS[0], label=text))
    return handles


def _arrow(result: Result) -> str:
    return "v" if result["score"]["higher_is_better"] else "^"


def _has_line(result: Result, axis: KeyAxis) -> bool:
    return axis.is_ordered and axis.places is not None and len(axis.places) > 1 and len(scored(result)) > 1


def _draw_panel(axes: Axes, result: Result, axis: KeyAxis, scores: ScoreAxis) -> None:
    axis.show(axes.xaxis, is_below=True)
    label(axes, axes.get_xlabel(), f"{HELD_OUT} {result['score']['name']}")
    axes.set_yscale("log" if scores.is_log else "linear")
    axes.set_ylim(scores.limits())
    trials = [*scored(result), *scored(result, DROPPED)]
    x = _dodged(axis, trials)
    for trial in trials:
        _draw_trial(axes, result, trial, x[trial["trial"]], scores)
    worst = scores.limits()[0 if result["score"]["higher_is_better"] else 1]
    for trial in result["trials"]:
        if trial["status"] == DIVERGED:
            mark(axes, axis.place(trial), worst, DIVERGED, gid=f"diverged-{trial['trial']}")
    if _has_line(result, axis):
        _draw_line(axes, result, axis, scores)
    for which in (BEST, CHOSEN):
        for trial in trials:
            if trial["trial"] == result["selection"][which]:
                mark(axes, x[trial["trial"]], scores.clip(trial["score"]["mean"]), which, gid=which)


def _dodged(axis: KeyAxis, trials: Sequence[Trial]) -> dict[int, float]:
    """Tell where each trial stands; those of one value in a row, in their order, so that none hides another."""
    groups: dict[float, list[int]] = {}
    for trial in sorted(trials, key=lambda trial: trial["trial"]):
        groups.setdefault(axis.place(trial), []).append(trial["trial"])
    if axis.places is None:
        return {number: place for place, group in groups.items() for number in group}
    places = sorted(axis.places.values())
    gap = float(min(np.diff(places), default=1.0))
    return {
        number: place + (DODGE * gap * (2 * (each + 0.5) / len(group) - 1) if len(group) > 1 else 0.0)
        for place, group in groups.items()
        for each, number in enumerate(group)
    }


def _draw_trial(axes: Axes, result: Result, trial: Trial, x: float, scores: ScoreAxis) -> None:
    mean, number = trial["score"]["mean"], trial["trial"]
    is_dropped = trial["status"] == DROPPED
    settings = {"marker": _arrow(result)} if num_beyond([mean], scores) else {}
    size = {} if is_dropped or len(result["trials"]) <= 40 else {"markersize": 4}
    kind = DROPPED if is_dropped else "trial"
    mark(axes, x, scores.clip(mean), kind, gid=f"{kind}-{number}", **settings, **size)
    if is_dropped:
        return
    if _has_dots(result):
        folds = [score for score in trial["score"]["folds"] if is_number(score) and not num_beyond([score], scores)]
        axes.plot(
            [x] * len(folds), folds, linestyle="none", marker="o", markersize=2.4, color=COLOURS[0], alpha=0.4,
            markeredgewidth=0, zorder=2, gid=f"folds-{number}",
        )  # fmt: skip
    elif is_number(trial["score"]["se"]):
        se = trial["score"]["se"]
        ends = [scores.clip(mean - se), scores.clip(mean + se)]
        axes.plot([x, x], ends, color=COLOURS[0], linewidth=1.1, alpha=0.6, zorder=2, gid=f"bar-{number}")


def _draw_line(axes: Axes, result: Result, axis: KeyAxis, scores: ScoreAxis) -> None:
    """Join the best trials of each value."""
    best: dict[float, float] = {}
    for trial in scored(result):  # the best first
        best.setdefault(axis.place(trial), scores.clip(trial["score"]["mean"]))
    places = sorted(best)
    axes.plot(places, [best[place] for place in places], color=GREY, linewidth=1.0, zorder=1, gid="best-of-each")


def sentence(result: Result, keys: Sequence[str]) -> str:
    """Say what is to be seen."""
    trials = scored(result)
    name = result["score"]["name"]
    if not trials:
        return "No trial has a score; the crosses show which values diverged."
    first, last = (format_number(trial["score"]["mean"]) for trial in (trials[0], trials[-1]))
    others = " Trials at one value differ, because the other hyperparameters vary, too." if len(keys) > 1 else ""
    return (
        f"{len(trials)} trials have a {HELD_OUT} {name} of {last} (the worst) to {first} (the best).{others} All of "
        "them have the same folds: whether one differs from the best by more than chance is said in the table, not by "
        "the spread of its folds. A best mark at the end of an axis says that a better value may lie beyond it."
    )
