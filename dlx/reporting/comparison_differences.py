"""Draws the paired differences of a comparison: each optimizer against the reference, seed by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dlx.reporting.comparison_arms import arm_labels, arm_styles, losses
from dlx.reporting.comparison_axes import legend_room, legend_under
from dlx.reporting.comparison_texts import Arm, Result, failed_arms, listed, part_name, tuned_arms
from dlx.reporting.drawing import GREY, LARGEST, Floats, Style, label, panels
from dlx.reporting.search_trials import value_text
from dlx.reporting.tables import shorten
from dlx.statistics.paired import differences_of, median_interval

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
        low: Lowest finite difference, or 0.
        high: Highest finite difference, or 0.
        linear: Size up to which it is linear.
    """

    low: float
    high: float
    linear: float

    @property
    def is_linear(self) -> bool:
        """Whether it is linear all over."""
        return self.linear >= max(-self.low, self.high)

    def beyond(self, factor: float) -> tuple[float, float]:
        """Give places beyond the lowest and the highest difference, farther for a larger factor, at least 1."""
        if self.is_linear:
            margin = 0.5 * (factor - 1) * (self.high - self.low)
            return self.low - margin, self.high + margin
        return factor**3 * min(self.low, -self.linear), factor**3 * max(self.high, self.linear)

    def clip(self, values: Floats) -> Floats:
        """Bring infinite differences to the edges, where no others stand."""
        return np.clip(values, *self.beyond(1.2))

    def show(self, axes: Axes) -> None:
        """Set scale, limits and ticks."""
        if self.is_linear:
            axes.locator_params(axis="x", nbins=7)
        else:
            axes.set_xscale("symlog", linthresh=self.linear, linscale=0.8)
            powers = range(round(math.log10(self.linear)), math.floor(math.log10(max(-self.low, self.high))) + 1)
            sizes = [float(f"1e{power}") for power in powers]
            ticks = [*(-size for size in reversed(sizes)), 0.0, *sizes]
            axes.set_xticks(ticks, [value_text(tick) if tick else "0" for tick in ticks])
            axes.set_xticks([], minor=True)
        axes.set_xlim(self.beyond(1.35))


def differences(arm: Arm, reference: Arm) -> Floats:
    """Subtract the losses of the reference, seed by seed, [n]: infinite where one of two runs failed, 0 where both."""
    return differences_of(losses(arm["tuned"]["loss"]["values"]), losses(reference["tuned"]["loss"]["values"]))


def axis_of(values: Floats) -> Axis:
    """Choose the axis for differences; infinite ones are left to its edges."""
    found = values[np.isfinite(values) & (np.abs(values) < LARGEST)]
    sizes = np.abs(found[found != 0])
    if not len(sizes):
        return Axis(-1.0, 1.0, 1.0)
    low, high, largest = min(0.0, float(found.min())), max(0.0, float(found.max())), float(sizes.max())
    if largest <= FAR * float(np.median(sizes)):
        return Axis(low, high, largest)
    power = math.floor(math.log10(float(np.quantile(sizes, 0.25))))
    power = max(power, math.floor(math.log10(largest)) - MOST_DECADES)
    return Axis(low, high, 10.0**power)


def compared(result: Result) -> list[Arm]:
    """Give the arms that were compared with the reference, the one with the lowest median loss first."""
    return [arm for arm in tuned_arms(result) if arm["verdict"] is not None]


def draw(result: Result) -> Figure:
    """Draw the difference of each seed, their median with its bootstrap interval, and the verdict: a row for each arm.

    Args:
        result: Content of result.json, of one problem, with an arm that was compared at least.
    """
    arms, lost = compared(result), failed_arms(result)
    labels, styles = arm_labels(result), arm_styles(result)
    reference = next(arm for arm in result["arms"] if arm["name"] == result["reference"])
    found = [differences(arm, reference) for arm in arms]
    axis = axis_of(np.concatenate(found))
    handles = _handles(np.concatenate(found))
    left = max(0.85, 0.3 + 0.078 * max(len(labels[arm["name"]]) for arm in [*arms, *lost]))
    note = _note(result, axis)
    height = 0.75 + ROW * (len(arms) + len(lost))
    title = f"{shorten(result['name'], 24)}: {part_name(result)} less that of {labels[reference['name']]}, by seed"
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
    label(axes, f"difference of the {part_name(result)} (below 0: better than {labels[reference['name']]})", "")
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
            size = 5 if kind == "seeds" else 6.5
            axes.plot(
                axis.clip(values[chosen]), heights[chosen], linestyle="none", marker=marker, markersize=size,
                color=style.colour, alpha=0.75, markeredgewidth=0, zorder=3, clip_on=False, gid=f"{kind}-{name}",
            )  # fmt: skip
    verdict = arm["verdict"]
    median, low, high = median_interval(values)  # as in the verdict, but infinite where JSON has nothing
    ends = axis.clip(np.array([low, high]))
    axes.plot(ends, [row, row], color="black", linewidth=2.2, zorder=4, solid_capstyle="butt", gid=f"interval-{name}")
    axes.plot(
        axis.clip(np.array([median])), [row], marker="D", markersize=7, color="white", markeredgecolor="black",
        markeredgewidth=1.4, linestyle="none", zorder=5, clip_on=False, gid=f"middle-{name}",
    )  # fmt: skip
    wins = float((values < 0).sum() + 0.5 * (values == 0).sum())
    _say(axes, row, verdict["words"], f"better on {value_text(wins)} of {count} seed{'s' * (count > 1)}")


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
        Line2D([], [], linestyle="none", marker="o", markersize=5, color=GREY, label="a seed"),
        Line2D(
            [], [], color="black", linewidth=2.2, marker="D", markersize=6, markerfacecolor="white",
            markeredgewidth=1.4, label="median, 95 % interval",
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
    return f"{pairs}\n{'one seed is' if count == 1 else f'{count} seeds are'} too few to show any difference"


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
    count = len(result["protocol"]["seeds"])
    return (
        f"Over the same {f'{count} seeds' if count > 1 else 'seed'} {'; '.join(parts)}. Marks left of the line are "
        "seeds on which an optimizer is better than the reference; where an interval crosses the line, the median "
        "difference may as well be 0."
    )


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
