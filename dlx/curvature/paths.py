"""The paths of update rules down an analytic surface."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core.definition import Optimizer
from dlx.core.records import Cell
from dlx.core.surface import Minima, Surface
from dlx.core.types import Hyper
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
        distances = _lengths(np.array(minima.points) - self.points[-1])
        number = int(distances.argmin())
        return number, float(distances[number])

    def arrival(self, minimum: Sequence[float]) -> int | None:
        """Give the step from which on the path stays near a minimum, or None if it does not; see ``ARRIVED``.

        A path that starts at the minimum has nowhere to arrive: None.
        """
        distances = _lengths(self.points - np.array(minimum))
        if distances[0] == 0:
            return None
        far = np.flatnonzero(distances > ARRIVED * distances[0])
        first = int(far[-1]) + 1 if len(far) else 0
        return first if first < len(distances) and not self.is_diverged else None


def _lengths(differences: Floats) -> Floats:
    """Give the length of each row, [K, n]: [K]; also where squares overflow, far out on a path that diverges."""
    lengths: Floats = np.hypot.reduce(differences, axis=1)
    return lengths


@torch.no_grad()
def walk(surface: Surface, optimizer: Optimizer, start: Sequence[float], num_steps: int, cell: Cell) -> Path:
    """Take steps of an update rule from a point, in float64 on the CPU.

    Args:
        surface: What it walks on.
        optimizer: The rule.
        start: Where it begins, [n].
        num_steps: Steps at most; it ends before them at a point that is not finite, and where a rule has solved it.
        cell: Who walks: what a rule draws depends on it.
    """
    theta = torch.tensor([start], dtype=torch.float64)
    objective = SurfaceObjective(surface, [cell], theta.device)
    state, h = optimizer.init(theta), _settings(optimizer)
    points = [theta[0].clone()]
    for step in range(num_steps):
        objective.begin(step)
        optimizer.step(theta, state, h, objective)
        if not bool(theta.isfinite().all()):
            break
        points.append(theta[0].clone())
        diagnostics = {name: float(value[0]) for name, value in optimizer.diagnostics(state).items()}
        if optimizer.is_solved(diagnostics):
            break
    path = torch.stack(points)
    values = objective.value(path)
    is_diverged = not (bool(theta.isfinite().all()) and math.isfinite(float(values[-1])))
    return Path(path.numpy(), values.numpy(), is_diverged)


def _settings(optimizer: Optimizer) -> Hyper:
    """Stack the tunables of one rule, [1, 1] each, float64."""

    def column(value: float) -> Tensor:
        return torch.tensor([[value]], dtype=torch.float64)

    tunables = optimizer.tunables()
    return Hyper(
        {name: column(value) for name, value in tunables.items()},
        {name: column(1 - value) for name, value in tunables.items()},
    )
