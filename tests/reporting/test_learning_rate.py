"""Learning rates: every one that was recorded, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reporting.pictures import drawn

from dlx.reporting import learning_rate


def lines(rates: dict[int, list[float | None]]) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl of seeds with a rate for each epoch."""
    longest = max(map(len, rates.values()))
    return [
        {
            "epoch": epoch + 1,
            "members": [
                {"seed": seed, "step": 10 * (epoch + 1), "lr": each[epoch]}
                for seed, each in rates.items()
                if epoch < len(each)
            ],
        }
        for epoch in range(longest)
    ]


def test_seeds_with_the_same_rates_are_one_curve(tmp_path: Path) -> None:
    found = learning_rate.read(lines({0: [0.1, 0.2], 1: [0.1, 0.2, 0.05], 2: [0.1]}))
    assert found == {"curves": [{"steps": [10, 20, 30], "rates": [0.1, 0.2, 0.05]}]}
    axes = drawn(learning_rate, found, tmp_path).axes[0]
    (line,) = axes.lines
    assert list(line.get_ydata()) == [0.1, 0.2, 0.05]
    assert axes.get_yscale() == "linear"
    text = learning_rate.sentence(found)
    assert "0.100 after the first epoch, 0.200 at its highest and 0.0500 at the end" in text


def test_rates_that_depend_on_the_seed(tmp_path: Path) -> None:
    found = learning_rate.read(lines({number: [1.0, 1 / (number + 1)] for number in range(20)}))
    assert found is not None
    assert len(drawn(learning_rate, found, tmp_path).axes[0].lines) == learning_rate.MAX_CURVES


@pytest.mark.parametrize("rates", [[0.1], [0.1, 0.1, 0.1], [None, None], []])
def test_nothing_is_shown_of_a_constant(rates: list[float | None]) -> None:
    assert learning_rate.read(lines({0: rates, 1: rates})) is None


@pytest.mark.parametrize("rates", [[1.0, 0.0], [1.0, *[10.0**-power for power in range(1, 20)]], [0.1] * 500 + [0.2]])
def test_odd_rates(rates: list[float | None], tmp_path: Path) -> None:
    found = learning_rate.read(lines({0: rates}))
    assert found is not None
    drawn(learning_rate, found, tmp_path)
