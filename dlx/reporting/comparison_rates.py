"""Draws the loss of every tuning trial of a comparison against its learning rate, a panel for each optimizer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dlx.reporting.comparison_arms import arm_labels, arm_styles, losses
from dlx.reporting.comparison_axes import Scale, legend_room, legend_under, loss_scale
from dlx.reporting.comparison_texts import Arm, Result, finite_or_inf, listed, part_name
from dlx.reporting.drawing import COLOURS, GREY, Style, label, panels
from dlx.reporting.search_trials import end_of_key
from dlx.reporting.tables import is_number, shorten

EDGE = 0.1
"""Share of a range, on its logarithmic scale, that counts as its edge."""
SHADE = "#D0D0D0"
COLUMNS = {1: 1, 2: 2, 4: 2}
"""Columns of panels, by the number of arms."""
TOP, BOTTOM = 0.16, 0.06
"""Margins above and below the losses, as shares of the axis; crosses of failed trials stand in the upper one."""
MARKS: dict[str, dict[str, Any]] = {
    "best": {"marker": "*", "markersize": 14, "color": COLOURS[1], "markeredgecolor": "black", "markeredgewidth": 0.7},
    "untuned": {"marker": "s", "markersize": 9, "color": "black", "markerfacecolor": "none", "markeredgewidth": 1.4},
    "failed": {"marker": "x", "markersize": 6, "color": "black", "markeredgewidth": 1.5},
    "beyond": {"marker": "^", "markersize": 5.5, "color": "black", "markerfacecolor": "white", "markeredgewidth": 1.0},
    "trial": {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.4},
}
WORDS = {
    "trial": "trial",
    "best": "best trial",
    "untuned": "untuned",
    "beyond": "worse than untrained",
    "failed": "failed",
}


@dataclass(frozen=True)
class Dot:
    """A setting with its loss.

    Attributes:
        kind: What it is: ``trial``, ``best`` or ``untuned``.
        rate: Its learning rate, or what is first of what is tuned; of a setting below 1 that is tuned as such, 1 less
            it; None where nothing is tuned.
        loss: Its loss, infinite where it failed.
        name: What it is called in the figure.
    """

    kind: str
    rate: float | None
    loss: float
    name: str


def draw(result: Result) -> Figure:
    """Draw the loss of every trial, the mean over the seeds of tuning, against its rate; one scale for all arms.

    Args:
        result: Content of result.json, of one problem.
    """
    arms, labels, styles = result["arms"], arm_labels(result, 30), arm_styles(result)
    columns = COLUMNS.get(len(arms), 3)
    rows = -(-len(arms) // columns)
    width = {1: 6.4, 2: 4.4}.get(columns, 3.5)
    untrained = _untrained(result)
    dots = {arm["name"]: list(dots_of(arm)) for arm in arms}
    found = losses([dot.loss for own in dots.values() for dot in own])
    scale = loss_scale(np.append(found, untrained), result["judged"]["is_log"], untrained)
    note, handles = _note(result), _handles([dot for own in dots.values() for dot in own], scale)
    title = f"{shorten(result['name'], 24)}: tuning, the loss of every trial"
    room = 0.16 + legend_room(handles, columns * width)
    figure, axes = panels(width, 2.7, title, note, rows, columns, room=room)
    for panel in axes[len(arms) :]:
        panel.remove()
    for number, (panel, arm) in enumerate(zip(axes, arms, strict=False)):
        scale.show(panel, above=TOP, below=BOTTOM)
        panel.axhline(untrained, color=GREY, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1.5, gid="untrained")
        panel.set_title(labels[arm["name"]], fontsize=10, loc="left", parse_math=False)
        _show_rates(panel, arm, _span(arms, arm))
        for place, dot in enumerate(dots[arm["name"]]):
            _draw_dot(panel, dot, styles[arm["name"]], scale, f"{dot.kind}-{dot.name or place}")
        label(panel, panel.get_xlabel(), part_name(result) if number % columns == 0 else "")
    legend_under(figure, note, handles, handlelength=1.8)
    return figure


def dots_of(arm: Arm) -> Iterator[Dot]:
    """Give the settings of an arm that are drawn: each trial, the best of each search, and the untuned one."""
    for search in arm["searches"]:
        for trial in search["trials"]:
            yield Dot("trial", _rate(arm, trial["values"]), finite_or_inf(trial["loss"]), str(trial["trial"]))
    for search in arm["searches"]:
        for trial in search["trials"]:
            if trial["trial"] == search["best"]:
                yield Dot("best", _rate(arm, trial["values"]), finite_or_inf(trial["loss"]), str(trial["trial"]))
    untuned = finite_or_inf(arm["untuned"]["loss"]["median"])
    yield Dot("untuned", _rate(arm, arm["optimizer"]), untuned, str(arm["untuned"]["trial"]))


def _rate(arm: Arm, values: Mapping[str, Any]) -> float | None:
    if not arm["space"]:
        return None
    value = values.get(arm["space"][0]["key"])
    rate = 1 - value if is_number(value) and arm["space"][0]["is_complement"] else value
    return float(rate) if is_number(rate) and rate > 0 else None


def _bounds(axis: Mapping[str, Any]) -> tuple[float, float]:
    """Give the ends of a range on the scale on which it is drawn."""
    low, high = axis["low"], axis["high"]
    return (1 - high, 1 - low) if axis["is_complement"] else (low, high)


def _span(arms: Sequence[Arm], arm: Arm) -> tuple[float, float] | None:
    """Give the ends of the axis of rates: the same for all arms with the same key."""
    if not arm["space"]:
        return None
    key = arm["space"][0]["key"]
    same = [other for other in arms if other["space"] and other["space"][0]["key"] == key]
    places = [dot.rate for other in same for dot in dots_of(other) if dot.rate is not None]
    places += [end for other in same for search in other["searches"] for end in _bounds(search["space"][0])]
    return min(places), max(places)


def _untrained(result: Result) -> float:
    """Give the mean loss of the initial weights of the seeds of tuning."""
    return float(losses(result["untrained"][str(seed)] for seed in result["protocol"]["tuning_seeds"]).mean())


def _show_rates(axes: Axes, arm: Arm, span: tuple[float, float] | None) -> None:
    """Set the axis of rates, and shade the edges of the ranges that were searched."""
    if span is None:
        axes.set_xlim(0, 1)
        axes.set_xticks([])
        axes.set_xlabel("nothing to be tuned")
        return
    low, high = span
    axes.set_xlabel(end_of_key(("1 - " if arm["space"][0]["is_complement"] else "") + arm["space"][0]["key"]))
    Scale(low, max(high, 1.05 * low), is_log=True).show(axes, "x")
    for start, end in dict.fromkeys(_bounds(search["space"][0]) for search in arm["searches"]):
        edge = (end / start) ** EDGE
        for left, right in ((start, start * edge), (end / edge, end)):
            axes.axvspan(left, right, color=SHADE, alpha=0.6, linewidth=0, zorder=0.5, gid="edge")


def _draw_dot(axes: Axes, dot: Dot, style: Style, scale: Scale, gid: str) -> None:
    look = _look(dot, scale)
    settings = MARKS[look] | ({"marker": style.marker, "color": style.colour} if look == "trial" else {})
    place = {"failed": scale.at(1 + 0.7 * TOP), "beyond": scale.at(1 + 0.3 * TOP)}.get(look, dot.loss)
    if dot.kind == "untuned" and look != dot.kind:  # the mark of its height stands within that of its kind
        axes.plot([_place(dot)], [place], linestyle="none", zorder=4, clip_on=False, **MARKS["untuned"])
    order = {"trial": 3, "best": 5, "untuned": 4}[dot.kind]
    axes.plot([_place(dot)], [place], linestyle="none", zorder=order, clip_on=False, gid=gid, **settings)


def _place(dot: Dot) -> float:
    return 0.5 if dot.rate is None else dot.rate


def _look(dot: Dot, scale: Scale) -> str:
    """Tell how a dot is drawn: as what it is, if its loss is on the axis."""
    return "failed" if math.isinf(dot.loss) else "beyond" if dot.loss > scale.high else dot.kind


def _handles(dots: Sequence[Dot], scale: Scale) -> list[Line2D | Patch]:
    kinds = {dot.kind for dot in dots} | {_look(dot, scale) for dot in dots}
    handles: list[Line2D | Patch] = []
    for kind, text in WORDS.items():
        if kind in kinds:
            plain = {"marker": "o", "color": GREY} if kind == "trial" else {}
            small = {"markersize": min(MARKS[kind]["markersize"], 9.5)}
            handles.append(Line2D([], [], linestyle="none", label=text, **{**MARKS[kind], **plain, **small}))
    handles.append(Line2D([], [], color=GREY, linewidth=1.0, linestyle=(0, (1, 2)), label="untrained"))
    return [*handles, Patch(color=SHADE, label="edge of the range")]


def _note(result: Result) -> str:
    count = len(result["protocol"]["tuning_seeds"])
    mean = f"mean {part_name(result)} over {count} seeds" if count > 1 else f"{part_name(result)} of one seed"
    others = "; what else is tuned varies, too" if any(len(arm["space"]) > 1 for arm in result["arms"]) else ""
    wide = "a wide valley is easy to tune; a best trial in the shade may have a better one beyond it"
    return f"{mean}, for each trial{others}\n{wide}"


def sentence(result: Result) -> str:
    """Say what is to be seen."""
    labels = arm_labels(result)
    if all(arm["tuned"] is None for arm in result["arms"]):
        return "Every optimizer failed in tuning: its runs diverged, or ended far above the untrained loss."
    at_edge = [labels[arm["name"]] for arm in result["arms"] if arm["at_edge"]]
    failed = [labels[arm["name"]] for arm in result["arms"] if arm["failed_share"]]
    edge = (
        f"The best setting of {listed(at_edge)} lies at an edge of its range: a wider one might have served it better."
        if at_edge
        else "No best setting lies at an edge of its range, so no range was too narrow for it."
    )
    some = (
        f" Some trials of {listed(failed)} failed: diverged, or ended far above the untrained loss." if failed else ""
    )
    return f"{edge}{some} The wider the valley of an optimizer, the less its tuning matters."
