"""Draws the training score of every trial of a search against its held-out score."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dlx.reporting.drawing import COLOURS, GREY, label, panels
from dlx.reporting.search_axes import (
    BEST,
    CHOSEN,
    LEGEND_ROOM,
    ScoreAxis,
    mark,
    mark_legend,
    num_beyond,
    score_axis,
    score_words,
)
from dlx.reporting.search_tables import HELD_OUT
from dlx.reporting.search_trials import Result, Trial, scored
from dlx.reporting.tables import is_number, shorten

MAX_BARS = 40
"""Trials whose standard errors are drawn, at most."""


def comparable(result: Result) -> list[Trial]:
    """Give the trials of the full budget that have both scores, the best first."""
    return [trial for trial in scored(result) if is_number(trial["train_score"]["mean"])]


def draw(result: Result) -> Figure:
    """Draw training against held-out score of the trials of the full budget; on the diagonal there is no gap.

    Args:
        result: Content of result.json, with a trial that is done.
    """
    trials, name = comparable(result), result["score"]["name"]
    higher = result["score"]["higher_is_better"]
    bars = ", bars: ± standard error" if len(trials) <= MAX_BARS else ""
    note = (
        f"a mark: {score_words(result)}{bars}\n"
        f"{'below' if higher else 'above'} the line a trial is worse on {HELD_OUT} examples than on its own"
    )
    title = f"{shorten(result['name'], 24)}: training against {HELD_OUT} score"
    figure, (axes,) = panels(6.4, 4.2, title, note, room=LEGEND_ROOM)
    label(axes, f"training {name}", f"{HELD_OUT} {name}")
    x, y = (
        score_axis([trial[part]["mean"] for trial in trials], higher_is_better=higher)
        for part in ("train_score", "score")
    )
    if x.is_log != y.is_log:  # a diagonal needs one scale
        both = min(x.low, y.low) > 0
        x, y = ScoreAxis(x.low, x.high, is_log=both), ScoreAxis(y.low, y.high, is_log=both)
    for trial in trials:
        _draw_trial(axes, trial, x, y, has_bars=bool(bars))
    axes.set(xscale="log" if x.is_log else "linear", yscale="log" if y.is_log else "linear")
    axes.set(xlim=x.limits(), ylim=y.limits())
    ends = min(x.limits()[0], y.limits()[0]), max(x.limits()[1], y.limits()[1])
    axes.plot(ends, ends, color=GREY, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1, gid="diagonal")
    more = [Line2D([], [], color=GREY, linewidth=1.2, linestyle=(0, (4, 2)), label="no gap")]
    outside = sum(bool(_is_beyond(trial, x, y)) for trial in trials)
    if outside:
        text = f"beyond the axes ({outside})"
        more.append(Line2D([], [], linestyle="none", marker="D", markerfacecolor="white", color=COLOURS[0], label=text))
    mark_legend(figure, note, {"trial": "trial", BEST: BEST, CHOSEN: CHOSEN}, more)
    for which in (BEST, CHOSEN):
        for trial in trials:
            if trial["trial"] == result["selection"][which]:
                mark(axes, x.clip(trial["train_score"]["mean"]), y.clip(trial["score"]["mean"]), which, gid=which)
    return figure


def _is_beyond(trial: Trial, x: ScoreAxis, y: ScoreAxis) -> int:
    return num_beyond([trial["train_score"]["mean"]], x) or num_beyond([trial["score"]["mean"]], y)


def _draw_trial(axes: Axes, trial: Trial, x: ScoreAxis, y: ScoreAxis, *, has_bars: bool) -> None:
    across, up = trial["train_score"], trial["score"]
    is_beyond = _is_beyond(trial, x, y)
    settings = {"marker": "D", "markerfacecolor": "white"} if is_beyond else {}
    mark(axes, x.clip(across["mean"]), y.clip(up["mean"]), "trial", gid=f"trial-{trial['trial']}", **settings)
    if not has_bars or is_beyond:
        return
    for score, is_across in ((across, True), (up, False)):
        if is_number(score["se"]):
            ends = [score["mean"] - score["se"], score["mean"] + score["se"]]
            fixed = [up["mean"] if is_across else across["mean"]] * 2
            line = (ends, fixed) if is_across else (fixed, ends)
            gid = f"{'training' if is_across else 'held-out'}-{trial['trial']}"
            axes.plot(*line, color=COLOURS[0], linewidth=0.8, alpha=0.5, gid=gid)


def sentence(result: Result) -> str:
    """Say what is to be seen."""
    trials = comparable(result)
    sign = 1 if result["score"]["higher_is_better"] else -1
    worse = sum(sign * (trial["train_score"]["mean"] - trial["score"]["mean"]) > 0 for trial in trials)
    return (
        f"{worse} of {len(trials)} trials are worse on {HELD_OUT} examples than on those they were trained on. Far "
        "from the line, with a good training score, trials overfit; near the line, with a bad one, they underfit."
    )
