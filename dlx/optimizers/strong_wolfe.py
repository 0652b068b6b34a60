"""A line search for the strong Wolfe conditions, for every row at once.

Every row has its own bracket. A row that is done keeps its values while others go on, so what it finds does not depend
on them; only the number of passes does.

Source:
    Nocedal and Wright (2006), "Numerical optimization", algorithms 3.5 and 3.6, in the form of ``torch.optim.LBFGS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

ARMIJO, CURVATURE = 1e-4, 0.9
"""Share of the predicted decrease that is demanded, and of the slope that may be left."""
SMALLEST_BRACKET = 1e-9
"""Bracket, as the largest change of a parameter, under which the search ends."""
MAX_STEPS = 25
"""Evaluations after the first, at most."""


class Point(NamedTuple):
    """A point on each row's line.

    Attributes:
        t: Step length, [M], float64.
        value: Objective there, [M], float64; NaN is infinity.
        slope: Its derivative by t, [M], float64.
        gradient: [M, P].
    """

    t: Tensor
    value: Tensor
    slope: Tensor
    gradient: Tensor


Evaluate = Callable[[Tensor], Point]


class _Bracket(NamedTuple):
    """Two points of each row around what is sought; the first is the lower one or not."""

    first: Point
    second: Point
    is_first_low: Tensor

    @property
    def low(self) -> Point:
        return _choose(self.is_first_low, self.first, self.second)

    @property
    def high(self) -> Point:
        return _choose(self.is_first_low, self.second, self.first)


def search(evaluate: Evaluate, start: Point, t: Tensor, size: Tensor, moves: Tensor) -> tuple[Point, Tensor]:
    """Find a point on each row's line with a sufficient decrease and a small slope.

    Args:
        evaluate: Step lengths [M] -> the points there.
        start: The point at t = 0, going down.
        t: First step length to try, [M].
        size: Largest absolute entry of the direction, [M].
        moves: Which rows search at all, [M]; the others stay at the start.

    Returns:
        The points, and the evaluations each row needed, [M].
    """
    bracket, count, zooms = _find_bracket(evaluate, start, t, moves)
    bracket, count = _shrink(evaluate, start, bracket, size, count, zooms)
    return _choose(moves, bracket.low, start), torch.where(moves, count + 1, 0)


def _find_bracket(evaluate: Evaluate, start: Point, t: Tensor, moves: Tensor) -> tuple[_Bracket, Tensor, Tensor]:
    """Step out until each row has passed a minimum or satisfies the conditions.

    Returns:
        The brackets; steps after the first evaluation, [M]; and which rows are to shrink theirs, [M].
    """
    before, new = start, evaluate(torch.where(moves, t, 0))
    first, second = start, new
    count, searches, zooms = torch.zeros_like(t), moves, torch.zeros_like(moves)
    for number in range(MAX_STEPS):
        is_high = _is_high(new, start) | ((new.value >= before.value) if number > 1 else torch.zeros_like(moves))
        is_flat = ~is_high & _is_flat(new, start)
        found = searches & (is_high | is_flat | (new.slope >= 0))
        first = _choose(found, _choose(is_flat, new, before), first)
        second = _choose(found, new, second)
        zooms = zooms | (found & ~is_flat)
        searches = searches & ~found
        if not searches.any():  # the one place with the other loop where the host must know
            break
        further = _interpolate(before, new, new.t + 0.01 * (new.t - before.t), new.t * 10)
        before = _choose(searches, new, before)
        new = _choose(searches, evaluate(torch.where(searches, further, new.t)), new)
        count = count + searches
    first, second = _choose(searches, start, first), _choose(searches, new, second)
    return _Bracket(first, second, first.value <= second.value), count, zooms


def _shrink(
    evaluate: Evaluate, start: Point, bracket: _Bracket, size: Tensor, count: Tensor, zooms: Tensor
) -> tuple[_Bracket, Tensor]:
    """Shrink each row's bracket around a point that satisfies the conditions; its low end is the result."""
    was_near = torch.zeros_like(zooms)
    while True:
        width = (bracket.second.t - bracket.first.t).abs()
        zooms = zooms & (count < MAX_STEPS) & ~(width * size < SMALLEST_BRACKET)
        if not zooms.any():
            return bracket, count
        t, was_near = _trial(bracket, was_near)
        new = evaluate(torch.where(zooms, t, bracket.low.t))
        count = count + zooms
        low, high = bracket.low, bracket.high
        is_high = _is_high(new, start) | (new.value >= low.value)
        is_flat = ~is_high & _is_flat(new, start)
        is_past = ~is_high & ~is_flat & (new.slope * (high.t - low.t) >= 0)
        new_high = _choose(is_high, new, _choose(is_past, low, high))
        new_low = _choose(is_high, low, new)
        first = _choose(zooms, _choose(bracket.is_first_low, new_low, new_high), bracket.first)
        second = _choose(zooms, _choose(bracket.is_first_low, new_high, new_low), bracket.second)
        is_first_low = torch.where(zooms & is_high, first.value <= second.value, bracket.is_first_low)
        bracket = _Bracket(first, second, is_first_low)
        zooms = zooms & ~is_flat


def _trial(bracket: _Bracket, was_near: Tensor) -> tuple[Tensor, Tensor]:
    """Interpolate in each bracket, but not twice running near its ends; tell where it was near, [M]."""
    lower = torch.minimum(bracket.first.t, bracket.second.t)
    upper = torch.maximum(bracket.first.t, bracket.second.t)
    t = _interpolate(bracket.first, bracket.second, lower, upper)
    margin = 0.1 * (upper - lower)
    is_near = torch.minimum(upper - t, t - lower) < margin
    is_moved = is_near & (was_near | (t >= upper) | (t <= lower))
    inside = torch.where((t - upper).abs() < (t - lower).abs(), upper - margin, lower + margin)
    return torch.where(is_moved, inside, t), is_near & ~is_moved


def _interpolate(one: Point, two: Point, lower: Tensor, upper: Tensor) -> Tensor:
    """Give the minimum of the cubic through two values and slopes, within bounds; their middle if it has none."""
    a, b = _choose(one.t <= two.t, one, two), _choose(one.t <= two.t, two, one)
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    d2 = square.clamp(min=0).sqrt()
    minimum = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    has_one = (square >= 0) & minimum.isfinite()
    return torch.where(has_one, torch.minimum(torch.maximum(minimum, lower), upper), (lower + upper) / 2)


def _is_high(new: Point, start: Point) -> Tensor:
    """Tell where the decrease is not sufficient, [M]."""
    return new.value > start.value + ARMIJO * new.t * start.slope


def _is_flat(new: Point, start: Point) -> Tensor:
    """Tell where the slope is small enough, [M]."""
    return new.slope.abs() <= -CURVATURE * start.slope


def _choose(mask: Tensor, one: Point, other: Point) -> Point:
    """Take each row from one point or the other."""
    return Point(
        torch.where(mask, one.t, other.t),
        torch.where(mask, one.value, other.value),
        torch.where(mask, one.slope, other.slope),
        torch.where(mask.unsqueeze(1), one.gradient, other.gradient),
    )
