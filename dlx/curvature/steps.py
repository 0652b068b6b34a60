"""Steps along the negative gradient: what the quadratic model predicts, and what is measured.

With g the gradient and H the Hessian at a point, f(theta - eps g) is predicted as  f - eps g'g + eps**2 g'Hg / 2.  The
model is exact for a quadratic. Its lowest point along -g is at eps* = g'g / g'Hg, if g'Hg > 0; if not, the model falls
without end and there is no best step. Repeated steps of one size go down a quadratic only if eps < 2 / lambda_max:
beyond, the part of theta in the steepest direction grows by |1 - eps lambda_max| at every step.

Source:
    Goodfellow, Bengio and Courville (2016), "Deep learning", section 4.3.1; lecture 5.5 and 5.7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dlx.engine.error_surface import PointFunction

DECADES_BELOW, DECADES_ABOVE, POINTS_PER_DECADE = 3, 1, 12
"""How far the row of step sizes reaches below the smallest and above the largest that is marked, and how dense."""
MAX_DECADES = 12
"""Decades that the row reaches at most; those at its upper end are kept."""
RELIABLE = 0.1
"""The quadratic model counts as right where its change differs from the measured one by less than this share of it."""
ROUNDING = 1e-12
"""Changes smaller than this share of f are rounding errors and tell nothing."""


@dataclass(frozen=True)
class GradientSteps:
    """What steps of any size along the negative gradient do.

    Attributes:
        value: f at the point.
        squared_norm: g'g.
        bend: g'Hg.
        best: eps*, or None where g'Hg is not positive.
        limit: 2 / lambda_max, or None where lambda_max is not positive.
        sizes: A geometric row of step sizes, ascending, [K].
        measured: f after a step of each, [K].
        marks: Measured f after steps of the sizes that have a name, by name.
    """

    value: float
    squared_norm: float
    bend: float
    best: float | None
    limit: float | None
    sizes: Tensor
    measured: Tensor
    marks: dict[str, tuple[float, float]]

    def predicted(self, size: float) -> float:
        """Give what the quadratic model says of f after a step."""
        return self.value - size * self.squared_norm + 0.5 * size**2 * self.bend

    @property
    def reliable_to(self) -> float | None:
        """The largest size of the row up to which the quadratic model is right; None if it is wrong at the smallest."""
        last = None
        for size, found in zip(self.sizes.tolist(), self.measured.tolist(), strict=True):
            change, wanted = found - self.value, self.predicted(size) - self.value
            is_rounding = max(abs(change), abs(wanted)) <= ROUNDING * abs(self.value)
            # Near the size at which a step changes nothing, shares of the change would be shares of nothing.
            if not is_rounding and not abs(change - wanted) <= RELIABLE * max(
                abs(wanted), size * self.squared_norm / 2
            ):
                break
            last = size
        return last


def gradient_steps(
    function: PointFunction, value: float, gradient: Tensor, highest: float, rates: Sequence[float]
) -> GradientSteps | None:
    """Take steps along the negative gradient, each from the point.

    Args:
        function: f, at its point.
        value: f there.
        gradient: Its gradient there, [P].
        highest: The highest eigenvalue of the Hessian.
        rates: Learning rates that are used.

    Returns:
        What they do; None where the gradient is 0 and no step moves.
    """
    squared_norm = float(gradient @ gradient)
    if squared_norm == 0:
        return None
    bend = float(gradient @ function.hessian_times(function.theta, gradient[None])[0])
    best = squared_norm / bend if bend > 0 else None
    limit = 2 / highest if highest > 0 else None
    named = {"eps*": best, "2 / lambda_max": limit} | {f"lr {rate:g}": rate for rate in dict.fromkeys(rates)}
    marked = {name: size for name, size in named.items() if size is not None and math.isfinite(size)}
    sizes = _row(list(marked.values()) or [_unit_step(function.theta, squared_norm)]).to(gradient)
    every = torch.cat([sizes, torch.tensor(list(marked.values()), dtype=torch.float64).to(gradient)])
    found = torch.cat(
        [function.values(function.theta - some[:, None] * gradient) for some in torch.split(every, _at_once(gradient))]
    )
    after = found[len(sizes) :].tolist()
    marks = {name: (size, after[number]) for number, (name, size) in enumerate(marked.items())}
    return GradientSteps(value, squared_norm, bend, best, limit, sizes, found[: len(sizes)], marks)


def _at_once(gradient: Tensor) -> int:
    """Give the number of points that are in memory at once: their coordinates are at most some millions."""
    return max(1, (1 << 23) // len(gradient))


def _unit_step(theta: Tensor, squared_norm: float) -> float:
    """Give the size of a step as long as theta is, or of length 1 at the origin: where nothing else gives a scale."""
    return (float(theta.norm()) or 1.0) / math.sqrt(squared_norm)


def _row(marked: Sequence[float]) -> Tensor:
    """Give a geometric row of sizes around those that are marked."""
    upper = math.log10(max(marked)) + DECADES_ABOVE
    lower = max(math.log10(min(marked)) - DECADES_BELOW, upper - MAX_DECADES)
    count = round((upper - lower) * POINTS_PER_DECADE) + 1
    return torch.logspace(lower, upper, count, dtype=torch.float64)
