"""Axes of the figures of a search: where the values of a key stand, how far the score reaches, marks of trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dlx.reporting.drawing import COLOURS, GREY, LARGEST, numbers
from dlx.reporting.search_trials import Result, Trial, canonical, end_of_key, value_labels, value_text
from dlx.reporting.tables import is_number

LOG_DECADES = 2.0
"""Lists of numbers that span as many are drawn on a logarithmic axis."""
CROWDED = 0.12
"""Listed numbers of which two lie closer than this share of the span are spread evenly instead."""
MAX_TICKS = 8
"""Values that are named along an axis, at most, where they have an order."""
MAX_DECADES = 5
"""Powers of ten that are named along an axis, at most."""
MAX_CHARACTERS = 36
"""Characters that there is room for under a panel; if equally wide labels have more they stand upright."""
LABEL_INCHES = 0.072
"""Height of a character of an upright label."""
FAR = 8.0
"""Scores farther from the best than so many times the median are drawn at the edge."""

BEST, CHOSEN, DROPPED, DIVERGED = "best", "chosen", "dropped", "diverged"
MARKS: dict[str, dict[str, Any]] = {
    "trial": {"marker": "o", "markersize": 5, "color": COLOURS[0]},
    DROPPED: {"marker": "o", "markersize": 4.5, "color": GREY, "markerfacecolor": "white", "markeredgewidth": 0.9},
    DIVERGED: {"marker": "x", "markersize": 6, "color": GREY, "markeredgewidth": 1.6},
    BEST: {"marker": "*", "markersize": 14, "color": COLOURS[1], "markeredgecolor": "white", "markeredgewidth": 0.6},
    CHOSEN: {"marker": "s", "markersize": 11, "color": "black", "markerfacecolor": "none", "markeredgewidth": 1.5},
}
"""How trials are drawn: told apart by shape, not by colour alone."""


@dataclass(frozen=True)
class KeyAxis:
    """An axis of the values of a key.

    Attributes:
        key: The key.
        places: Where its values stand, by canonical value; of a range, None: its values stand at themselves.
        ticks: Where its labels stand.
        labels: One for each tick.
        minor: Where ticks without a label stand.
        limits: Ends of the axis.
        is_log: Whether a place is the logarithm, to base 10, of the value.
        is_ordered: Whether a place farther right is a larger value.
    """

    key: str
    places: Mapping[str, float] | None
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    minor: tuple[float, ...]
    limits: tuple[float, float]
    is_log: bool
    is_ordered: bool

    @property
    def is_upright(self) -> bool:
        """Whether the labels need more room than there is under a panel."""
        return (self.longest + 1) * len(self.labels) > MAX_CHARACTERS

    @property
    def depth(self) -> float:
        """Inches under the panel that upright labels need."""
        return LABEL_INCHES * self.longest - 0.1 if self.is_upright else 0.0

    @property
    def longest(self) -> int:
        """Characters of the longest label."""
        return max(map(len, self.labels), default=0)

    def place(self, trial: Trial) -> float:
        """Tell where a trial stands."""
        value = trial["values"][self.key]
        if self.places is not None:
            return self.places[canonical(value)]
        return math.log10(value) if self.is_log else float(value)

    def show(self, axis: Axis, *, is_below: bool) -> None:
        """Put ticks, labels and the key on an axis of matplotlib's."""
        axis.axes.set(**{"xlim" if is_below else "ylim": self.limits})
        axis.set_ticks(self.minor, minor=True)
        axis.set_ticks(
            self.ticks, self.labels, fontsize=8.5, rotation=90 if is_below and self.is_upright else 0, parse_math=False
        )
        axis.set_label_text(end_of_key(self.key), parse_math=False)


