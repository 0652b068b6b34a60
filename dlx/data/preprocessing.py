"""On what scale: affine maps of inputs and regression targets, fitted on training examples alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlx.core.settings import Scale

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Affine:
    """The map raw -> (raw - shift) / scale of each column.

    Attributes:
        shift: [D], float64.
        scale: [D], float64, positive.
        fill: The raw value that takes the place of a missing one (NaN), [D], float64; None where none is missing.
    """

    shift: Floats
    scale: Floats
    fill: Floats | None = None

    def apply(self, raw: Floats) -> Floats:
        """Scale raw values, [N, D]."""
        known = raw if self.fill is None else np.where(np.isnan(raw), self.fill, raw)
        return (known - self.shift) / self.scale


def fit_scale(method: Scale, values: Floats, has_missing: bool = False) -> Affine:
    """Fit a scaling on training values; where values are missing, on those that are known.

    Args:
        method: ``standard`` (mean 0, standard deviation 1), ``minmax`` (into [0, 1]) or ``none``.
        values: Raw values of the training examples, [N, D]. A constant column keeps its unit.
        has_missing: Whether examples may lack values (NaN), though these here need not.

    Returns:
        The map; missing values get the mean of the known ones of their column, 0 where there are none.
    """
    if has_missing:
        is_missing = np.isnan(values)
        values = np.where(is_missing.all(0), 0.0, values)
        fill = np.where(is_missing, 0.0, values).sum(0) / np.maximum((~is_missing).sum(0), 1)
        return replace(fit_scale(method, values), fill=fill)
    if method == "none":
        return Affine(np.zeros(values.shape[1]), np.ones(values.shape[1]))
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if method == "standard":
        standard = StandardScaler().fit(values)
        return Affine(standard.mean_, standard.scale_)
    minmax = MinMaxScaler().fit(values)
    return Affine(minmax.data_min_, 1 / minmax.scale_)
