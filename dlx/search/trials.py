"""Which settings are tried: a sampler proposes batches of trials and is told their scores.

What is proposed depends on the search, the space and the scores told so far alone, and a trial never on how many are
asked for after it. So nothing of a sampler is stored: one that is asked and told the same again is where it was.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from dlx.config.space import Dimension, Space
from dlx.core.settings import Search

DEFAULT_TRIALS = 20
POPULATION = 60
"""Members of a population that make good use of a core."""
LARGEST_GENERATION = 10
"""More trials at once than this, and scores guide too few of a search's."""
SMALLEST_GENERATION = 4
"""Fewer points than this say nothing about where a generation should move."""


class Sampler(Protocol):
    """Proposes trials.

    Attributes:
        batch: How many to ask for at once.
    """

    batch: int

    def ask(self, count: int) -> list[dict[str, Any]]:
        """Give the values of the next trials, by key: at most ``count``, fewer at the end, none after it."""

    def tell(self, scores: Sequence[float | None]) -> None:
        """Take the scores of the trials of the last ``ask``, in their order; None for one that has none."""


def build_sampler(search: Search, space: Space, higher_is_better: bool, cells_per_trial: int) -> Sampler:
    """Build the sampler of a search.

    Args:
        search: Method, number of trials, batch and seed.
        space: What varies.
        higher_is_better: Which scores are better.
        cells_per_trial: How many members each trial has.
    """
    if search.method == "grid":
        return _Fixed(_grid(space))
    num_trials = search.trials or DEFAULT_TRIALS
    if search.method in ("random", "sobol"):
        return _Fixed(_points(search, space, num_trials))
    batch = search.batch or min(LARGEST_GENERATION, max(1, POPULATION // cells_per_trial))
    if search.method in ("cma_es", "genetic"):
        batch = max(SMALLEST_GENERATION, batch)
    from dlx.search.guided import Guided

    return Guided(search, space, higher_is_better, num_trials, batch)


class _Fixed:
    """Trials that do not depend on scores, all of them one batch."""

    def __init__(self, trials: list[dict[str, Any]]) -> None:
        self.batch = len(trials)
        self._trials = iter(trials)

    def ask(self, count: int) -> list[dict[str, Any]]:
        return list(itertools.islice(self._trials, count))

    def tell(self, scores: Sequence[float | None]) -> None:
        """Scores change nothing."""


def _grid(space: Space) -> list[dict[str, Any]]:
    """Give every combination, the last key changing fastest."""
    keys = [dimension.key for dimension in space.dimensions]
    grids = [dimension.grid() for dimension in space.dimensions]
    return [dict(zip(keys, point, strict=True)) for point in itertools.product(*grids)]


def _points(search: Search, space: Space, count: int) -> list[dict[str, Any]]:
    """Give trials at points of the unit cube: independent ones, or those of a scrambled Sobol sequence."""
    num_dimensions = len(space.dimensions)
    if search.method == "random":
        cube = np.random.default_rng(search.seed).random((count, num_dimensions))
    else:
        cube = sobol(num_dimensions, count, search.seed)
    return [
        {each.key: _at(each, place) for each, place in zip(space.dimensions, point, strict=True)}
        for point in cube.tolist()
    ]


def sobol(num_dimensions: int, count: int, seed: int | Sequence[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give the first points of a scrambled Sobol sequence, [count, dimensions], in [0, 1).

    Source: Owen (1998), "Scrambling Sobol' and Niederreiter-Xing points", as scipy computes it.
    """
    from scipy.stats.qmc import Sobol

    with warnings.catch_warnings():
        # A number of points that is no power of two is less even: the user's choice.
        warnings.filterwarnings("ignore", "The balance properties of Sobol'", UserWarning)
        points: np.ndarray[Any, np.dtype[np.float64]] = Sobol(num_dimensions, rng=seed).random(count)
    return points


def _at(dimension: Dimension, place: float) -> Any:
    """Give the value at a place in [0, 1): evenly over the values or the range (its logarithm)."""
    if dimension.range is None:
        values = dimension.grid()
        return values[int(place * len(values))]
    low, high = dimension.range.low, dimension.range.high
    if dimension.is_integer:  # each whole number has the share of what is rounded to it
        low, high = low - 0.5, high + 0.5
    if dimension.range.log:
        value = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    else:
        value = low + place * (high - low)
    value = round(value) if dimension.is_integer else value
    return min(max(value, dimension.range.low), dimension.range.high)
