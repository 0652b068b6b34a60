"""Fitted curves: mean and band as computed, over the examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.pictures import drawn, legend

from dlx.reporting import fitted_curve


def values(num_seeds: int = 1, **more: Any) -> dict[str, Any]:
    points = {"num_examples": 2, "inputs": [[0.0, 1.0]], "targets": [3.0, 4.0]}
    return {
        "feature": "dose", "target": "effect", "num_seeds": num_seeds, "seed": 7, "x": [0.0, 1.0, 2.0],
        "mean": [1.0, 2.0, 3.0], **({"std": [0.5, 0.25, 1.0]} if num_seeds > 1 else {}),
        "points": {"train": points, "test": points}, **more,
    }  # fmt: skip


def test_curve_and_band(tmp_path: Path) -> None:
    figure = drawn(fitted_curve, values(3), tmp_path)
    axes = figure.axes[0]
    lines = {line.get_gid(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert lines["curve"] == ([0, 1, 2], [1, 2, 3])
    assert lines["train"] == lines["test"] == ([0, 1], [3, 4])
    (band,) = axes.collections
    vertices = band.get_paths()[0].vertices
    assert sorted(set(vertices[vertices[:, 0] == 1][:, 1])) == [1.75, 2.25]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("dose", "effect")
    assert legend(figure) == ["train examples", "test examples", "prediction", "±1 standard deviation"]
    assert "over 3 seeds" in figure.texts[1].get_text()


def test_one_seed_has_no_band(tmp_path: Path) -> None:
    figure = drawn(fitted_curve, values(), tmp_path)
    assert not figure.axes[0].collections
    assert figure.texts[1].get_text() == "prediction of seed 7"


@pytest.mark.parametrize(
    "odd", [{"mean": [None, 2.0, None]}, {"feature": "$\\frac", "target": "y" * 300}, {"points": {}}]
)
def test_odd_curves(odd: dict[str, Any], tmp_path: Path) -> None:
    drawn(fitted_curve, values(3, **odd), tmp_path)
    assert np.isfinite(fitted_curve.draw("a", values(3)).axes[0].get_ylim()).all()
