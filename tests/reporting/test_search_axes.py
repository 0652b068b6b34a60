"""Where values and scores stand in the figures of a search."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting.searches import MIXED, SECTIONS, TWO, WIDE, grid, random_values, searched

from dlx.reporting.search_axes import KeyAxis, key_axis, num_beyond, score_axis


def axis_of(values: list[Any]) -> KeyAxis:
    space = {"key": values}
    return key_axis(searched(space, grid(space))[0], "key")


def places(axis: KeyAxis, values: list[Any]) -> list[float]:
    return [axis.place({"values": {"key": value}}) for value in values]


def test_numbers_over_two_decades_are_on_a_logarithmic_axis() -> None:
    axis = axis_of([1e-3, 1e-1, 1e-2])
    assert axis.is_log
    assert places(axis, [1e-3, 1e-2, 1e-1]) == pytest.approx([-3, -2, -1])
    assert axis.labels == ("0.001", "0.01", "0.1")
    assert not axis_of([1, 50]).is_log


def test_numbers_stand_at_themselves_unless_they_would_crowd() -> None:
    assert places(axis_of([0.0, 0.5, 0.2]), [0.0, 0.2, 0.5]) == [0.0, 0.2, 0.5]
    spread = axis_of([512, 32, 64, 128, 256])
    assert places(spread, [32, 64, 128, 256, 512]) == [0, 1, 2, 3, 4]
    assert spread.is_ordered
    assert places(axis_of([0.0, 1e-4, 1e-3, 1e-2]), [0.0, 1e-4, 1e-3, 1e-2]) == [0, 1, 2, 3]


@pytest.mark.parametrize("values", [["b", "a"], [None, 1.0, 0.5], [True, False], [[64], [32]], SECTIONS["optimizer"]])
def test_what_has_no_order_stands_as_it_is_listed(values: list[Any]) -> None:
    axis = axis_of(values)
    assert places(axis, values) == list(range(len(values)))
    assert not axis.is_ordered
    assert not axis.is_log


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=12, unique=True))
def test_a_larger_number_stands_farther_right(values: list[float]) -> None:
    axis = axis_of(values)
    found = places(axis, sorted(values))
    assert all(a < b for a, b in itertools.pairwise(found))
    assert axis.limits[0] < found[0]
    assert found[-1] < axis.limits[1]
    assert len(axis.ticks) == len(axis.labels) <= 8


def test_ranges() -> None:
    result, _ = searched(MIXED, random_values(MIXED, 30))
    lr, dropout = key_axis(result, "optimizer.lr"), key_axis(result, "model.dropout")
    assert lr.labels == ("0.0001", "0.001", "0.01", "0.1")
    assert lr.ticks == pytest.approx((-4, -3, -2, -1))
    assert dropout.ticks == pytest.approx(np.linspace(0, 0.5, 6))
    for trial in result["trials"]:
        assert 10 ** lr.place(trial) == pytest.approx(trial["values"]["optimizer.lr"])
        assert dropout.place(trial) == trial["values"]["model.dropout"]
    assert key_axis(result, "prior.precision").labels == ("1e-6", "0.0001", "0.01", "1")


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.9), (16, 40), (1e-3, 2e-3), (0.011, 0.019), (5e-9, 5e3)])
def test_every_logarithmic_range_has_ticks(low: float, high: float) -> None:
    space = {"key": {"low": low, "high": high, "log": True}}
    axis = key_axis(searched(space, [{"key": low}, {"key": high}])[0], "key")
    assert 2 <= len(axis.ticks) <= 6
    for tick, label in zip(axis.ticks, axis.labels, strict=True):
        assert 10**tick == pytest.approx(float(label), rel=1e-3)


def test_labels_stand_upright_only_where_they_need_to() -> None:
    result, _ = searched(TWO, grid(TWO))
    assert not key_axis(result, "optimizer.lr").is_upright
    assert key_axis(result, "optimizer.lr").depth == 0
    result, _ = searched(WIDE, random_values(WIDE, 5))
    assert key_axis(result, "model.activation").is_upright
    assert key_axis(result, "model.activation").depth > 0.5


def test_an_outlier_does_not_squeeze_the_good() -> None:
    scores = [0.9, 0.88, 0.87, 0.85, -1e6]
    axis = score_axis(scores, higher_is_better=True)
    assert (axis.low, axis.high) == (0.85, 0.9)
    assert num_beyond(scores, axis) == 1
    assert axis.clip(-1e6) == axis.limits()[0] < 0.85
    assert axis.clip(0.87) == 0.87


def test_losses_over_decades_are_logarithmic() -> None:
    axis = score_axis([0.1, 0.2, 1e3], higher_is_better=False)
    assert axis.is_log
    assert axis.limits()[0] > 0
    assert not score_axis([0.1, 0.2, 1e3], higher_is_better=True).is_log
    assert not score_axis([-0.1, 0.2, 1e3], higher_is_better=False).is_log


@given(
    st.lists(st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.none(), st.just(0.5)), max_size=20),
    st.booleans(),
)
def test_score_axes_are_finite_and_show_the_best_half(scores: list[float | None], higher: bool) -> None:
    axis = score_axis(scores, higher_is_better=higher)
    low, high = axis.limits()
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < high
    finite = [score for score in scores if score is not None and abs(score) < 1e100]
    if finite:
        best = max(finite) if higher else min(finite)
        if len(finite) == len(scores):
            assert axis.low <= best <= axis.high
            assert num_beyond(finite, axis) <= len(finite) / 2
