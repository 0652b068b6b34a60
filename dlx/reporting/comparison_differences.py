"""Draws the paired differences of a comparison: each optimizer against the reference, seed by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dlx.reporting.comparison_arms import (
    Arm,
    Result,
    arm_labels,
    arm_styles,
    failed,
    listed,
    loss_words,
    losses,
    ranked,
)
from dlx.reporting.comparison_axes import legend_room, legend_under
from dlx.reporting.drawing import GREY, Floats, Style, label, panels
from dlx.reporting.search_trials import value_text
from dlx.reporting.tables import shorten

ROW = 0.5
"""Inches of a row."""
WIDTH = 9.0
WORDS = 1.75
"""Inches right of the panel, for the verdicts."""
SPREAD = 0.24
"""How far from the middle of a row seeds are drawn, so that none hides another."""
FAR = 10.0
"""Largest difference, in multiples of the median size of all, that a linear axis shows."""
MOST_DECADES = 3
NO_DIFFERENCE, FAILED = "no difference shown", "every trial failed"


@dataclass(frozen=True)
class Axis:
    """The axis of differences, linear near 0 and, if they differ much in size, logarithmic beyond.

    Attributes:
        largest: Largest difference that is shown, in size.
        linear: Size up to which it is linear.
    """

    largest: float
    linear: float

    @property
    def is_linear(self) -> bool:
        """Whether it is linear all over."""
        return self.linear >= self.largest

    @property
    def edge(self) -> float:
        """Where infinite differences are drawn: beyond all others."""
        return self.largest * (1.12 if self.is_linear else 1.8)

    def clip(self, values: Floats) -> Floats:
        """Bring infinite differences to the edges."""
        return np.where(np.isinf(values), np.sign(values) * self.edge, values)

    def show(self, axes: Axes) -> None:
        """Set scale, limits and ticks."""
        limit = self.largest * (1.2 if self.is_linear else 2.6)
        if self.is_linear:
            axes.locator_params(axis="x", nbins=7)
        else:
            axes.set_xscale("symlog", linthresh=self.linear, linscale=0.8)
            powers = range(round(math.log10(self.linear)), math.floor(math.log10(self.largest)) + 1)
            sizes = [float(f"1e{power}") for power in powers]
            ticks = [*(-size for size in reversed(sizes)), 0.0, *sizes]
            axes.set_xticks(ticks, [value_text(tick) if tick else "0" for tick in ticks])
            axes.set_xticks([], minor=True)
        axes.set_xlim(-limit, limit)


def differences_of(arm: Arm, reference: Arm) -> Floats:
    """Subtract the losses of the reference, seed by seed, [n]: infinite where one of two runs failed, 0 where both."""
    own, other = losses(arm["tuned"]["loss"]["values"]), losses(reference["tuned"]["loss"]["values"])
    both = np.isinf(own) & np.isinf(other)
    return np.where(both, 0.0, np.where(both, 0.0, own) - np.where(both, 0.0, other))


def axis_of(values: Floats) -> Axis:
    """Choose the axis for differences; infinite ones are left to its edges."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not len(sizes):
        return Axis(1.0, 1.0)
    largest = float(sizes.max())
    if largest <= FAR * float(np.median(sizes)):
        return Axis(largest, largest)
    power = math.floor(math.log10(float(np.quantile(sizes, 0.25))))
    power = max(power, math.floor(math.log10(largest)) - MOST_DECADES)
    return Axis(largest, 10.0**power)


def compared(result: Result) -> list[Arm]:
    """Give the arms that were compared with the reference, the one with the lowest median loss first."""
    return [arm for arm in ranked(result) if arm["verdict"] is not None]


