"""On which scale the error of a landscape is drawn: levels and their colours, the same in every figure."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import BoundaryNorm, Colormap

from dlx.reporting.drawing import Floats

NUM_LEVELS = 16
"""Bands between levels."""
WIDE = 10.0
"""Values are drawn on a logarithmic scale when the highest is so many times the lowest."""
SKEWED, DEPTH = 30.0, 1e-5
"""Heights above the lowest value are drawn on a logarithmic scale when the highest is so many times that of the lowest
tenth; on both scales all that is below this share of the highest is one band, else a valley between the points of the
grid would look like a row of pits."""


@dataclass(frozen=True)
class Levels:
    """The scale of the error.

    Attributes:
        bounds: Levels, rising.
        base: What is taken off before the logarithm; None on a linear scale.
        least: The smallest height that the logarithm is taken of.
    """

    bounds: Floats
    base: float | None
    least: float

    @classmethod
    def of(cls, values: Floats) -> Levels:
        """Choose levels for values of which some are finite; the others do not count."""
        finite = values[np.isfinite(values)]
        low, high = float(finite.min()), float(finite.max())
        if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):  # flat but for rounding
            half = 0.5 * max(abs(low), 1.0)
            return cls(np.array([low - half, low, low + half]), None, 0.0)
        if low > 0 and high > WIDE * low:
            least = max(low, DEPTH * high)
            bounds = np.geomspace(least, high, NUM_LEVELS + 1)
            return cls(bounds if least == low else np.array([low, *bounds[1:]]), 0.0, least)
        tenth = float(np.quantile(finite, 0.1)) - low
        if high - low > SKEWED * tenth:
            least = max(tenth / 10, DEPTH * (high - low))
            return cls(np.array([low, *(low + np.geomspace(least, high - low, NUM_LEVELS))]), low, least)
        return cls(np.linspace(low, high, NUM_LEVELS + 1), None, 0.0)

    @property
    def norm(self) -> BoundaryNorm:
        """Gives each band between two levels its colour."""
        return BoundaryNorm(self.bounds, self.colours.N)

    @property
    def colours(self) -> Colormap:
        """Dark where the error is low; as steps of grey it rises evenly, too."""
        return matplotlib.colormaps["viridis"]

    def height(self, values: Floats) -> Floats:
        """Give the heights at which values are drawn; what is not finite stays so."""
        if self.base is None:
            return values
        heights: Floats = np.log10(np.maximum(values - self.base, self.least))
        return heights

    def name(self, error: str) -> str:
        """Name the axis of heights."""
        if self.base is None:
            return error
        return f"log10 of {error}" if self.base == 0 else f"log10 of {error} above its lowest"

    def note(self, error: str) -> str:
        """Say how levels are spaced."""
        if self.base is None:
            return f"levels of {error} evenly spaced"
        where = "" if self.base == 0 else " above the lowest value"
        return f"levels of {error}{where} grow by a factor each"
