"""The search of one optimizer: the settings that are tried, and what happens where the best lies at an edge.

Places are points of the unit cube, evenly spread by a scrambled Sobol sequence that is the same for every optimizer, so
that none is lucky alone. A place is a value on the logarithmic scale of its range. Where the best setting lies within a
tenth of an edge, its range is extended by a decade and the next trials of this optimizer are drawn from there, those of
the others from their whole ranges: equal budgets stay equal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dlx.core.definition import Optimizer
from dlx.core.types import Searched
from dlx.search.trials import sobol

Side = Literal["low", "high"]
EDGE = 0.1
"""Share of a range, on its logarithmic scale, that counts as its edge; of fewer trials than ten the share of one."""
WIDEST_EDGE = 1 / 3
"""That share at most: one trial has no neighbours that could tell where its edge is."""
MAX_EXTENSIONS = 2
"""Times that ranges are extended, at most."""
MORE_TRIALS = 4
"""Trials of every optimizer after each extension."""


@dataclass(frozen=True)
class Axis:
    """The range of a setting, as it was extended.

    Attributes:
        searched: The setting and its range at first.
        low: Lower end now; of 1 - value where the range is one of that.
        high: Upper end now.
        edge: The side on which the best value lies at the edge, if it does and there is room beyond.
    """

    searched: Searched
    low: float
    high: float
    edge: Side | None = None

    @property
    def key(self) -> str:
        """Name of the setting."""
        return self.searched.key

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value of the range."""
        is_complement = self.searched.is_complement
        return (round(1 - self.high, 12), round(1 - self.low, 12)) if is_complement else (self.low, self.high)

    @property
    def value_edge(self) -> Side | None:
        """The edge as one of the value, where the range is one of 1 - value, too."""
        if self.edge is None or not self.searched.is_complement:
            return self.edge
        return "high" if self.edge == "low" else "low"

    def value(self, place: float) -> float:
        """Give the value at a place in [0, 1], to six digits: in the new decade where the range is being extended."""
        low, high = self.low, self.high
        if self.edge is not None:
            beyond = self.extended()
            low, high = (beyond.low, low) if self.edge == "low" else (high, beyond.high)
        found = float(f"{math.exp(math.log(low) + place * math.log(high / low)):.6g}")
        return round(1 - found, 12) if self.searched.is_complement else found

    def place(self, value: float) -> float:
        """Tell where a value lies: 0 is the lower end of the range and 1 the upper one."""
        found = 1 - value if self.searched.is_complement else value
        return math.log(max(found, 1e-300) / self.low) / math.log(self.high / self.low)

    def judged(self, value: float, share: float = EDGE) -> Axis:
        """Look whether the best value lies within a share of an edge; the end of a setting's domain is none."""
        place = self.place(value)
        edge: Side | None = "low" if place < share else "high" if place > 1 - share else None
        is_end = edge == "high" and self.searched.is_complement and self.high >= 1
        return replace(self, edge=None if is_end else edge)

    def extended(self) -> Axis:
        """Extend the side of the edge by a decade, as far as the setting's domain goes."""
        if self.edge is None:
            return self
        low = self.low / 10 if self.edge == "low" else self.low
        high = self.high * 10 if self.edge == "high" else self.high
        return Axis(self.searched, low, min(high, 1.0) if self.searched.is_complement else high)


class Tuning:
    """One search of one optimizer.

    Args:
        optimizer: As the config has it.
        num_trials: Trials before any extension; how many also says which settings are tuned.
        is_grid: Whether these are the points of a grid of learning rates (of the first setting), ends included.
        seed: Seed of the places.

    Attributes:
        optimizer: As the config has it.
        axes: What is tuned; nothing for a rule that has nothing to be tuned, which has one trial.
        num_extensions: Times that ranges were extended.
    """

    def __init__(self, optimizer: Optimizer, num_trials: int, is_grid: bool, seed: tuple[int, int]) -> None:
        known = optimizer.tunable_names()
        tuned = [each for each in optimizer.search_space if each.key in known and each.min_trials <= num_trials]
        self.optimizer = optimizer
        self.axes = tuple(Axis(each, each.low, each.high) for each in (tuned[:1] if is_grid else tuned))
        self.num_extensions = 0
        self._num_trials, self._is_grid = num_trials, is_grid
        self._places = self._draw(seed)

    @property
    def edges(self) -> dict[str, Side]:
        """The settings whose best value lies at an edge of its range, and at which."""
        return {axis.key: axis.value_edge for axis in self.axes if axis.value_edge is not None}

    def first(self) -> list[dict[str, float]]:
        """Give the first trials: the values of what is tuned, by key."""
        return self._trials(self._num_trials) if self.axes else [{}]

    def judge(self, best: dict[str, float] | None) -> None:
        """Look whether the best setting so far lies at an edge; None where every trial failed."""
        if best is not None:
            num_trials = self._num_trials + MORE_TRIALS * self.num_extensions
            share = min(max(EDGE, 1 / num_trials), WIDEST_EDGE)
            self.axes = tuple(axis.judged(best[axis.key], share) for axis in self.axes)

    def extend(self) -> list[dict[str, float]]:
        """Extend the ranges whose edges hold the best setting, if there are any, and give the next trials."""
        self.num_extensions += 1
        trials = self._trials(MORE_TRIALS) if self.axes else []
        self.axes = tuple(axis.extended() for axis in self.axes)
        return trials

    def _trials(self, count: int) -> list[dict[str, float]]:
        places = itertools.islice(self._places, count)
        return [{axis.key: axis.value(at) for axis, at in zip(self.axes, place, strict=True)} for place in places]

    def _draw(self, seed: tuple[int, int]) -> Iterator[Sequence[float]]:
        if not self.axes:
            return
        count = MAX_EXTENSIONS * MORE_TRIALS
        if self._is_grid:
            yield from np.linspace(0, 1, self._num_trials)[:, None].tolist()
        else:
            count += self._num_trials
        yield from sobol(len(self.axes), count, seed).tolist()
