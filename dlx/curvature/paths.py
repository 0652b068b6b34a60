"""The paths of update rules down an analytic surface."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core.definition import Optimizer
from dlx.core.records import Cell
from dlx.core.surface import Minima, Surface
from dlx.core.types import Hyper, State
from dlx.engine.analytic import SurfaceObjective

Floats = np.ndarray[Any, np.dtype[np.float64]]
ARRIVED = 0.01
"""A path has arrived at a minimum when it stays within this share of the distance that there was at its start."""


@dataclass(frozen=True)
class Path:
    """Where an update rule went.

    Attributes:
        points: Its points, from the start on, [steps + 1, n]; all finite.
        values: The surface there, [steps + 1]; the last may not be finite.
        is_diverged: Whether the next point, or the last value, is not finite.
    """

    points: Floats
    values: Floats
    is_diverged: bool

    def leaves(self, box: Sequence[tuple[float, float]]) -> int | None:
        """Give the first step that ends outside a box, or None."""
        low, high = np.array(box).T
        outside = ((self.points < low) | (self.points > high)).any(1)
        return int(outside.argmax()) if outside.any() else None

    def nearest(self, minima: Minima) -> tuple[int, float]:
        """Give the number of the minimum that the end is nearest to, and how far it is."""
        distances = lengths(np.array(minima.points) - self.points[-1])
        number = int(distances.argmin())
        return number, float(distances[number])

    def arrival(self, minimum: Sequence[float]) -> int | None:
        """Give the step from which on the path stays near a minimum, or None if it does not; see ``ARRIVED``.

        A path that starts at the minimum has nowhere to arrive: None.
        """
        distances = lengths(self.points - np.array(minimum))
        if distances[0] == 0:
            return None
        far = np.flatnonzero(distances > ARRIVED * distances[0])
        first = int(far[-1]) + 1 if len(far) else 0
        return first if first < len(distances) and not self.is_diverged else None


def lengths(differences: Floats) -> Floats:
    """Give the length of each vector, [..., n]: [...]; also where squares overflow, far out on a path that diverges."""
    found: Floats = np.hypot.reduce(differences, axis=-1)
    return found


def walk(surface: Surface, optimizer: Optimizer, start: Sequence[float], num_steps: int, cell: Cell) -> Path:
    """Take steps of an update rule from a point, in float64 on the CPU.

    Args:
        surface: What it walks on.
        optimizer: The rule.
        start: Where it begins, [n].
        num_steps: Steps at most; it ends before them at a point that is not finite, and where a rule has solved it.
        cell: Who walks: what a rule draws depends on it.
    """
    starts = torch.tensor([start], dtype=torch.float64)
    followed = descend(surface, [optimizer], starts, num_steps, [cell])
    points = [theta[0].clone() for theta in itertools.takewhile(_is_finite, followed)]
    values = surface.value(torch.stack(points))
    is_diverged = not (_is_finite(starts) and math.isfinite(float(values[-1])))
    return Path(torch.stack(points).numpy(), values.numpy(), is_diverged)


def _is_finite(theta: Tensor) -> bool:
    return bool(theta.isfinite().all())


@torch.no_grad()
def descend(
    surface: Surface, rules: Sequence[Optimizer], theta: Tensor, num_steps: int, cells: Sequence[Cell]
) -> Iterator[Tensor]:
    """Take steps of update rules from many points at once, in float64 on the CPU.

    Rows do not mix: each goes as it would alone, to the last bit, and one that is not finite any more goes on as NaN.

    Args:
        surface: What they walk on.
        rules: The rule of each row; they differ in tunables alone.
        theta: Where each begins, [M, n]; where it ended, afterwards.
        num_steps: Steps at most; all end before them where the rule has solved every row.
        cells: Who each is: what a rule draws depends on it.

    Yields:
        The points before the first step and after each, [M, n], in place.
    """
    # As everywhere, a lone row has a twin: some operations choose their order by the shape.
    if len(theta) == 1:
        rows, rules, cells = theta.repeat(2, 1), [*rules, *rules], [*cells, *cells]
    else:
        rows = theta
    rule, objective = rules[0], SurfaceObjective(surface, cells, theta.device)
    state, h = rule.init(rows), _settings(rules)
    yield theta
    for step in range(num_steps):
        objective.begin(step)
        rule.step(rows, state, h, objective)
        theta.copy_(rows[: len(theta)])
        yield theta
        if _is_solved(rule, state, len(theta)):
            return


def _is_solved(rule: Optimizer, state: State, num_rows: int) -> bool:
    """Tell whether further steps would only repeat the last in every row."""
    columns = {name: column.tolist() for name, column in rule.diagnostics(state).items()}
    return all(
        rule.is_solved({name: float(column[row]) for name, column in columns.items()}) for row in range(num_rows)
    )


def _settings(rules: Sequence[Optimizer]) -> Hyper:
    """Stack the tunables of the rules, [M, 1] each, float64."""
    rows = [rule.tunables() for rule in rules]
    columns = {name: torch.tensor([[row[name]] for row in rows], dtype=torch.float64) for name in rows[0]}
    return Hyper(columns, {name: 1 - column for name, column in columns.items()})
