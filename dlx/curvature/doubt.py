"""Tells whether a gradient fits the function that it is said to be of, before anything is built on it.

Along a direction u of length 1 the derivative is g'u, and the difference of two values of f measures it without g. The
directions are that of the gradient itself, along which a wrong length shows, and some random ones, along which an error
of g shows that is at right angles to it. Which part of a model is wrong, ``dlx gradcheck`` finds out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dlx.curvature.lanczos import random_directions
from dlx.engine.error_surface import PointFunction

NUM_DIRECTIONS = 3
"""Random directions."""
TOLERANCE = 1e-3
"""Largest error of a slope, as a share of the slope, or of what a random direction has of the gradient."""
ROUNDING = 50.0
"""How many times the rounding of one value of f a difference may be off."""


@dataclass(frozen=True)
class Doubt:
    """A direction along which a gradient is not the derivative.

    Attributes:
        said: The derivative as the gradient has it.
        measured: The derivative as two values of f have it.
    """

    said: float
    measured: float


def doubt_gradient(function: PointFunction, value: float, gradient: Tensor, seed: int) -> Doubt | None:
    """Look for a direction along which a gradient does not fit.

    Args:
        function: f, at its point, in float64.
        value: f there.
        gradient: Its gradient there as it is said to be, [P].
        seed: Of the random directions.

    Returns:
        The worst of those looked at; None if it fits along all of them, but for rounding.
    """
    norm, theta = float(gradient.norm()), function.theta
    eps = torch.finfo(theta.dtype).eps
    directions = random_directions(NUM_DIRECTIONS, theta, "doubt", seed)
    if norm > 0:
        directions = torch.cat([gradient[None] / norm, directions])
    step = eps ** (1 / 3) * max(1.0, float(theta.norm()))
    measured, finer = (_slopes(function, directions, each) for each in (step, step / 2))
    said = directions @ gradient
    usual = norm / math.sqrt(len(gradient))
    allowed = TOLERANCE * torch.maximum(said.abs(), measured.abs()).clamp(min=usual)
    allowed += ROUNDING * eps * max(1.0, abs(value)) / step + 2 * (measured - finer).abs()  # rounding, and the step
    beyond = (measured - said).abs() / allowed
    worst = int(beyond.argmax())
    return None if bool(beyond[worst] <= 1) else Doubt(float(said[worst]), float(measured[worst]))


def _slopes(function: PointFunction, directions: Tensor, step: float) -> Tensor:
    """Take central differences of f along directions, [K, P]: [K]."""
    ends = torch.cat([function.theta + step * directions, function.theta - step * directions])
    above, below = function.values(ends).chunk(2)
    return (above - below) / (2 * step)
