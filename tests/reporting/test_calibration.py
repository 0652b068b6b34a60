"""Calibration curves: every bin where it belongs, few predictions told from many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.pictures import drawn, legend

from dlx.reporting import calibration


def values(bins: dict[int, tuple[int, float, float]], num_seeds: int = 1) -> dict[str, Any]:
    """Counts, mean top probabilities and accuracies of 15 bins, by their numbers."""
    columns = list(zip(*(bins.get(number, (0, None, None)) for number in range(15)), strict=True))
    return {
        "part": "valid",
        "num_seeds": num_seeds,
        "edges": np.linspace(0, 1, 16).tolist(),
        **dict(zip(("count", "confidence", "accuracy"), map(list, columns), strict=True)),
        "expected_calibration_error": {"mean": 0.0512, "std": 0.011 if num_seeds > 1 else None},
        "members": [],
    }


BINS = ["predictions of a bin", "fewer than 10 predictions"]
MANY = values({8: (4, 0.58, 0.25), 10: (40, 0.7, 0.6), 14: (500, 0.98, 0.99)}, 5)


def test_bins_are_drawn_where_they_are(tmp_path: Path) -> None:
    figure = drawn(calibration, MANY, tmp_path)
    upper, lower = figure.axes
    lines = {line.get_gid(): line for line in upper.lines if line.get_gid()}
    points = {gid: np.array([line.get_xdata(), line.get_ydata()], dtype=float).T for gid, line in lines.items()}
    assert points["many"][~np.isnan(points["many"][:, 0])].tolist() == [[0.7, 0.6], [0.98, 0.99]]
    assert points["few"][~np.isnan(points["few"][:, 0])].tolist() == [[0.58, 0.25]]
    assert lines["few"].get_linestyle() == "None"
    heights = [bar.get_height() for bar in lower.patches]
    assert heights == MANY["count"]
    assert [text.get_text() for text in lower.texts] == ["4", "40", "500"]
    assert legend(figure) == ["probability = share of right", "distance from it", *BINS]
    assert {axes.get_xlabel() for axes in figure.axes} == {"probability of the predicted class"}
    assert "0.051 ± 0.011, mean ± std over 5 seeds" in figure.texts[1].get_text()


def test_the_sentence_says_which_way() -> None:
    mean = (4 * 0.33 + 40 * 0.1 - 500 * 0.01) / 544
    assert f"{mean:.2g} above the accuracy" in calibration.sentence(MANY)
    assert "below the accuracy" in calibration.sentence(values({14: (5, 0.95, 1.0)}))


@pytest.mark.parametrize(
    "odd", [values({7: (1, 0.5, 1.0)}), values({0: (3, 0.05, 0.0)}), values({14: (10**9, 1.0, 1.0)}, 1000)]
)
def test_odd_bins(odd: dict[str, Any], tmp_path: Path) -> None:
    drawn(calibration, odd, tmp_path)
