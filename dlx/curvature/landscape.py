"""Lines and planes through the space of parameters, and what the error on them tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core.errors import UsageError
from dlx.core.seeding import stream
from dlx.engine.layout import Layout

Floats = np.ndarray[Any, np.dtype[np.float64]]
PARALLEL = 0.999
"""Two directions with a larger cosine than this span a line, not a plane."""
SAME = 1e-6
"""Weights that are closer than this, as a share of their norm, are the same; three that are as near to a line lie on
one."""
ROUNDING = 1e-4
"""A rise above a straight line counts as a barrier when it is more than this share of the values at its ends."""


@dataclass(frozen=True)
class Frame:
    """A line or a plane: the points origin + c_1 d_1 + ... + c_D d_D with coordinates within limits.

    Attributes:
        origin: Where the coordinates are 0, [P], float64.
        directions: d, [D, P], float64.
        axes: Coordinates along each direction that a grid has, evenly spaced.
        marks: Coordinates of the points that are marked, [D] each; the first are those of the weights looked at.
    """

    origin: Tensor
    directions: Tensor
    axes: tuple[Floats, ...]
    marks: tuple[tuple[float, ...], ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Numbers of the marks between which straight lines are looked at: each with each."""
        return [(i, j) for j in range(len(self.marks)) for i in range(j)]

    def coordinates(self) -> Floats:
        """Give all points to be evaluated, [K, D]: the grid, the marks, then each straight line between two marks."""
        share = np.linspace(0, 1, len(self.axes[0]))[:, None]
        marks = np.array(self.marks)
        edges = [(1 - share) * marks[i] + share * marks[j] for i, j in self.pairs]
        return np.concatenate([grid(self.axes), marks, *edges])

    def split(self, values: Floats) -> tuple[Floats, Floats, list[Floats]]:
        """Take the values of all points, [K], apart: grid, [points] or [points, points] (up, across); marks; edges."""
        shape = [len(axis) for axis in reversed(self.axes)]
        size, num_points = math.prod(shape), len(self.axes[0])
        edges = values[size + len(self.marks) :].reshape(-1, num_points)
        return values[:size].reshape(shape), values[size : size + len(self.marks)], list(edges)


def grid(axes: Sequence[Floats]) -> Floats:
    """Give every combination of coordinates, [K, D]; the first axis runs fastest."""
    return np.stack([each.reshape(-1) for each in np.meshgrid(*axes)], axis=1)


def around(theta: Tensor, layout: Layout, points: int, radius: float, seed: int) -> Frame:
    """Lay a plane along two random, filter-normalised directions through theta, [P].

    Raises:
        UsageError: If there are no two such directions.
    """
    origin = theta.double().cpu()
    directions = random_directions(origin, layout, 2, seed)
    norms = directions.norm(dim=1)
    if not bool((norms > 0).all()):
        raise UsageError(
            "all weights are 0, so a random direction normalised to them has no length; train the model first, or "
            "choose another model.init"
        )
    if float((directions[0] @ directions[1]).abs()) > PARALLEL * float(norms.prod()):
        raise UsageError(
            "the model has too few weights for a plane: normalised to them, all directions are one; "
            "a larger model has more, and landscape.through=[RUN] looks at a line"
        )
    axis = np.linspace(-radius, radius, points)
    return Frame(origin, directions, (axis, axis), ((0.0, 0.0),))


def random_directions(theta: Tensor, layout: Layout, count: int, seed: int) -> Tensor:
    """Draw directions whose every filter is as long as theta's, [count, P], float64.

    A filter is what feeds one unit: a row of a weight matrix. The steps of the axes are then relative to the weights,
    so that sharpness can be compared between models whose weights are of different size: where an activation is
    piecewise linear, the size of weights alone says nothing. Biases and other vectors do not move. Filters of two
    directions are at right angles where they have more than one weight.

    Args:
        theta: The parameters, [P], float64 on the CPU.
        layout: Where the tensors lie in it.
        count: Number of directions, 1 or 2.
        seed: Of what is drawn.

    Source:
        Li, Xu, Taylor, Studer and Goldstein (2018), "Visualizing the loss landscape of neural nets", section 4.
    """
    drawn = torch.from_numpy(stream("landscape", seed).standard_normal((count, len(theta))))
    pieces = []
    sizes = layout.sizes
    for shape, own, random in zip(
        layout.parameters.values(), torch.split(theta, sizes), torch.split(drawn, sizes, dim=1), strict=True
    ):
        if len(shape) < 2:
            pieces.append(torch.zeros_like(random))
            continue
        filters, weights = random.view(count, shape[0], -1), own.view(shape[0], -1)
        if count == 2 and weights.shape[1] > 1:
            share = (filters[0] * filters[1]).sum(1) / filters[0].square().sum(1)
            filters = torch.stack([filters[0], filters[1] - share[:, None] * filters[0]])
        filters = filters * (weights.norm(dim=1) / filters.norm(dim=2)).unsqueeze(2)
        pieces.append(filters.reshape(count, -1))
    return torch.cat(pieces, 1)