def key_axis(result: Result, key: str) -> KeyAxis:
    """Make the axis of a key: of a range, of numbers or of what has no order.

    Args:
        result: Content of result.json.
        key: One of its space.
    """
    how = result["search"]["space"][key]
    found = [trial["values"][key] for trial in result["trials"]]
    if isinstance(how, Mapping):
        return _range_axis(key, [how["low"], how["high"], *found], is_log=bool(how["log"]))
    distinct = {canonical(value): value for value in (*how, *found)}
    is_ordered = all(is_number(value) and not isinstance(value, bool) for value in distinct.values())
    names = sorted(distinct, key=lambda name: distinct[name]) if is_ordered else list(distinct)
    values = [distinct[name] for name in names]
    labels = value_labels(values)
    is_log = is_ordered and values[0] > 0 and math.log10(values[-1] / values[0]) >= LOG_DECADES
    places = [math.log10(value) if is_log else float(value) for value in values] if is_ordered else []
    if not is_ordered or _is_crowded(places):
        places, is_log = [float(place) for place in range(len(values))], False
    shown = range(0, len(values), -(-len(values) // MAX_TICKS) if is_ordered else 1)
    gap = min((b - a for a, b in itertools.pairwise(places)), default=1.0)
    return KeyAxis(
        key=key,
        places=dict(zip(names, places, strict=True)),
        ticks=tuple(places[each] for each in shown),
        labels=tuple(labels[names[each]] for each in shown),
        minor=(),
        limits=(places[0] - 0.6 * gap, places[-1] + 0.6 * gap),
        is_log=is_log,
        is_ordered=is_ordered,
    )


def _is_crowded(places: Sequence[float]) -> bool:
    gaps = [b - a for a, b in itertools.pairwise(places)]
    return bool(gaps) and min(gaps) < CROWDED * sum(gaps)


def _range_axis(key: str, values: Sequence[float], *, is_log: bool) -> KeyAxis:
    places = [math.log10(value) if is_log else float(value) for value in values]
    low, high = min(places), max(places)
    margin = 0.04 * (high - low)
    ticks = _log_ticks(low, high) if is_log else _linear_ticks(low, high)
    texts = tuple(value_text(10**tick if is_log else tick) for tick in ticks)
    powers = range(math.floor(low), math.ceil(high)) if is_log else ()
    minor = tuple(power + math.log10(digit) for power in powers for digit in range(2, 10))
    inside = tuple(tick for tick in minor if low <= tick <= high)
    return KeyAxis(key, None, ticks, texts, inside, (low - margin, high + margin), is_log, is_ordered=True)


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Give powers of ten; of a range with fewer than two, other round numbers, else its ends."""
    for digits in ((1,), (1, 3), (1, 2, 5)):
        powers = range(math.floor(low), math.ceil(high) + 1)
        ticks = [power + math.log10(digit) for power in powers for digit in digits]
        inside = [tick for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]
        if len(inside) > 1:
            return tuple(inside[:: -(-len(inside) // MAX_DECADES)])
    return low, high


def _linear_ticks(low: float, high: float) -> tuple[float, ...]:
    from matplotlib.ticker import MaxNLocator

    slack = 1e-9 * (high - low)
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return tuple(float(tick) for tick in ticks if low - slack <= tick <= high + slack)


@dataclass(frozen=True)
class ScoreAxis:
    """How far an axis of scores reaches, and on which scale.

    Attributes:
        low: Lowest score inside.
        high: Highest score inside.
        is_log: Whether the scale is logarithmic.
    """

    low: float
    high: float
    is_log: bool

    def clip(self, value: float) -> float:
        """Bring a score that lies outside to the edge, where no other stands."""
        low, high = self.limits()
        return low if value < self.low else high if value > self.high else value

    def limits(self) -> tuple[float, float]:
        """Give the ends of the axis, with a margin."""
        if self.is_log:
            factor = (self.high / self.low) ** 0.06
            return self.low / factor, self.high * factor
        margin = 0.06 * (self.high - self.low) or 0.1 * abs(self.high) or 0.1
        return self.low - margin, self.high + margin


def score_axis(scores: Iterable[float | None], *, higher_is_better: bool) -> ScoreAxis:
    """Choose an axis on which the good scores can be told apart, whatever the bad ones are.

    Positive scores of which lower ones are better, as losses, get a logarithmic one where they span more than 1.5
    decades. Else what lies much farther from the best than the median does is left to the edge.

    Args:
        scores: What is to be seen; what is undefined is left out.
        higher_is_better: The direction.
    """
    values = numbers([value for value in scores if is_number(value)])
    if not len(values):
        return ScoreAxis(0.0, 1.0, is_log=False)
    low, high = float(values.min()), float(values.max())
    if not higher_is_better and low > 1 / LARGEST and math.log10(high) - math.log10(low) > 1.5:
        return ScoreAxis(low, high, is_log=True)
    best, median = (high if higher_is_better else low), float(np.median(values))
    reach = FAR * abs(best - median)
    if reach == 0:
        return ScoreAxis(low, high, is_log=False)
    near = values[np.abs(values - best) <= reach]
    return ScoreAxis(float(near.min()), float(near.max()), is_log=False)


def num_beyond(scores: Iterable[float], axis: ScoreAxis) -> int:
    """Count the scores that lie outside an axis."""
    return sum(not axis.low <= score <= axis.high for score in scores)


def score_words(result: Result) -> str:
    """Say what the score of a trial is."""
    return "a trial's score of all predictions" if result["folds"]["pooled"] else "a trial's mean over folds"


def mark(axes: Axes, x: float, y: float, kind: str, **settings: Any) -> None:
    """Draw a trial."""
    order = {BEST: 6, CHOSEN: 5}.get(kind, 3)
    axes.plot([x], [y], linestyle="none", zorder=order, clip_on=False, **{**MARKS[kind], **settings})


LEGEND_ROOM = 0.17
"""Inches that a row under the note needs."""


def mark_legend(figure: Figure, note: str, kinds: Mapping[str, str], more: Sequence[Artist] = ()) -> None:
    """Explain the marks in a row under the note.

    Args:
        figure: The figure, with ``LEGEND_ROOM`` under its note.
        note: The note.
        kinds: What each kind of mark is called.
        more: Other things to explain, each with its label.
    """
    size = {BEST: 11, CHOSEN: 8}
    handles = [
        Line2D([], [], linestyle="none", label=text, **{**MARKS[kind], "markersize": size.get(kind, 5)})
        for kind, text in kinds.items()
    ]
    width, height = figure.get_size_inches()
    top = 0.55 + 0.17 * note.count("\n")
    figure.legend(
        handles=[*handles, *more], loc="upper left", bbox_to_anchor=(0.1 / width, 1 - top / height), fontsize=8.5,
        ncols=len(handles) + len(more), frameon=False, borderpad=0, handletextpad=0.4, columnspacing=1.4,
    )  # fmt: skip
