"""Comparisons over problems: small tables by hand, and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dlx.statistics.paired import smallest_p
from dlx.statistics.problems import friedman, profile, wilcoxon

INF = math.inf


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("num_problems", "num_arms"), [(2, 3), (6, 4), (12, 6)])
def test_friedman_is_that_of_scipy(num_problems: int, num_arms: int, ties: bool) -> None:
    table = np.random.default_rng(num_arms).normal(size=(num_problems, num_arms))
    table = np.round(table) if ties else table
    p, mean_ranks = friedman(table)
    assert p == pytest.approx(stats.friedmanchisquare(*table.T).pvalue, rel=1e-9)
    assert mean_ranks == pytest.approx(stats.rankdata(table, axis=1).mean(0))


def test_friedman_by_hand() -> None:
    """Ranks 1 2 3, 1 2 3, 1 3 2, 1 2 3: sums 4 9 11, expected 8 each, so the squares make 16 + 1 + 9 = 26.

    The spread of the ranks is 2 on each problem, 8 in all; chi2 = 2 * 26 / 8 = 6.5, whose tail at 2 degrees of freedom
    is exp(-3.25). The infinite scores are what ranks last.
    """
    p, mean_ranks = friedman([[0.1, 0.2, INF], [1, 2, 3], [-5, INF, 7], [0, 1e-3, 1e9]])
    assert p == pytest.approx(math.exp(-3.25))
    assert mean_ranks.tolist() == [1, 2.25, 2.75]


def test_friedman_of_two_arms_is_the_sign_test() -> None:
    """Of 9 problems 7 are won: chi2 is the square of the sign test's z, (7 - 4.5) / 1.5."""
    p, mean_ranks = friedman([[0, 1]] * 7 + [[1, 0]] * 2)
    assert p == pytest.approx(2 * stats.norm.sf(2.5 / 1.5))
    assert mean_ranks == pytest.approx([11 / 9, 16 / 9])


def test_arms_that_tie() -> None:
    assert friedman([[1, 1, 1], [INF, INF, INF]])[0] == 1
    assert friedman([[1, INF, INF]])[1].tolist() == [1, 2.5, 2.5]
    assert friedman([[3.0], [2.0]])[0] == 1


@pytest.mark.parametrize("size", [5, 9, 30])
def test_wilcoxon_is_that_of_scipy(size: int) -> None:
    a, b = np.random.default_rng(size).normal([[0.4], [0]], 1, (2, size))
    assert wilcoxon(a, b) == pytest.approx(stats.wilcoxon(a, b, method="exact").pvalue, rel=1e-10)


def test_wilcoxon_of_problems_that_one_arm_fails() -> None:
    a, b = [1, INF, 2, INF, 3, 4, INF], [2, 5, INF, INF, 7, 1, 2]
    like = [-1, 90, -90, 0, -4, 3, 90]
    exact = stats.PermutationMethod(n_resamples=INF)
    assert wilcoxon(a, b) == pytest.approx(stats.wilcoxon(like, method=exact).pvalue)
    assert wilcoxon([1] * 6, [INF] * 6) == smallest_p(6)


TIMES = [[10, 20, 50], [30, 30, 15], [INF, 8, 8], [INF, INF, INF]]


def test_profile_by_hand() -> None:
    """Ratios: 1 2 5, 2 2 1, inf 1 1, inf inf inf.

    Of 4 problems the first arm has 1 at once and 1 from 2 on: integral to 4 is 3/4 + 2/4; the second 1 at once and 2
    from 2 on: 3/4 + 2 * 2/4; the third 2 at once, 5 being beyond 4: 2 * 3/4. Divided by 4 - 1.
    """
    tau, rho, score = profile(TIMES)
    assert tau.tolist() == [1, 2, 4]
    assert rho.tolist() == [[0.25, 0.5, 0.5], [0.25, 0.75, 0.75], [0.5, 0.5, 0.5]]
    assert score == pytest.approx(np.array([5 / 4, 7 / 4, 6 / 4]) / 3)
    tau, rho, score = profile(TIMES, r_max=6)  # 5 counts from there on: one more, 4 * 1/4 less 1/4 * 4 of none
    assert tau.tolist() == [1, 2, 5, 6]
    assert rho[2].tolist() == [0.5, 0.5, 0.75, 0.75]
    assert score[2] == pytest.approx((4 * 0.5 + 1 * 0.75) / 5)


@pytest.mark.parametrize("r_max", [1.5, 4.0, 50.0])
def test_score_is_the_integral_of_the_steps(r_max: float) -> None:
    random = np.random.default_rng(0)
    times = random.lognormal(0, 1, (20, 5))
    times[random.random(times.shape) < 0.2] = INF
    tau, rho, score = profile(times, r_max)
    assert (tau[0], tau[-1]) == (1, r_max)
    assert (np.diff(tau) > 0).all()
    assert score == pytest.approx((rho[:, :-1] * np.diff(tau)).sum(1) / (r_max - 1))
    between = np.linspace(1, r_max, 7)  # rho anywhere, straight from its definition
    ratios = times / times.min(1, keepdims=True)
    steps = rho[:, np.searchsorted(tau, between, side="right") - 1]
    assert steps == pytest.approx(np.array([(ratios <= each).mean(0) for each in between]).T)


def test_unit_of_a_problem_does_not_matter() -> None:
    units = np.array([[1e-3], [1], [1e6], [5]])
    assert profile(units * TIMES)[2] == pytest.approx(profile(TIMES)[2])


def test_another_pool_reverses_an_order() -> None:
    """Alone the first is ahead of the second on two problems of three; a specialist for these takes its credit."""
    pair = np.array([[10.0, 20], [10, 20], [15, 10]])
    assert np.diff(profile(pair)[2])[0] < 0
    pool = np.column_stack([pair, [1.0, 1, 100]])
    assert np.diff(profile(pool)[2][:2])[0] > 0


def test_target_met_at_once() -> None:
    _, rho, score = profile([[0, 0, 5], [INF, 2, 1]])
    assert rho[:, 0].tolist() == [0.5, 0.5, 0.5]
    assert score == pytest.approx([0.5, (1 + 2 / 3) / 2, 0.5])


@pytest.mark.parametrize("table", [[], [[]], [1.0, 2.0]])
def test_no_table(table: list[float]) -> None:
    for call in (friedman, profile):
        with pytest.raises(ValueError, match="problems by arms"):
            call(table)


def test_what_is_out_of_range() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        profile([[1, -1]])
    for r_max in (1, 0, INF, math.nan):
        with pytest.raises(ValueError, match="multiple above 1"):
            profile(TIMES, r_max)
    for call in (friedman, profile):
        with pytest.raises(ValueError, match="found NaN"):
            call([[1, math.nan]])
    with pytest.raises(ValueError, match="found NaN"):
        wilcoxon([1, math.nan], [1, 2])