def through(points: Sequence[Tensor], num_points: int, margin: float) -> Frame:
    """Lay a line through two points, or a plane through three, [P] each; the axes are orthonormal.

    The first axis leads from the first point to the second. Coordinates are distances in the space of parameters.

    Args:
        points: The points.
        num_points: Points of the grid along each axis.
        margin: How far the grid goes beyond the outermost point, as a share of the longest distance between two.

    Raises:
        UsageError: If two of the points are the same, or three lie on one line.

    Source:
        Garipov, Izmailov, Podoprikhin, Vetrov and Wilson (2018), "Loss surfaces, mode connectivity, and fast ensembling
        of DNNs", appendix A.
    """
    origin, *others = (point.double().cpu() for point in points)
    size = SAME * float(origin.norm())
    directions: list[Tensor] = []
    for number, other in enumerate(others, 2):
        rest = other - origin
        for direction in directions:
            rest = rest - (rest @ direction) * direction
        if float(rest.norm()) <= size:
            what = "are the same as the first" if not directions else "lie on one line with the first two"
            raise UsageError(
                f"the {('second', 'third')[number - 2]} weights {what}; choose others in landscape.through"
            )
        directions.append(rest / rest.norm())
    basis = torch.stack(directions)
    marks = np.stack([np.zeros(len(others)), *((basis @ (other - origin)).numpy() for other in others)])
    marks[1, 1:] = 0  # but for rounding it is: the first axis leads there
    room = margin * max(float(np.linalg.norm(a - b)) for a in marks for b in marks)
    low, high = marks.min(0) - room, marks.max(0) + room
    axes = tuple(np.linspace(start, end, num_points) for start, end in zip(low, high, strict=True))
    return Frame(origin, basis, axes, tuple(tuple(mark) for mark in marks.tolist()))


def doubling(axis: Floats, values: Floats) -> tuple[float | None, float | None]:
    """Give how far from the middle of an axis the error has doubled, to each side.

    Args:
        axis: Coordinates, [points], 0 in their middle.
        values: The error there, [points]; what is not finite counts as infinite.

    Returns:
        The distances below and above 0, linear between points; None where it does not double, or is not positive.
    """
    middle = len(axis) // 2
    sides = (slice(middle, None, -1), slice(middle, None))
    below, above = (_first_at(np.abs(axis[side]), values[side], 2 * values[middle]) for side in sides)
    return below, above


def _first_at(distances: Floats, values: Floats, level: float) -> float | None:
    """Give the first distance at which values come to a level that is above their first."""
    if not (math.isfinite(level) and level > 0):
        return None
    reached = np.flatnonzero(~(values < level))
    if not len(reached):
        return None
    number = int(reached[0])
    lower, upper = values[number - 1], values[number]
    share = (level - lower) / (upper - lower) if math.isfinite(upper) else 1.0
    return float(distances[number - 1] + share * (distances[number] - distances[number - 1]))


@dataclass(frozen=True)
class Barrier:
    """What lies on the straight line between two points.

    Attributes:
        height: How far the error rises above the straight line between its values at the ends, at most; 0 where it
            does not rise by more than rounding, None where it is not finite somewhere.
        at: Where it does so, from 0 at the first to 1 at the second.
        highest: The highest error on the way, its ends included.
    """

    height: float | None
    at: float | None
    highest: float | None

    @classmethod
    def of(cls, values: Floats) -> Barrier:
        """Look at the error at evenly spaced points from one end to the other, [points].

        Source:
            Frankle, Dziugaite, Roy and Carbin (2020), "Linear mode connectivity and the lottery ticket hypothesis".
        """
        if not np.isfinite(values).all():
            return cls(None, None, None)
        rise = values - np.linspace(values[0], values[-1], len(values))
        top, scale = int(rise.argmax()), float(np.abs(values[[0, -1]]).max())
        highest = float(values.max())
        if rise[top] <= ROUNDING * scale:
            return cls(0.0, None, highest)
        return cls(float(rise[top]), top / (len(values) - 1), highest)