def draw(result: Result) -> Figure:
    """Draw the difference of each seed, their median with its bootstrap interval, and the verdict: a row for each arm.

    Args:
        result: Content of result.json, of one problem, with an arm that was compared at least.
    """
    arms, lost = compared(result), failed(result)
    labels, styles = arm_labels(result), arm_styles(result)
    reference = next(arm for arm in result["arms"] if arm["name"] == result["reference"])
    found = [differences_of(arm, reference) for arm in arms]
    axis = axis_of(np.concatenate(found))
    handles = _handles(np.concatenate(found))
    left = max(0.85, 0.3 + 0.078 * max(len(labels[arm["name"]]) for arm in [*arms, *lost]))
    note = _note(result, axis)
    height = 0.75 + ROW * (len(arms) + len(lost))
    title = f"{shorten(result['name'], 24)}: {loss_words(result)} less that of {labels[reference['name']]}, by seed"
    figure, (axes,) = panels(WIDTH, height, title, note, left=left, room=legend_room(handles, WIDTH))
    figure.subplots_adjust(right=1 - WORDS / WIDTH)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color="black", linewidth=1.0, zorder=1.5, gid="zero")
    axis.show(axes)
    for row, (arm, values) in enumerate(zip(arms, found, strict=True)):
        _draw_row(axes, row, values, arm, axis, styles[arm["name"]])
    for row, _ in enumerate(lost, len(arms)):
        _say(axes, row, FAILED, "")
    rows = [labels[arm["name"]] for arm in [*arms, *lost]]
    axes.set_yticks(range(len(rows)), rows, fontsize=9.5, parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    label(axes, f"difference of the {loss_words(result)} (below 0: better than {labels[reference['name']]})", "")
    legend_under(figure, note, handles)
    return figure


def _draw_row(axes: Axes, row: int, values: Floats, arm: Arm, axis: Axis, style: Style) -> None:
    name, count = arm["name"], len(values)
    heights = row + SPREAD * np.linspace(-1, 1, count) if count > 1 else np.array([float(row)])
    for kind, chosen, marker in (
        ("seeds", np.isfinite(values), style.marker),
        ("beyond", np.isposinf(values), ">"),
        ("before", np.isneginf(values), "<"),
    ):
        if chosen.any():
            size = 4.2 if kind == "seeds" else 6.5
            axes.plot(
                axis.clip(values[chosen]), heights[chosen], linestyle="none", marker=marker, markersize=size,
                color=style.colour, alpha=0.75, markeredgewidth=0, zorder=3, clip_on=False, gid=f"{kind}-{name}",
            )  # fmt: skip
    verdict = arm["verdict"]
    median, low, high = _interval(verdict, values)
    ends = axis.clip(np.array([low, high]))
    axes.plot(ends, [row, row], color="black", linewidth=2.2, zorder=4, solid_capstyle="butt", gid=f"interval-{name}")
    axes.plot(
        axis.clip(np.array([median])), [row], marker="D", markersize=7, color="white", markeredgecolor="black",
        markeredgewidth=1.4, linestyle="none", zorder=5, clip_on=False, gid=f"middle-{name}",
    )  # fmt: skip
    wins = float((values < 0).sum() + 0.5 * (values == 0).sum())
    _say(axes, row, verdict["words"], f"better on {value_text(wins)} of {count} seeds")


def _interval(verdict: Arm, values: Floats) -> tuple[float, float, float]:
    """Give the median difference and the ends of its interval, infinite ones with their signs, which JSON has not."""
    middle = float(np.median(values)) if verdict["difference"] is None else verdict["difference"]
    if math.isnan(middle):  # of -inf and inf
        middle = 0.0
    low, high = verdict["interval"]
    sign = -math.inf if np.isneginf(values).any() else math.inf
    return (
        middle,
        sign if low is None else low,
        math.inf if high is None and np.isposinf(values).any() else (-math.inf if high is None else high),
    )


def _say(axes: Axes, row: int, words: str, more: str) -> None:
    at: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False, "parse_math": False}
    is_plain = words in (NO_DIFFERENCE, FAILED)
    axes.text(
        1.03, row - 0.05 if more else row, words, va="bottom" if more else "center", fontsize=9,
        fontweight="normal" if is_plain else "bold", gid="verdict", **at,
    )  # fmt: skip
    if more:
        axes.text(1.03, row + 0.05, more, va="top", fontsize=7.5, color=GREY, **at)


def _handles(values: Floats) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="none", marker="o", markersize=4.2, color=GREY, label="a seed"),
        Line2D(
            [], [], color="black", linewidth=2.2, marker="D", markersize=6, markerfacecolor="white",
            markeredgewidth=1.4, label="median and its 95 % interval",
        ),
    ]  # fmt: skip
    if np.isposinf(values).any():
        handles.append(Line2D([], [], linestyle="none", marker=">", markersize=6.5, color=GREY, label="failed"))
    if np.isneginf(values).any():
        handles.append(
            Line2D([], [], linestyle="none", marker="<", markersize=6.5, color=GREY, label="the reference failed")
        )
    return handles


def _note(result: Result, axis: Axis) -> str:
    count = len(result["protocol"]["seeds"])
    scale = "" if axis.is_linear else f"; axis logarithmic beyond ±{value_text(axis.linear)}"
    pairs = f"each seed gives every optimizer the same split, initial weights and batches{scale}"
    if result["can_show"]:
        return pairs
    return (
        f"{pairs}\n{count} seed{'s' * (count > 1)} cannot show a difference, were one optimizer better on each of them"
    )


def sentence(result: Result) -> str:
    """Say what is to be seen."""
    labels, reference = arm_labels(result), arm_labels(result)[result["reference"]]
    arms = compared(result)
    better = [labels[arm["name"]] for arm in arms if "better" in arm["verdict"]["words"]]
    worse = [labels[arm["name"]] for arm in arms if "worse" in arm["verdict"]["words"]]
    parts = [f"{listed(better)} {_are(better)} better than {reference}"] if better else []
    parts += [f"{listed(worse)} {_are(worse)} worse than {reference}"] if worse else []
    rest = [labels[arm["name"]] for arm in arms if arm["verdict"]["words"] == NO_DIFFERENCE]
    parts += [f"no difference is shown for {listed(rest)}, which does not mean that there is none"] if rest else []
    return (
        f"Over the same {len(result['protocol']['seeds'])} seeds {'; '.join(parts)}. Marks left of the line are seeds on "
        "which an optimizer is better than the reference; where an interval crosses the line, the median may as well be 0."
    )


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
