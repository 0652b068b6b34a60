"""The error of central differences against their step: a V, truncation on one side and rounding on the other.

    error(h) = h**2 f'''/6 + eps |f| / h        slope 2 for large steps, -1 for small ones, in logarithms

Source:
    Lecture 9.1; Press et al. (2007), "Numerical Recipes", section 5.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dlx.engine.error_surface import ErrorSurface
from dlx.gradients.differences import STEP, Work, along_axes, telling
from dlx.gradients.layered import LayeredNetwork

STEPS = tuple(float(10**exponent) for exponent in np.arange(-1, -12.25, -0.5))
MAX_ENTRIES, MIN_ENTRIES = 200, 20
"""Entries of the gradient over which the error is taken."""
STACKED_NUMBERS = 20_000_000
"""Entries times parameters at most where the whole network runs for every entry: some seconds of work."""
CLEAR = 30.0
"""How many times its least value the error must be to lie on a side of the V."""


@dataclass(frozen=True)
class VCurve:
    """The error of the gradient by central differences for a row of steps.

    Attributes:
        steps: Steps, falling.
        errors: |D - g| / (|D| + |g|) over the entries that no kink hides, g by autograd; None where kinks hide all.
        shares: Share of the entries that no kink hides, for each step.
        truncation_slope: Slope of the error in logarithms on the side of large steps; None where there are too few
            points for a line.
        rounding_slope: The same on the side of small steps.
        chosen: The step that the check takes for a parameter of size 1.
        num_entries: Entries over which the error is taken.
    """

    steps: tuple[float, ...]
    errors: tuple[float | None, ...]
    shares: tuple[float, ...]
    truncation_slope: float | None
    rounding_slope: float | None
    chosen: float
    num_entries: int


def v_curve(surface: ErrorSurface, gradient: Tensor) -> Work[VCurve]:
    """Measure the error of central differences for steps from 1e-1 to 1e-12.

    Fewer entries are taken where each costs a run of the whole network, and fewest where points run one by one.

    Args:
        surface: f, in float64, without prior: a Laplace prior has a kink at 0, which large steps cross for many
            weights.
        gradient: Its gradient by autograd, [P].

    Yields:
        Shares of the work that is done.

    Returns:
        The errors.
    """
    generator = torch.Generator().manual_seed(0)
    columns = torch.randperm(len(gradient), generator=generator)[: _num_entries(surface)].to(gradient.device)
    errors: list[float | None] = []
    shares = []
    for number, step in enumerate(STEPS):
        work = along_axes(surface, columns, torch.full_like(gradient[columns], step))
        found = yield from telling(work, partial(_share_of_all, number))
        kept = ~found.crossed
        quotients, right = found.values[kept], gradient[columns][kept]
        size = float(quotients.norm() + right.norm())
        errors.append(float((quotients - right).norm()) / size if len(right) and size else None)
        shares.append(float(kept.double().mean()))
    return VCurve(STEPS, tuple(errors), tuple(shares), *slopes(STEPS, errors), STEP, len(columns))


def _num_entries(surface: ErrorSurface) -> int:
    if LayeredNetwork.of(surface) is not None:
        return MAX_ENTRIES
    if not surface.is_stackable:
        return MIN_ENTRIES
    return max(MIN_ENTRIES, min(MAX_ENTRIES, STACKED_NUMBERS // len(surface.theta)))


def _share_of_all(number: int, share: float) -> float:
    return (number + share) / len(STEPS)


def slopes(steps: Sequence[float], errors: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Fit lines to the two sides of a V in logarithms: the slope for large steps, and that for small ones.

    Args:
        steps: Steps, falling.
        errors: Error of each; None where there is none.
    """
    known = [(step, error) for step, error in zip(steps, errors, strict=True) if error]
    if not known:
        return None, None
    bottom = min(range(len(known)), key=lambda place: known[place][1])
    least = known[bottom][1]
    clear = [[pair for pair in side if CLEAR * least < pair[1] < 0.1] for side in (known[:bottom], known[bottom:])]
    return _slope(clear[0]), _slope(clear[1])


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    if len(points) < 3:
        return None
    x, y = np.log10(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])
