"""Predictions against the truth, and residuals, in the target's own units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.pictures import drawn
from sklearn.metrics import root_mean_squared_error

from dlx.reporting import predictions
from dlx.reporting.tables import format_number


def values(true: Any, predicted: Any, num_targets: int = 1, **more: Any) -> dict[str, Any]:
    target = {"true": list(true), "predicted": list(predicted)}
    names = ["glucose", *(f"t{number}" for number in range(1, num_targets))]
    return {
        "part": "test", "num_seeds": 1, "num_values": len(target["true"]),
        "targets": [{"name": name, **target} for name in names], **more,
    }  # fmt: skip


RNG = np.random.default_rng(0)
TRUE = 100 + 30 * RNG.normal(size=40)
GUESS = TRUE + RNG.normal(size=40) + 5


def test_what_is_drawn(tmp_path: Path) -> None:
    figure = drawn(predictions, values(TRUE, GUESS, num_seeds=4, num_values=999), tmp_path)
    left, right = figure.axes
    clouds = [next(line for line in axes.lines if line.get_gid() == "examples") for axes in (left, right)]
    np.testing.assert_array_equal(clouds[0].get_xdata(), TRUE)
    np.testing.assert_array_equal(clouds[0].get_ydata(), GUESS)
    np.testing.assert_array_equal(clouds[1].get_xdata(), GUESS)
    np.testing.assert_array_equal(clouds[1].get_ydata(), GUESS - TRUE)
    assert (left.get_xlabel(), left.get_ylabel()) == ("true glucose", "predicted glucose")
    assert figure.texts[1].get_text() == "40 of 999 predictions, 4 seeds together, in the target's own units"
    root = format_number(root_mean_squared_error(TRUE, GUESS), 3)
    assert f"residuals is {root}." in predictions.sentence(values(TRUE, GUESS))


@pytest.mark.parametrize(
    "odd",
    [
        values([1.0], [1.0]),
        values([0.0, 0.0], [0.0, 0.0]),
        values([1e300, -1e300], [1.0, 2.0]),
        values(TRUE, GUESS, num_targets=3),
        values(np.arange(1000.0), np.zeros(1000), num_values=100_000, num_seeds=1000),
    ],
    ids=["one example", "constant", "huge", "three targets", "many"],
)
def test_odd_predictions(odd: dict[str, Any], tmp_path: Path) -> None:
    figure = predictions.draw("a", odd)
    assert len(figure.axes) == 2 * len(odd["targets"])
    drawn(predictions, odd, tmp_path)


def test_names_that_are_no_formula(tmp_path: Path) -> None:
    odd = values(TRUE, GUESS)
    odd["targets"][0]["name"] = "$\\frac" + "x" * 300
    drawn(predictions, odd, tmp_path)
