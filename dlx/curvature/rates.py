"""How fast descent closes in on a minimum, from the curvatures there: the theory of quadratic functions.

Near a minimum every smooth function is its quadratic model, whose directions of curvature lambda do not mix. Along each
the distance shrinks by a factor per step in the end, the spectral radius of the linear map of one step; the slowest
direction decides.

    gradient descent       |1 - lr lambda|                                  stable below 2 / lambda
    heavy-ball momentum    roots of z**2 - (1 + a - lr lambda) z + a        stable below 2 (1 + a) / lambda
    Nesterov momentum      roots of z**2 - (1 + a) (1 - lr lambda) z + a (1 - lr lambda)

With condition number k, the best gradient descent has (k - 1) / (k + 1), the best heavy ball
(sqrt k - 1) / (sqrt k + 1).

Source:
    Polyak (1964), "Some methods of speeding up the convergence of iteration methods"; Nesterov (2004), "Introductory
    lectures on convex optimization", theorem 2.1.15; Lessard, Recht and Packard (2016), "Analysis and design of
    optimization algorithms via integral quadratic constraints", section 2; lecture 5.8 and 6.6.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dlx.core.definition import Optimizer
from dlx.optimizers.momentum import Momentum
from dlx.optimizers.nesterov import Nesterov
from dlx.optimizers.sgd import SGD


def shrinking(rule: Optimizer, curvatures: Sequence[float]) -> float | None:
    """Give the factor by which the distance to a minimum shrinks per step in the end; 1 and above: it does not.

    Args:
        rule: The rule with its settings.
        curvatures: Eigenvalues of the Hessian at the minimum.

    Returns:
        The factor, or None for rules that are not linear.
    """
    if not isinstance(rule, SGD | Momentum | Nesterov):
        return None
    momentum = 0.0 if isinstance(rule, SGD) else rule.momentum
    return max(_radius(rule, momentum, rule.lr * curvature) for curvature in curvatures)


def _radius(rule: Optimizer, momentum: float, bend: float) -> float:
    """Give the spectral radius of a step along one direction, ``bend`` being lr times its curvature."""
    if isinstance(rule, Nesterov):
        total, product = (1 + momentum) * (1 - bend), momentum * (1 - bend)
    else:
        total, product = 1 + momentum - bend, momentum
    root = cmath.sqrt(total**2 - 4 * product)
    return max(abs(total + root), abs(total - root)) / 2


@dataclass(frozen=True)
class Best:
    """The settings of a rule that close in fastest on a minimum.

    Attributes:
        lr: The learning rate.
        momentum: The momentum; 0 is gradient descent.
        factor: By what the distance shrinks per step in the end.
    """

    lr: float
    momentum: float
    factor: float


def best_descent(lowest: float, highest: float) -> Best:
    """Give the best gradient descent, from the ends of the curvatures, both above 0."""
    return Best(2 / (lowest + highest), 0.0, (highest - lowest) / (highest + lowest))


def best_heavy_ball(lowest: float, highest: float) -> Best:
    """Give the best heavy-ball momentum, from the ends of the curvatures, both above 0."""
    low, high = math.sqrt(lowest), math.sqrt(highest)
    factor = (high - low) / (high + low)
    return Best(4 / (low + high) ** 2, factor**2, factor)


def steps_per_digit(factor: float) -> float:
    """Give the steps in which a distance shrinks to a tenth at a factor per step; infinite at 1 and above."""
    if factor <= 0:
        return 0.0
    return math.log(0.1) / math.log(factor) if factor < 1 else math.inf
