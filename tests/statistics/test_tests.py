"""Tests of differences and variance components: hand-made numbers, scipy, brute force and simulated truths."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dlx.statistics.tests import corrected_t, holm, variance_components

DIFFERENCES = [0.03, -0.01, 0.02, 0.04, 0.01]


@pytest.mark.parametrize(
    ("num_folds", "repeats", "factor"), [(5, 1, 0.6708), (10, 1, 0.4595), (5, 10, 0.5196)], ids=["5", "10", "10x5"]
)
def test_factor_by_hand(num_folds: int, repeats: int, factor: float) -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, num_folds * repeats)
    t, _ = corrected_t(differences, num_train=num_folds - 1, num_test=1)
    assert differences.mean() / (t * differences.std(ddof=1)) == pytest.approx(factor, abs=5e-5)


@pytest.mark.parametrize("size", [2, 3, 5, 50])
def test_uncorrected_is_the_paired_t_test(size: int) -> None:
    differences = np.random.default_rng(size).normal(0.2, 1, size)
    expected = stats.ttest_1samp(differences, 0)
    assert corrected_t(differences, 7, 0) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)


def test_corrected_by_hand() -> None:
    t, p = corrected_t(DIFFERENCES, 80, 20)
    expected = 0.018 / math.sqrt(0.45 * 0.00037)  # squared deviations .012 .028 .002 .022 .008 sum to .00148
    assert t == pytest.approx(expected)
    assert p == pytest.approx(2 * stats.t(df=4).sf(expected))
    assert corrected_t([-each for each in DIFFERENCES], 80, 20) == pytest.approx((-t, p))


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e300])
def test_unit_does_not_matter(scale: float) -> None:
    scaled = [scale * each for each in DIFFERENCES]
    assert corrected_t(scaled, 4, 1) == pytest.approx(corrected_t(DIFFERENCES, 4, 1))


def test_differences_that_do_not_vary() -> None:
    assert corrected_t([0.0] * 5, 4, 1) == (0, 1)
    assert corrected_t([0.1] * 3, 4, 1) == (math.inf, 0)
    assert corrected_t([-0.1] * 3, 4, 1) == (-math.inf, 0)


@pytest.mark.parametrize("differences", [[], [0.3]])
def test_one_difference_has_no_test(differences: list[float]) -> None:
    assert all(math.isnan(each) for each in corrected_t(differences, 4, 1))


def scores_of_equal_learners(rng: np.random.Generator, num_folds: int, repeats: int, num: int) -> list[float]:
    """Differences of test errors of regressions on one input or on another that tells as much of the target."""
    inputs = rng.normal(size=(num, 2))
    targets = inputs.sum(1) + rng.normal(size=num)
    differences = []
    for _ in range(repeats):
        fold_of = rng.permutation(num) % num_folds
        for fold in range(num_folds):
            held_out = fold_of == fold
            x, y = inputs[~held_out], targets[~held_out, None]
            slopes = (x * y).sum(0) / (x**2).sum(0)
            errors = np.square(targets[held_out, None] - slopes * inputs[held_out]).mean(0)
            differences.append(errors[0] - errors[1])
    return differences


def test_what_the_correction_is_for() -> None:
    """Under no difference the naive test of 10 x 5 folds rejects most of the time, the corrected one about 5 %."""
    rng, num = np.random.default_rng(0), 60
    p_values = []
    for _ in range(300):
        differences = scores_of_equal_learners(rng, num_folds=5, repeats=10, num=num)
        p_values.append([corrected_t(differences, num * 4 // 5, num_test)[1] for num_test in (0, num // 5)])
    naive, corrected = (np.array(p_values) <= 0.05).mean(0)
    assert naive > 0.4
    assert stats.binomtest(round(corrected * 300), 300, 0.05).pvalue > 0.01


@given(st.lists(st.floats(0, 1), max_size=6))
@settings(deadline=None, derandomize=True)
def test_holm_is_closed_testing_with_bonferroni(p_values: list[float]) -> None:
    """A hypothesis is rejected if Bonferroni rejects every set of hypotheses that it is in."""
    numbers = range(len(p_values))
    sets = [each for size in numbers for each in itertools.combinations(numbers, size + 1)]
    expected = [
        max(min(1, len(each) * min(p_values[j] for j in each)) for each in sets if number in each) for number in numbers
    ]
    assert holm(p_values).tolist() == pytest.approx(expected)


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03, 0.5]).tolist() == pytest.approx([0.09, 0.04, 0.09, 0.5])


def test_components_by_hand() -> None:
    """Fold means 2, 4, 6; variances over seeds 2, 2, 8: their mean 4; between folds 4 - 4 / 2."""
    fold_std, seed_std = variance_components([[1, 3], [3, 5], [4, 8]])
    assert fold_std == pytest.approx(math.sqrt(2))
    assert seed_std == pytest.approx(2)


def test_folds_that_differ_less_than_seeds_do() -> None:
    assert variance_components([[0, 2], [2, 0]]) == pytest.approx((0, math.sqrt(2)))


@pytest.mark.parametrize(("fold_std", "seed_std"), [(2.0, 0.5), (1.0, 1.0), (0.3, 0.1)])
def test_components_of_a_known_layout(fold_std: float, seed_std: float) -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(3000):
        folds = 0.9 + fold_std * rng.normal(size=(6, 1))
        found.append(variance_components(folds + seed_std * rng.normal(size=(6, 4))))
    variances, expected = np.square(found), np.square([fold_std, seed_std])
    error = variances.std(0, ddof=1) / math.sqrt(len(found))
    assert (np.abs(variances.mean(0) - expected) < 3 * error + 0.005 * expected).all()  # the cut at 0 adds a trifle
