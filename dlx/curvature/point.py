"""What kind of point it is: a slope, a minimum, a maximum, a saddle, or flat.

Whether a gradient is small cannot be said of its norm alone: f may be in any unit, and so may theta. It is small if a
short way would make it 0. Where the Hessian has curvatures of at most rho = max |lambda|, a gradient g is at least
|g| / rho away from any point of gradient 0. The point counts as stationary if that distance is below a millionth of
|theta| (or of 1, where theta is shorter). Multiplying f by any number changes nothing; nor does an exact minimum of the
quadratic model fail by rounding, which is about 1e-15 of it.

At a stationary point the signs of the eigenvalues decide (the second derivative test); eigenvalues below 1e-12 rho
count as 0, for rounding gives them any sign. Where only the ends of the spectrum are known, a lowest eigenvalue
below 0 is certain, for a Ritz value lies above it; a positive one is certain only beyond its bound.

Source:
    Goodfellow, Bengio and Courville (2016), "Deep learning", section 4.3.1; lecture 5.3 and 5.8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from dlx.curvature.spectrum import Extreme, Spectrum

Kind = Literal["slope", "minimum", "maximum", "saddle", "flat"]
STATIONARY = 1e-6
"""Distance to gradient 0, as a share of the length of theta, below which a point is stationary."""
ZERO = 1e-12
"""Share of the largest |eigenvalue| below which an eigenvalue counts as 0."""


@dataclass(frozen=True)
class Point:
    """What kind of point it is.

    Attributes:
        kind: A slope is not stationary; flat is stationary with an eigenvalue that counts as 0, or may be 0, and not
            both signs among the others: the second derivatives do not decide.
        distance: At least how far gradient 0 is, as a share of the length of theta (of 1 where that is shorter);
            infinite where nothing curves.
        shape: What the eigenvalues alone say, as if the gradient were 0.
        zero: Size up to which an eigenvalue counts as 0.
    """

    kind: Kind
    distance: float
    shape: Kind
    zero: float


def classify(theta: Tensor, gradient: Tensor, spectrum: Spectrum) -> Point:
    """Say what kind of point theta is, [P], given the gradient there, [P], and the eigenvalues of the Hessian."""
    radius = max(abs(spectrum.lowest.value), abs(spectrum.highest.value))
    norm = float(gradient.norm())
    length = max(1.0, float(theta.norm()))
    distance = norm / (radius * length) if radius > 0 else float("inf") if norm > 0 else 0.0
    zero = ZERO * radius
    shape = _shape(spectrum.lowest, spectrum.highest, zero)
    return Point(shape if distance <= STATIONARY else "slope", distance, shape, zero)


def _shape(lowest: Extreme, highest: Extreme, zero: float) -> Kind:
    """Read the signs of the outermost eigenvalues."""
    if lowest.value < -zero and highest.value > zero:
        return "saddle"
    if lowest.value - lowest.bound > zero:
        return "minimum"
    if highest.value + highest.bound < -zero:
        return "maximum"
    return "flat"
