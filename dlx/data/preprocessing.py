"""On what scale: affine maps of inputs and regression targets, fitted on training examples alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlx.core.settings import Scale

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Affine:
    """The map raw -> (raw - shift) / scale of each column; both [D], float64, scale > 0."""

    shift: Floats
    scale: Floats


def fit_scale(method: Scale, values: Floats) -> Affine:
    """Fit a scaling on training values.

    Args:
        method: ``standard`` (mean 0, standard deviation 1), ``minmax`` (into [0, 1]) or ``none``.
        values: Raw values of the training examples, [N, D]. A constant column keeps its unit.

    Returns:
        The map.
    """
    if method == "none":
        return Affine(np.zeros(values.shape[1]), np.ones(values.shape[1]))
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if method == "standard":
        standard = StandardScaler().fit(values)
        return Affine(standard.mean_, standard.scale_)
    minmax = MinMaxScaler().fit(values)
    return Affine(minmax.data_min_, 1 / minmax.scale_)
