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

    def relief(self, values: Floats) -> Floats:
        """Give the heights of a relief, [up, across]: as ``height``, with a floor below which nothing is seen.

        A valley narrower than the grid is met by some of its points and missed by others; on a logarithmic scale that
        is a row of pits. Where a parabola through the lowest point of a line and its neighbours goes down to less than
        half of it, the grid does not tell how deep the valley is there; the floor is the highest of such neighbours, so
        that it is at least a step of the grid wide everywhere.
        """
        heights = self.height(values)
        if self.base is None:
            return heights
        unseen = np.concatenate([_unseen(values - self.base), _unseen(values.T - self.base)])
        if not len(unseen):
            return heights
        floor = float(np.log10(max(unseen.max(), self.least)))
        return np.where(np.isfinite(heights), np.maximum(heights, floor), heights)

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


def _unseen(heights: Floats) -> Floats:
    """Give the higher neighbour of the lowest point of each row, where that may be the wall of something lower, [K]."""
    rows = np.where(np.isfinite(heights), heights, np.inf)
    place = rows[:, 1:-1].argmin(1) + 1
    number = np.arange(len(rows))
    before, lowest, after = (rows[number, place + shift] for shift in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        bend = before - 2 * lowest + after
        vertex = lowest - (after - before) ** 2 / (8 * bend)
        is_wall = (lowest < before) & (lowest < after) & np.isfinite(bend) & (vertex < lowest / 2)
    higher: Floats = np.maximum(before, after)[is_wall]
    return higher
