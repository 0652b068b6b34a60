"""What became of paths down an analytic surface: which minimum they arrived at, or what else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch

from dlx.core.surface import Surface
from dlx.curvature.paths import ARRIVED, Floats, lengths
from dlx.engine.analytic import second_derivatives

Integers = np.ndarray[Any, np.dtype[np.int64]]
OTHER_MINIMUM, SADDLE, MAXIMUM = "other minimum", "saddle", "maximum"
UNDER_WAY, OUTSIDE, DIVERGED = "under way", "outside", "diverged"
MOST_VARIABLES = 100
"""Variables up to which ends that are at no known minimum are looked at with the Hessian."""


@dataclass(frozen=True)
class Ends:
    """What became of S paths.

    Attributes:
        points: The last finite point of each, [S, n].
        values: The surface there, [S]; infinite as in ``Crowd.values``.
        fates: ``minimum 1`` and so on for a known one that it arrived at; ``other minimum``, ``saddle`` or ``maximum``
            where it is near another stationary point; ``outside`` of the box, ``diverged``, or else ``under way``.
        arrivals: The step from which on it stays near that known minimum (see ``ARRIVED``), [S]; infinite if it does
            not.
    """

    points: Floats
    values: Floats
    fates: tuple[str, ...]
    arrivals: Floats

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put parts together, in their order."""
        columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(cls)}
        fates = tuple(fate for part in columns.pop("fates") for fate in part)
        return cls(fates=fates, **{name: np.concatenate(column) for name, column in columns.items()})


def possible_fates(surface: Surface) -> list[str]:
    """Name everything that can become of a path, in the order in which it is told."""
    minima = surface.minima.points if surface.minima else ()
    known = [f"minimum {number}" for number, _ in enumerate(minima, 1)]
    return [*known, OTHER_MINIMUM, SADDLE, MAXIMUM, UNDER_WAY, OUTSIDE, DIVERGED]


def judge(surface: Surface, starts: Floats, points: Floats, values: Floats, arrived: Integers) -> Ends:
    """Say what became of paths.

    Args:
        surface: What they went down.
        starts: Where they began, [S, n].
        points: The last finite point of each, [S, n].
        values: The surface there, [S]; infinite as in ``Crowd.values``.
        arrived: Step from which on each stays near each known minimum, -1 if it does not, [S, K].
    """
    low, high = np.array(surface.box).T
    fates = np.where(((points < low) | (points > high)).any(1) | np.isneginf(values), OUTSIDE, UNDER_WAY).astype(object)
    fates[np.isposinf(values)] = DIVERGED
    arrivals = np.full(len(points), np.inf)
    for row, number in zip(*np.nonzero(arrived >= 0), strict=True):
        fates[row], arrivals[row] = f"minimum {number + 1}", arrived[row, number]
    under_way = np.flatnonzero(fates == UNDER_WAY)
    if len(under_way) and surface.dimension <= MOST_VARIABLES:
        fates[under_way] = list(_resting(surface, starts[under_way], points[under_way]))
    return Ends(points, values, tuple(map(str, fates)), arrivals)


def _resting(surface: Surface, starts: Floats, points: Floats) -> Iterator[str]:
    """Tell which points are near a stationary point that is no known minimum, and of which kind that is.

    Where it is, says Newton's step; it is near by the rule by which a path arrives, ``ARRIVED``.
    """
    gradients, hessians = second_derivatives(surface, torch.from_numpy(points))
    curvatures, directions = (each.numpy() for each in torch.linalg.eigh(hessians))
    slopes = np.einsum("sni,sn->si", directions, gradients.numpy())
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(slopes == 0, 0.0, slopes / curvatures)
    targets = points - np.einsum("sni,si->sn", directions, steps)
    reach = ARRIVED * lengths(points - starts)
    known = np.array(surface.minima.points if surface.minima else ()).reshape(-1, surface.dimension)
    is_known = (lengths(targets[:, None] - known) <= reach[:, None]).any(1)
    is_near = (lengths(points - targets) <= reach) & ~is_known
    for near, (lowest, *_, highest) in zip(is_near, curvatures, strict=True):
        kind = OTHER_MINIMUM if lowest > 0 else MAXIMUM if highest < 0 else SADDLE
        yield kind if near else UNDER_WAY
