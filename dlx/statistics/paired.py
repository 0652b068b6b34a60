"""Two learners by their scores on the same seeds: tests, intervals and the budget that the better one needs.

Scores are losses: lower is better, +inf is a run that diverged and takes part in everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Floats = np.ndarray[Any, np.dtype[np.float64]]

MOST_FLIPPED = 20  # with more pairs flips are drawn: 2**20 sums take 8 MB and some hundredths of a second
DRAWN_FLIPS = 2**17  # the standard error of a p value of 0.05 is then 0.0006
TIE = 1e-9  # relative: a hundred times what rounding makes of the difference of two accuracies that differ by 1e-5


def numbers(values: ArrayLike) -> Floats:
    """Give the values as float64 numbers.

    Raises:
        ValueError: One of them is NaN.
    """
    found = np.asarray(values, dtype=np.float64)
    if np.isnan(found).any():
        raise ValueError("expected numbers or infinities, found NaN")
    return found


def differences_of(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Floats:
    """Subtract the scores of two learners pair by pair: a - b, [n], 0 where both are the same infinity.

    Raises:
        ValueError: A score is NaN, or the numbers of scores differ.
    """
    first, second = numbers(a), numbers(b)
    if first.shape != second.shape:
        raise ValueError(f"expected as many scores of either learner, found {first.shape} and {second.shape}")
    with np.errstate(invalid="ignore"):  # inf - inf
        return np.where(first == second, 0.0, first - second)


def ranks(values: Sequence[float] | Floats) -> Floats:
    """Rank from the smallest, 1, to the largest, n; tied values (equal but for rounding) share their mean rank.

    Args:
        values: [n]; infinities are allowed and tie with their like.

    Raises:
        ValueError: A value is NaN.
    """
    found = numbers(values)
    order = np.argsort(found, kind="stable")
    ordered = found[order]
    starts = np.ones(len(ordered), dtype=bool)
    starts[1:] = ~np.isclose(ordered[1:], ordered[:-1], rtol=TIE, atol=0)
    group = np.cumsum(starts) - 1
    size = np.bincount(group) if len(group) else group
    given = np.empty_like(found)
    given[order] = (np.cumsum(size) - (size - 1) / 2)[group]
    return given


def signed_rank(differences: Sequence[float] | Floats) -> float:
    """Test whether paired differences centre on 0, by their ranks: Wilcoxon's exact signed-rank test.

        W = sum of sign(d_i) rank(|d_i|) over d_i != 0,   p = share of the 2^n flips of the signs with |W'| >= |W|

    The distribution of W is counted rank by rank, so p is exact for every n, ties included.

    Args:
        differences: [n]; infinite ones rank highest. Zeros are left out.

    Returns:
        The two-sided p; 1 where every difference is 0.

    Raises:
        ValueError: A difference is NaN.

    Source:
        Wilcoxon (1945), "Individual comparisons by ranking methods".
    """
    d = numbers(differences)
    d = d[d != 0]
    doubled = np.rint(2 * ranks(np.abs(d))).astype(np.int64)  # mean ranks are halves: doubled, sums are exact
    chance = np.zeros(doubled.sum() + 1)  # of every sum of the ranks whose sign is positive
    chance[0], reached = 1.0, 1
    for rank in doubled:
        chance[: reached + rank] /= 2
        chance[rank : reached + rank] += chance[:reached].copy()
        reached += rank
    sums = 2 * np.arange(len(chance)) - doubled.sum()
    observed = abs(int((np.sign(d) * doubled).sum()))
    return float(min(1.0, chance[np.abs(sums) >= observed].sum()))


def sign_flip(differences: Sequence[float] | Floats) -> float:
    """Test whether paired differences centre on 0: the sign-flip permutation test of their mean.

        p = share of the 2^n flips s in {-1, 1}^n with |sum s_i d_i| >= |sum d_i|

    Where the two learners are alike, each difference is as likely as its negative. Sums that are equal but for rounding
    count as equal. All flips are tried up to 20 pairs; beyond, 2^17 flips of a fixed seed are drawn and the observed
    one is counted with them, so p is never 0. A mean with an infinite difference (one of two runs diverged) tells
    nothing of the others, so signed ranks are flipped instead, exactly: ``signed_rank``.

    Args:
        differences: [n]; 0 where both runs diverged.

    Returns:
        The two-sided p; 1 where every difference is 0.

    Raises:
        ValueError: A difference is NaN.

    Source:
        Fisher (1935), "The design of experiments", section 21; Phipson and Smyth (2010), "Permutation p-values should
        never be zero", for the drawn flips.
    """
    d = numbers(differences)
    if np.isinf(d).any():
        return signed_rank(d)
    d = d[d != 0]  # the flip of a zero changes nothing
    if not len(d):
        return 1.0
    d = d / np.abs(d).max()  # p has no unit, and the sum of huge differences would leave the range of floats
    observed = abs(d.sum()) - TIE * np.abs(d).sum()
    if len(d) > MOST_FLIPPED:
        return float((1 + (np.abs(_drawn_sums(d)) >= observed).sum()) / (1 + DRAWN_FLIPS))
    sums = d[:1]  # the first keeps its sign: the other half of the flips has the same absolute sums
    for each in d[1:]:
        sums = np.concatenate([sums + each, sums - each])
    return float((np.abs(sums) >= observed).mean())


def _drawn_sums(differences: Floats) -> Floats:
    """Sum the differences under drawn flips of their signs, [DRAWN_FLIPS]."""
    random, sums = np.random.default_rng(0), np.zeros(DRAWN_FLIPS)
    for each in differences:
        sums += np.where(random.integers(0, 2, DRAWN_FLIPS, dtype=np.int8), each, -each)
    return sums


def smallest_p(num_pairs: int) -> float:
    """Give the smallest two-sided p that a test of so many pairs can reach: 2 / 2^n, all differences of one sign."""
    return min(1.0, 2.0 ** (1 - num_pairs))


def median_interval(
    values: Sequence[float] | Floats, level: float = 0.95, draws: int = 10_000
) -> tuple[float, float, float]:
    """Give the median and its percentile bootstrap interval.

    The medians of ``draws`` samples of n values drawn with replacement are ordered; the interval ends at the one that
    has at most a share (1 - level)/2 below it, and at its like from above. No quantile is interpolated, so an infinite
    end is infinite and a finite one is a median that was met.

    Args:
        values: [n], n at least 1; infinities take part, and the middle of -inf and inf is 0.
        level: Share of intervals that should hold the true median, in (0, 1); roughly so for few values.
        draws: Number of samples, of a fixed seed.

    Returns:
        Median, low and high end, in the unit of the values.

    Raises:
        ValueError: There is no value, or one is NaN.

    Source:
        Efron and Tibshirani (1993), "An introduction to the bootstrap", chapter 13.
    """
    found = np.sort(numbers(values))
    if not len(found):
        raise ValueError("expected at least one value")
    chosen = np.random.default_rng(0).integers(0, len(found), (draws, len(found)))
    middles = np.sort(_medians(found[np.sort(chosen, axis=1)]))
    below = math.floor((1 - level) / 2 * (draws - 1))
    return float(_medians(found)), float(middles[below]), float(middles[draws - 1 - below])


def _medians(ordered: Floats) -> Floats:
    """Give the medians over the last axis, which is in order."""
    num = ordered.shape[-1]
    lower, upper = ordered[..., (num - 1) // 2], ordered[..., num // 2]
    with np.errstate(invalid="ignore"):  # -inf and inf
        return np.where(lower == -upper, 0.0, lower / 2 + upper / 2)


def share_better(
    a: Sequence[float] | Floats, b: Sequence[float] | Floats, level: float = 0.95
) -> tuple[float, float, float]:
    """Give the probability that the first learner beats the second on a pair, and its Clopper-Pearson interval.

        share = k / n,   k = number of pairs with a < b, a tie counting half
        low = quantile of Beta(k, n - k + 1) at (1 - level)/2,   high = quantile of Beta(k + 1, n - k) at (1 + level)/2

    For whole k the interval holds the true share at least as often as ``level`` says; half a tie only interpolates.

    Args:
        a: Scores of the first learner, [n], n at least 1, lower is better; two infinities tie.
        b: Scores of the second on the same seeds, [n].
        level: In (0, 1).

    Returns:
        Share, low and high end, in [0, 1].

    Raises:
        ValueError: There is no pair, a score is NaN, or the numbers of scores differ.

    Source:
        Clopper and Pearson (1934), "The use of confidence or fiducial limits"; Bouthillier et al. (2021), "Accounting
        for variance in machine learning benchmarks", for the decision by P(A > B).
    """
    from scipy.special import betaincinv

    d = differences_of(a, b)
    num = len(d)
    if not num:
        raise ValueError("expected at least one pair")
    wins = float((d < 0).sum() + 0.5 * (d == 0).sum())
    tail = (1 - level) / 2
    low = float(betaincinv(wins, num - wins + 1, tail)) if wins > 0 else 0.0
    high = float(betaincinv(wins + 1, num - wins, 1 - tail)) if wins < num else 1.0
    return wins / num, low, high


def expected_best(scores: Sequence[float] | Floats) -> Floats:
    """Give the expected best of k of n scores drawn without replacement: what a smaller search would have found.

        E_k = sum over i of s_(i) C(n - i, k - 1) / C(n, k),   s_(1) <= ... <= s_(n)

    s_(i) is the best of the k where the other k - 1 come from the n - i above it.

    Args:
        scores: [n], lower is better; +inf is a trial that diverged.

    Returns:
        E_1 (the mean) to E_n (the smallest), [n]; infinite where k trials may all have diverged.

    Raises:
        ValueError: A score is NaN or -inf.

    Source:
        Sivaprasad et al. (2020), "Optimizer benchmarking needs to account for hyperparameter tuning": performance by
        budget, there from shuffled trials, here exactly.
    """
    ordered = np.sort(numbers(scores))
    if np.isneginf(ordered).any():
        raise ValueError("expected scores above -inf")
    finite, num = ordered[np.isfinite(ordered)], len(ordered)
    found = np.full(num, np.inf)
    above = num - np.arange(1, len(finite) + 1)  # scores above the i-th
    for k in range(num - len(finite) + 1, num + 1):
        kept = np.maximum(above[:-1] - (k - 1), 0) / np.maximum(above[:-1], 1)  # C(m - 1, k - 1) / C(m, k - 1)
        weights = k / num * np.cumprod(np.concatenate([[1.0], kept]))
        found[k - 1] = weights @ finite
    return found
