"""Paired tests, intervals and the best of a smaller search: scipy, brute force and exact distributions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dlx.statistics.paired import (
    DRAWN_FLIPS,
    differences_of,
    expected_best,
    median_interval,
    ranks,
    share_better,
    sign_flip,
    signed_rank,
    smallest_p,
)

INF = math.inf


def brute_force(integers: list[int]) -> float:
    """The sign-flip p of whole numbers, whose sums have no rounding."""
    sums = [sum(s * d for s, d in zip(signs, integers, strict=True))
            for signs in itertools.product([-1, 1], repeat=len(integers))]  # fmt: skip
    return sum(abs(each) >= abs(sum(integers)) for each in sums) / len(sums)


def scipy_flips(differences: list[float] | np.ndarray) -> float:
    """The sign-flip p of scipy, all flips."""
    found = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=INF)
    return float(found.pvalue)


@pytest.mark.parametrize("size", [2, 3, 8, 10, 12])
@pytest.mark.parametrize("shift", [0, 0.5, 3])
def test_sign_flip_is_that_of_scipy(size: int, shift: float) -> None:
    differences = np.random.default_rng(size).normal(shift, 1, size)
    assert sign_flip(differences) == pytest.approx(scipy_flips(differences), rel=1e-12)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9), st.sampled_from([1, 0.1, 1e-3, 1 / 3, 1e-300, 1e300]))
@settings(deadline=None, derandomize=True)
def test_rounding_decides_no_tie(integers: list[int], unit: float) -> None:
    """Whole numbers tie all the time; in a unit that floats cannot hold they must tie as often."""
    assert sign_flip([each * unit for each in integers]) == brute_force(integers)


def test_sign_flip_of_accuracies() -> None:
    """Differences of decimal fractions carry the rounding of both: these are 1, 2, 3, -4 and 1 hundredths."""
    differences = differences_of([0.97, 0.95, 0.93, 0.91, 0.05], [0.96, 0.93, 0.90, 0.95, 0.04])
    assert len(set(differences)) == 5
    assert sign_flip(differences) == brute_force([1, 2, 3, -4, 1])


@pytest.mark.parametrize("num", [1, 5, 10, 20])
def test_smallest_p_is_reached_by_one_sign(num: int) -> None:
    differences = np.random.default_rng(num).uniform(1, 2, num)
    assert sign_flip(-differences) == smallest_p(num) == signed_rank(differences) == pytest.approx(2 / 2**num)


def test_smallest_p_of_nothing() -> None:
    assert smallest_p(0) == 1


@pytest.mark.parametrize("test", [sign_flip, signed_rank])
def test_no_difference(test: Callable[..., object]) -> None:
    assert test([]) == test([0.0]) == test([0.0] * 30) == 1


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e300])
def test_unit_does_not_matter(scale: float) -> None:
    integers = [3, 1, -2, 5, 4]
    assert sign_flip([scale * each for each in integers]) == brute_force(integers)


def test_zeros_are_pairs_that_tell_nothing() -> None:
    integers = [3, 1, -2, 5]
    assert sign_flip([0.0, *integers, 0.0]) == sign_flip(integers) == brute_force([0, *integers, 0])


@pytest.mark.parametrize("shift", [0.1, 0.3, 0.6])
def test_drawn_flips_are_near_all_flips(shift: float) -> None:
    """Halves of 1 and -1 make W binomial, so the p of all 2^30 flips is known."""
    positive = round(30 * (0.5 + shift / 2))
    expected = stats.binomtest(positive, 30, 0.5).pvalue
    found = sign_flip([1.0] * positive + [-1.0] * (30 - positive))
    assert abs(found - expected) <= 4 * math.sqrt(expected * (1 - expected) / DRAWN_FLIPS) + 2 / DRAWN_FLIPS
    assert found == sign_flip([1.0] * positive + [-1.0] * (30 - positive))


def test_drawn_p_is_never_0() -> None:
    assert sign_flip(np.full(60, 0.1)) == 1 / (1 + DRAWN_FLIPS)


def test_drawn_flips_are_near_all_flips_of_real_differences() -> None:
    """All 2^21 sums, as those of ten differences and eleven others."""
    differences = np.random.default_rng(5).normal(0.4, 1, 21)
    parts = [
        np.array(list(itertools.product([-1, 1], repeat=len(d)))) @ d for d in (differences[:10], differences[10:])
    ]
    expected = (np.abs(np.add.outer(*parts)) >= differences.sum()).mean()
    assert sign_flip(differences) == pytest.approx(expected, abs=4 * math.sqrt(expected / DRAWN_FLIPS))
    assert sign_flip([*differences[:20], 0.0]) == sign_flip(differences[:20])  # 20 that count: all flips


@pytest.mark.parametrize("size", [1, 2, 5, 10, 25, 50])
@pytest.mark.parametrize("shift", [0, 0.3])
def test_signed_rank_is_exact_wilcoxon(size: int, shift: float) -> None:
    differences = np.random.default_rng(size).normal(shift, 1, size)
    assert signed_rank(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue, rel=1e-10)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
@settings(deadline=None, derandomize=True)
def test_signed_rank_with_ties_by_brute_force(integers: list[int]) -> None:
    kept = [each for each in integers if each]
    doubled = (2 * stats.rankdata(np.abs(kept))).astype(int) if kept else []
    assert signed_rank(integers) == brute_force([int(np.sign(d)) * int(r) for d, r in zip(kept, doubled, strict=True)])


@pytest.mark.parametrize(
    ("differences", "like"),
    [
        ([INF, 1, -2, 3], [9, 1, -2, 3]),
        ([-INF, 1, 2, 3], [-9, 1, 2, 3]),
        ([INF, 1, INF, -2, 3], [9, 1, 9, -2, 3]),
        ([INF, -INF, 0, 1], [9, -9, 0, 1]),
        ([INF] * 10, [9] * 10),
        ([INF, *range(1, 24), -INF], [99, *range(1, 24), -99]),
    ],
)
def test_infinite_differences_rank_highest(differences: list[float], like: list[float]) -> None:
    assert sign_flip(differences) == signed_rank(differences) == signed_rank(like)
    if len(set(np.abs(like))) == len(like):
        assert sign_flip(differences) == pytest.approx(stats.wilcoxon(like, method="exact").pvalue)


def test_infinite_differences_by_brute_force() -> None:
    """Ranks of 0.5, 2, inf, inf, -1: 1, 3, 4.5, 4.5, -2; doubled they are whole."""
    assert sign_flip([0.5, 2, INF, INF, -1, 0]) == brute_force([2, 6, 9, 9, -4])


def test_ranks() -> None:
    assert ranks([3, INF, 1, 3, INF, -INF]).tolist() == [3.5, 5.5, 2, 3.5, 5.5, 1]
    assert ranks([0.97 - 0.96, 0.31 - 0.30, 0.05 - 0.04]).tolist() == [2, 2, 2]
    assert ranks([]).tolist() == []
    values = np.random.default_rng(0).integers(-9, 9, 200)
    assert ranks(values).tolist() == stats.rankdata(values).tolist()


def test_differences() -> None:
    assert differences_of([1, INF, 2, INF, -INF], [3, 5, INF, INF, -INF]).tolist() == [-2, INF, -INF, 0, 0]
    with pytest.raises(ValueError, match="as many scores"):
        differences_of([1, 2], [1])


@pytest.mark.parametrize(
    "call",
    [
        sign_flip,
        signed_rank,
        ranks,
        median_interval,
        expected_best,
        lambda values: share_better(values, [0.0, 0.0]),
        lambda values: differences_of([0.0, 0.0], values),
    ],
)
def test_nan_is_an_error(call: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="found NaN"):
        call([1.0, math.nan])


@pytest.mark.parametrize("size", [1, 5, 11, 25])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_interval_of_the_exact_bootstrap(size: int, level: float) -> None:
    """For odd n the bootstrap median is at most the k-th value with the chance that (n + 1) / 2 of n draws are.

    The ends are the values at which that distribution passes the tails; the few cases where a tail is so near to a step
    that 10000 draws cannot tell are not in the table.
    """
    values = np.sort(np.random.default_rng(size).normal(size=size))
    passed = stats.binom(size, np.arange(1, size + 1) / size).sf((size - 1) / 2)
    tail = (1 - level) / 2
    assert np.abs(passed - tail).min() > 3 * math.sqrt(tail * (1 - tail) / 10_000)
    expected = [np.searchsorted(passed, tail), np.searchsorted(passed, 1 - tail)]
    assert median_interval(values[::-1], level) == (np.median(values), *values[expected])


@pytest.mark.parametrize("size", [10, 40])
def test_interval_is_that_of_scipy(size: int) -> None:
    values = np.random.default_rng(size).lognormal(size=size)
    found = median_interval(values)
    theirs = [
        stats.bootstrap((values,), np.median, n_resamples=10_000, method="percentile", rng=seed) for seed in (1, 2, 3)
    ]
    ends = np.array([[each.confidence_interval.low, each.confidence_interval.high] for each in theirs])
    assert found[0] == pytest.approx(np.median(values))
    assert np.abs(found[1:] - ends.mean(0)).max() < 4 * ends.std(0, ddof=1).max() + 0.02


def test_infinite_values_take_part() -> None:
    assert median_interval([1, 2, INF, INF, INF])[:1] == (INF,)
    median, low, high = median_interval([1, 2, 3, 4, INF])
    assert (median, low, high) == (3, 1, INF)  # the median is infinite with chance P(Binom(5, 1/5) >= 3) = 0.058
    assert median_interval([1, 2, 3, 4, INF], 0.8)[2] == 4
    assert median_interval([-INF, 1, 2, 3, 4])[1] == -INF
    assert median_interval([INF] * 4) == (INF, INF, INF)
    assert median_interval([-INF, INF]) == (0, -INF, INF)
    assert median_interval([-INF, 1])[0] == -INF


def test_interval_is_a_value_of_the_data_and_of_no_unit() -> None:
    values = [3.0, 1.0, 2.0]
    assert median_interval(values) == (2, 1, 3) == median_interval(values)
    assert median_interval([1e308, 1e308 / 2]) == pytest.approx((0.75e308, 0.5e308, 1e308))


def test_wider_level_wider_interval() -> None:
    values = np.random.default_rng(1).normal(size=30)
    ends = [median_interval(values, level)[1:] for level in (0.5, 0.8, 0.95, 0.99)]
    assert all(a[0] > b[0] and a[1] < b[1] for a, b in itertools.pairwise(ends))


@pytest.mark.parametrize("wins", [0, 1, 5, 9, 10])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_share_is_that_of_scipy(wins: int, level: float) -> None:
    expected = stats.binomtest(wins, 10).proportion_ci(level, method="exact")
    found = share_better([0.0] * wins + [2.0] * (10 - wins), [1.0] * 10, level)
    assert found == pytest.approx((wins / 10, expected.low, expected.high), rel=1e-9)


def test_ties_are_half_a_win() -> None:
    a, b = [0, 0, 1, INF, INF, 1], [1, 0, 1, INF, 1, INF]
    assert share_better(a, b)[0] == (2 + 3 / 2) / 6
    assert share_better([1.0, 1.0], [1.0, 1.0]) == pytest.approx(share_better([0.0, 1.0], [1.0, 0.0]))
    share, low, high = share_better([1.0, 0.0, 0.0], [1.0, 1.0, 1.0])  # 2.5 of 3: between 2 and 3
    two, three = (stats.binomtest(k, 3).proportion_ci(method="exact") for k in (2, 3))
    assert share == pytest.approx(2.5 / 3)
    assert two.low < low < three.low
    assert two.high < high < three.high


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=12))
@settings(deadline=None, derandomize=True)
def test_share_of_the_other_is_the_rest(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    share, low, high = share_better(a, b)
    assert 0 <= low <= share <= high <= 1
    assert share_better(b, a) == pytest.approx((1 - share, 1 - high, 1 - low))


@pytest.mark.parametrize("call", [lambda: median_interval([]), lambda: share_better([], [])])
def test_nothing_to_estimate_from(call: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        call()


@given(st.lists(st.one_of(st.floats(-10, 10), st.just(INF)), min_size=1, max_size=8))
@settings(deadline=None, derandomize=True)
def test_expected_best_by_all_subsets(scores: list[float]) -> None:
    expected = [
        np.mean([min(each) for each in itertools.combinations(scores, k)]) for k in range(1, len(scores) + 1)
    ]  # fmt: skip
    assert expected_best(scores).tolist() == pytest.approx(expected, abs=1e-12)


def test_expected_best_of_many() -> None:
    """Of 1..n the expected smallest of k is (n + 1) / (k + 1)."""
    found = expected_best(np.random.default_rng(0).permutation(200) + 1.0)
    assert found == pytest.approx(201 / np.arange(2, 202), rel=1e-12)


def test_expected_best_with_many_diverged() -> None:
    """Of n trials with m diverged every draw of m + 1 holds a finite one."""
    scores = [*np.random.default_rng(0).normal(size=60), *[INF] * 140]
    found = expected_best(scores)
    assert np.isinf(found[:140]).all()
    assert np.isfinite(found[140:]).all()
    assert found[-1] == min(scores)
    chances = [math.comb(199 - i, 140) / math.comb(200, 141) for i in range(60)]
    assert found[140] == pytest.approx(np.dot(chances, np.sort(scores[:60])))


def test_expected_best_of_none_and_of_minus_infinity() -> None:
    assert expected_best([]).tolist() == []
    with pytest.raises(ValueError, match="above -inf"):
        expected_best([1, -INF])
