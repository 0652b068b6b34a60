"""Results as `dlx curvature` writes them, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np


def looked(**changes: Any) -> dict[str, Any]:
    """What is found at (1, 1) of f = (x**2 + 10 y**2) / 2, where g = (1, 10)."""
    sizes = np.geomspace(1e-4, 1, 49)
    after = 5.5 - 101 * sizes + 0.5 * 1001 * sizes**2

    def mark(name: str, size: float) -> dict[str, Any]:
        value = 5.5 - 101 * size + 0.5 * 1001 * size**2
        return {"name": name, "size": size, "predicted": value, "measured": value}

    result: dict[str, Any] = {
        "schema": 1,
        "command": "curvature",
        "status": "done",
        "name": "bowl",
        "is_surface": True,
        "lowest_possible": 0.0,
        "num_parameters": 2,
        "value": 5.5,
        "gradient_norm": 101**0.5,
        "point": {"kind": "slope", "distance": 0.7, "shape": "minimum", "zero": 1e-11, "stationary_below": 1e-6},
        "directions": {
            "num": 40,
            "slope": {"lowest": -10.0, "mean": 0.3, "highest": 9.9},
            "curvature": {"lowest": 1.2, "mean": 5.1, "highest": 9.8},
        },
        "spectrum": {
            "method": "dense",
            "lowest": {"value": 1.0, "bound": 4e-15, "along_vector": 1.0},
            "highest": {"value": 10.0, "bound": 4e-15, "along_vector": 10.0},
            "trace": 11.0,
            "trace_standard_error": None,
            "is_outermost": True,
            "signs": {"negative": 0, "zero": 0, "positive": 2},
            "values": [1.0, 10.0],
            "counts": [1.0, 1.0],
            "gradient_equivalents": {"highest": None, "all": 4},
        },
        "steps": {
            "squared_norm": 101.0,
            "bend": 1001.0,
            "best": 101 / 1001,
            "limit": 0.2,
            "reliable_to": float(sizes[-1]),
            "marks": [mark("eps*", 101 / 1001), mark("2 / lambda_max", 0.2), mark("lr 0.5", 0.5)],
            "sizes": sizes.tolist(),
            "predicted": after.tolist(),
            "measured": after.tolist(),
        },
        "rates": [{"optimizer": "sgd", "lr": 0.5}],
        "jacobian": None,
        "doubt": None,
        "remarks": [],
    }
    return {**result, **changes}


def network(**changes: Any) -> dict[str, Any]:
    """A large network at a saddle-shaped slope."""
    spectrum = {
        "method": "lanczos",
        "lowest": {"value": -0.01, "bound": 1e-4, "along_vector": -0.01},
        "highest": {"value": 2.0, "bound": 0.015, "along_vector": 2.0},
        "trace": 12.3,
        "trace_standard_error": 0.4,
        "is_outermost": True,
        "signs": None,
        "values": [-0.009, 1e-5, 0.1, 1.9],
        "counts": [3.0, 99000.0, 990.0, 7.0],
        "gradient_equivalents": {"highest": 15, "all": 300},
    }
    defaults: dict[str, Any] = {
        "name": "net",
        "is_surface": False,
        "lowest_possible": None,
        "num_parameters": 100_000,
        "point": {"kind": "slope", "distance": 0.01, "shape": "saddle", "zero": 2e-12, "stationary_below": 1e-6},
        "spectrum": spectrum,
        "rates": [{"optimizer": "adam", "lr": 0.001}],
        "jacobian": {
            "num_examples": 16, "num_outputs": 10, "num_rows": 160, "num_columns": 100_000, "rank": 150,
            "largest_singular_value": 16.1, "frobenius_norm": 90.0,
        },
        "remarks": ["The slope of `relu` jumps."],
    }  # fmt: skip
    return looked(**{**defaults, **changes})
