"""Central differences: the gradient by 2P evaluations, as members of one population.

    D_i = (f(theta + h_i e_i) - f(theta - h_i e_i)) / 2 h_i = df/dtheta_i + h_i**2 f'''/6 + rounding, eps |f| / h_i

The error is least near h = cbrt(eps), where both parts are about eps**(2/3). An entry whose two points lie on
different sides of a kink has no derivative to compare with: it is found by the branches that the computation took.

Source:
    Lecture 9.1; Press et al. (2007), "Numerical Recipes", section 5.7, for the step.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from dlx.engine.error_surface import ErrorSurface, Write
from dlx.engine.objective import EmpiricalRisk
from dlx.gradients.layered import LayeredNetwork

EPS = torch.finfo(torch.float64).eps
STEP = EPS ** (1 / 3)
"""Step of a parameter of size 1 or less; larger ones take it times their size."""
NOISE_FACTOR = 50
"""How many times the rounding of one evaluation a difference may be off: what is less is noise."""


T = TypeVar("T")
U = TypeVar("U")
Work = Generator[float, None, T]
"""Yields shares of the work that is done, and returns what comes of it."""


def telling(work: Work[T], tell: Callable[[float], U]) -> Generator[U, None, T]:
    """Do work and tell of its shares in another way."""
    while True:
        try:
            share = next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        yield tell(share)


def finish(work: Work[T]) -> T:
    """Do all of the work without listening."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


@dataclass(frozen=True)
class Differences:
    """Central differences along K directions.

    Attributes:
        values: The quotients, [K].
        crossed: Whether a kink lies between the two points, bool [K].
        floor: Errors below are rounding, [K].
    """

    values: Tensor
    crossed: Tensor
    floor: Tensor


def steps_of(theta: Tensor) -> Tensor:
    """Give the step of each parameter, in its shape."""
    return theta.abs().clamp(min=1).mul(STEP)


def noise_floor(value: float, steps: Tensor) -> Tensor:
    """Give the size of errors that rounding explains, for each step, where f has a value."""
    floor: Tensor = NOISE_FACTOR * EPS * max(1.0, abs(value)) / steps
    return floor


def along_axes(surface: ErrorSurface, columns: Tensor, steps: Tensor) -> Work[Differences]:
    """Take central differences by single parameters.

    Args:
        surface: f, in float64.
        columns: Which parameters, [K].
        steps: Step of each, [K].

    Yields:
        Shares of the work that is done.

    Returns:
        The differences.
    """
    up = surface.theta[columns] + steps
    down = surface.theta[columns] - steps
    layered = LayeredNetwork.of(surface)
    if layered is not None:
        return (yield from _of_layered(layered, columns, steps))

    def write(rows: Tensor, numbers: range) -> None:
        chosen = torch.arange(numbers.start, numbers.stop, device=rows.device)
        pairs, own = chosen // 2, torch.arange(len(rows), device=rows.device)
        rows[own, columns[pairs]] = torch.where(chosen % 2 == 0, up[pairs], down[pairs])

    # What is added is not what arrives: the quotient is over the distance of the two points as they are.
    return (yield from _quotients(surface, len(columns), write, up - down))


def _of_layered(layered: LayeredNetwork, columns: Tensor, steps: Tensor) -> Work[Differences]:
    found, done = steps.new_empty(len(columns), 3), 0
    for own, chunk in layered.evaluate(columns, steps, -steps):
        found[own] = chunk
        done += len(own)
        yield done / len(columns)
    return _divide(found[:, :2], found[:, 2] > 0, 2 * steps)


def along_directions(surface: ErrorSurface, directions: Tensor, steps: Tensor) -> Work[Differences]:
    """Take central differences along directions of length 1; as ``along_axes``, with directions [K, P]."""

    def write(rows: Tensor, numbers: range) -> None:
        chosen = torch.arange(numbers.start, numbers.stop, device=rows.device)
        signed = steps[chosen // 2] * (1 - 2 * (chosen % 2))
        rows.addcmul_(directions[chosen // 2], signed.unsqueeze(1))

    return (yield from _quotients(surface, len(directions), write, 2 * steps))


def _quotients(surface: ErrorSurface, count: int, write: Write, distances: Tensor) -> Work[Differences]:
    """Evaluate pairs of points and divide; whether a pair took two branches is told with its values."""
    found = distances.new_empty(2 * count, 2)
    done = 0
    for numbers, chunk in surface.evaluate(2 * count, write, _read_pairs):
        found[numbers.start : numbers.stop] = chunk
        done += len(numbers)
        yield done / (2 * count)
    return _divide(found[:, 0].view(count, 2), found[::2, 1] > 0, distances)


def _divide(values: Tensor, crossed: Tensor, distances: Tensor) -> Differences:
    """Make differences of pairs of values, [K, 2], and the distance of their points, [K]."""
    quotients = (values[:, 0] - values[:, 1]) / distances
    floor = NOISE_FACTOR * EPS * values.abs().amax(1).clamp(min=1) / (distances / 2)
    return Differences(quotients, crossed, floor)


def _read_pairs(objective: EmpiricalRisk, rows: Tensor) -> Tensor:
    """Give the value of each row, and whether its pair took two branches, [m, 2]."""
    value, branches = objective.value_and_branches(rows)
    pairs = branches.view(len(rows) // 2, 2, -1)
    crossed = (pairs[:, 0] != pairs[:, 1]).any(1)
    return torch.stack([value, crossed.to(value).repeat_interleave(2)], 1)
