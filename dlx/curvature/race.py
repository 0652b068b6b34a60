"""A race of update rules down an analytic surface: from many points at once, and over a range of learning rates."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dlx.core.definition import Optimizer
from dlx.core.records import AnalysisProgress, Cell
from dlx.core.seeding import stream
from dlx.core.surface import Surface
from dlx.curvature.ends import Ends, judge
from dlx.curvature.paths import ARRIVED, Floats, Path, descend, lengths

T = TypeVar("T")
NUMBERS_AT_ONCE = 1 << 24
"""Numbers that the rows which go down together may hold at once."""
MOST_ROWS = 2048
"""Rows that go down together at most: more would not be faster."""
STEPS_PER_RECORD = 50
"""Steps between two records of progress."""
ROWS_OF_FIRST_ORDER = 8
"""Rows of n numbers that any rule holds for each of its own: point, gradient, state."""


@dataclass(frozen=True)
class Crowd:
    """Where one update rule went from S points.

    Attributes:
        path: From the first of them, step by step.
        values: The surface after each step, [steps + 1, S]. From where a path is not finite any more it is infinite;
            minus infinity where the surface has no lowest value and the path went down.
        ends: What became of each.
    """

    path: Path
    values: Floats
    ends: Ends


def draw_starts(surface: Surface, first: Sequence[float], num_random: int, seed: int) -> Tensor:
    """Give a point and more that are drawn evenly from the surface's box, [1 + num_random, n], float64.

    Args:
        surface: The surface.
        first: The first point, [n].
        num_random: How many are drawn; more of them begin with the same.
        seed: Of what is drawn.
    """
    low, high = np.array(surface.box).T
    drawn = stream("starts", seed).uniform(low, high, (num_random, surface.dimension))
    return torch.from_numpy(np.vstack([np.array(first, dtype=np.float64)[None], drawn]))


def cells_of(seed: int, num_starts: int) -> list[Cell]:
    """Say who goes down from each start: chance is the same for every rule from one start, and differs between them."""
    return [Cell(seed, repeat=number) for number in range(num_starts)]


def race(
    surface: Surface, rule: Optimizer, starts: Tensor, num_steps: int, seed: int
) -> Generator[AnalysisProgress, None, Crowd]:
    """Let one rule go down from many points.

    Args:
        surface: What it goes down.
        rule: The rule.
        starts: The points, [S, n].
        num_steps: Steps of each.
        seed: Of what the rule draws.

    Yields:
        Progress, as a share of this race.

    Returns:
        Where it went.
    """
    cells, found = cells_of(seed, len(starts)), []
    for piece in _pieces(rule, len(starts), surface.dimension):
        work = _race(surface, rule, starts[piece], num_steps, cells[piece])
        found.append((yield from _within(piece, len(starts), "races", work)))
    path, values, ends = zip(*found, strict=True)
    return Crowd(path[0], np.hstack(values), Ends.join(ends))


def _within(
    piece: slice, num_rows: int, what: str, work: Generator[float, None, T]
) -> Generator[AnalysisProgress, None, T]:
    """Tell of the work on a piece of the rows as a share of all."""
    while True:
        try:
            share = next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result
        yield AnalysisProgress(what, (piece.start + share * (piece.stop - piece.start)) / num_rows)


def _race(
    surface: Surface, rule: Optimizer, starts: Tensor, num_steps: int, cells: Sequence[Cell]
) -> Generator[float, None, tuple[Path, Floats, Ends]]:
    """Go down from as many points as fit into memory: the path from the first, values, and what became of each."""
    minima = np.array(surface.minima.points if surface.minima else ()).reshape(-1, surface.dimension)
    values = np.full((num_steps + 1, len(starts)), np.nan)
    reach, near_since = np.empty(0), np.zeros((len(starts), len(minima)), dtype=np.int64)
    first, step, ends, is_over = [], 0, starts, torch.zeros(len(starts), dtype=torch.bool)
    for step, ends, is_over in _follow(surface, [rule] * len(starts), starts, num_steps, cells):
        if not is_over[0]:
            first.append(ends[0].clone())
        values[step] = _scores(surface, starts, ends, is_over)
        distances = lengths(ends.numpy()[:, None] - minima)
        reach = distances * ARRIVED if step == 0 else reach
        near_since[distances > reach] = step + 1
        if step % STEPS_PER_RECORD == 0:
            yield step / num_steps
    values[step + 1 :] = values[step]
    path = surface.value(torch.stack(first)).numpy()
    is_diverged = bool(is_over[0]) or not math.isfinite(path[-1])
    arrived = np.where((near_since <= step) & np.isfinite(values[-1])[:, None], near_since, -1)
    return (
        Path(torch.stack(first).numpy(), path, is_diverged),
        values,
        judge(surface, starts.numpy(), ends.numpy(), values[-1], arrived),
    )


def sweep(
    surface: Surface, rule: Optimizer, rates: Sequence[float], starts: Tensor, num_steps: int, seed: int
) -> Generator[AnalysisProgress, None, Floats]:
    """Let one rule go down at many learning rates from many points, all as rows of one matrix.

    Args:
        surface: What it goes down.
        rule: The rule; its other settings stay.
        rates: The learning rates.
        starts: The points, [S, n].
        num_steps: Steps of each.
        seed: Of what the rule draws.

    Yields:
        Progress, as a share of this sweep.

    Returns:
        The surface at the ends, [rates, S], infinite as in ``Crowd.values``.
    """
    rules = [rule.model_copy(update={"lr": rate}) for rate in rates for _ in range(len(starts))]
    rows, cells = starts.repeat(len(rates), 1), cells_of(seed, len(starts)) * len(rates)
    found = []
    for piece in _pieces(rule, len(rows), surface.dimension):
        work = _finish(surface, rules[piece], rows[piece], num_steps, cells[piece])
        found.append((yield from _within(piece, len(rows), "learning rates", work)))
    return np.concatenate(found).reshape(len(rates), len(starts))


def _finish(
    surface: Surface, rules: Sequence[Optimizer], starts: Tensor, num_steps: int, cells: Sequence[Cell]
) -> Generator[float, None, Floats]:
    """Go down from as many points as fit into memory: the surface at the ends, [M]."""
    last = 0, starts, torch.zeros(len(starts), dtype=torch.bool)
    for last in _follow(surface, rules, starts, num_steps, cells):
        if last[0] % STEPS_PER_RECORD == 0:
            yield last[0] / num_steps
    return _scores(surface, starts, *last[1:])


def _pieces(rule: Optimizer, num_rows: int, dimension: int) -> Iterator[slice]:
    """Cut rows into pieces that fit into memory; of two rows at least, for a lone one has a twin anyway."""
    numbers = ROWS_OF_FIRST_ORDER * dimension + rule.working_numbers(dimension, 0)
    size = max(2, min(MOST_ROWS, NUMBERS_AT_ONCE // numbers))
    for start in range(0, num_rows, size):
        yield slice(start, min(start + size, num_rows))


def _follow(
    surface: Surface, rules: Sequence[Optimizer], starts: Tensor, num_steps: int, cells: Sequence[Cell]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Give after each step its number, the last finite point of each row, [M, n], and whether its path is over, [M]."""
    ends, is_over = starts, torch.zeros(len(starts), dtype=torch.bool)
    for step, theta in enumerate(descend(surface, rules, starts.clone(), num_steps, cells)):
        is_over = is_over | ~theta.isfinite().all(1)
        ends = torch.where(is_over.unsqueeze(1), ends, theta)
        yield step, ends, is_over
        if bool(is_over.all()):
            return


