"""Tests of differences between cross-validated scores, and where their spread comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


def corrected_t(differences: Sequence[float] | Floats, num_train: float, num_test: float) -> tuple[float, float]:
    """Test whether two learners differ, by their scores on the same folds: the corrected resampled t-test.

        t = mean(d) / sqrt((1/J + num_test/num_train) var(d)),   J - 1 degrees of freedom

    Scores of folds whose training sets overlap are correlated, so var(d)/J is too small a variance of their mean; the
    second term stands for the correlation. It is an approximation: the variance of a k-fold score has no unbiased
    estimator. With ``num_test`` 0 it is the paired t-test. Differences that are all the same are taken at their word:
    p is 1 where they are 0, and 0 elsewhere.

    Args:
        differences: Score of one learner less that of the other for each fold of each repeat, [J], finite.
        num_train: Examples that a fold trains on, its inner validation part included; the mean where folds vary.
        num_test: Examples that a fold holds out; the mean where folds vary.

    Returns:
        t, and the two-sided p; both NaN where J is below 2.

    Source:
        Nadeau and Bengio (2003), "Inference for the generalization error"; Bengio and Grandvalet (2004), "No unbiased
        estimator of the variance of k-fold cross-validation".
    """
    from scipy.special import stdtr

    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return math.nan, math.nan
    if d.min() == d.max():
        return (0.0, 1.0) if d[0] == 0 else (math.copysign(math.inf, d[0]), 0.0)
    d = d / np.abs(d).max()  # t has no unit, and squares of huge or tiny differences would leave the range of floats
    t = float(d.mean() / np.sqrt((1 / len(d) + num_test / num_train) * d.var(ddof=1)))
    return t, float(2 * stdtr(len(d) - 1, -abs(t)))


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Adjust the p values of several tests, so that the chance of any false rejection stays below the level.

    The i-th smallest of m, i from 0, is multiplied by m - i, raised to the adjusted one before it, capped at 1.

    Args:
        p_values: [m], in [0, 1].

    Returns:
        Adjusted p values, [m], in the order given: a test is rejected at a level where its own is at most the level.

    Source:
        Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def variance_components(scores: Sequence[Sequence[float]] | Floats) -> tuple[float, float]:
    """Tell the spread between folds from that between seeds.

    For score_fs = mean + fold_f + seed_fs with independent terms:

        seed variance = mean over folds of the variance over seeds (ddof 1)
        fold variance = variance over folds (ddof 1) of the means over seeds - seed variance / S, at least 0

    The seed's is the spread that training alone makes (initial weights, order, noise), examples fixed; the fold's is
    that of the expected score over seeds as other examples are trained on and held out. Both are unbiased as variances
    but for the cut at 0. Folds share training examples, so the fold's describes these folds, not new data.

    Args:
        scores: Score of each fold (of each repeat) and seed, [F, S], F and S at least 2.

    Returns:
        Standard deviation between folds and between seeds, in the unit of the scores.

    Source:
        Searle, Casella and McCulloch (1992), "Variance components", chapter 3: the ANOVA estimators of the one-way
        random model. Seeds are nested in folds, since every cell has random streams of its own.
    """
    cells = np.asarray(scores, dtype=np.float64)
    seed_variance = cells.var(axis=1, ddof=1).mean()
    fold_variance = cells.mean(axis=1).var(ddof=1) - seed_variance / cells.shape[1]
    return math.sqrt(max(fold_variance, 0.0)), math.sqrt(seed_variance)