def _scores(surface: Surface, starts: Tensor, ends: Tensor, is_over: Tensor) -> Floats:
    """Give the surface at the ends, [M]; infinite, as in ``Crowd.values``, where a path is over."""
    values = surface.value(ends)
    limits = torch.full_like(values, math.inf)
    if surface.minima is None:  # a path that does not end above its start has gone down; far out f may be inf - inf
        limits[~(values >= surface.value(starts))] = -math.inf
    found: Floats = torch.where(is_over | ~values.isfinite(), limits, values).numpy()
    return found


def rates_between(limits: Sequence[float], num_rates: int) -> Floats:
    """Choose learning rates for a sweep: evenly in their logarithm, from well below where plain descent is stable.

    Args:
        limits: Rates up to which plain descent is stable at each minimum; none where there is no minimum.
        num_rates: How many.
    """
    low = math.floor(math.log10(min(limits, default=0.1)) - 1.5)
    high = max(1, math.ceil(math.log10(max(limits, default=0.1))) + 1)
    return np.logspace(low, high, num_rates)


def quantile(values: Floats, share: float) -> float:
    """Give a quantile of values of which some may be infinite; the median is the usual one.

    Args:
        values: [K], K >= 1.
        share: Between 0 and 1, both excluded.

    Source:
        Hyndman and Fan (1996), "Sample quantiles in statistical packages", definition 2: it averages two values only
        where the share falls between them, so infinite ones take part as what they are.
    """
    ordered, place = np.sort(values), share * len(values)
    below, above = float(ordered[math.ceil(place) - 1]), float(ordered[min(math.floor(place), len(values) - 1)])
    return below if below == above else (below + above) / 2
