"""What may be said of two optimizers: by hand-worked cases, and by races whose truth is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from dlx.comparison.tuning import Tuning
from dlx.comparison.verdict import better_matrix, can_show, verdicts
from dlx.core.definition import FirstOrder
from dlx.core.types import Hyper
from dlx.optimizers.momentum import Momentum
from dlx.optimizers.sgd import SGD

REFERENCE = np.linspace(1.0, 1.9, 10)


def words(losses: list[float] | np.ndarray[Any, Any], reference: np.ndarray[Any, Any] = REFERENCE) -> str:
    (found,) = verdicts([np.asarray(losses, dtype=float)], reference)
    return found.words


def test_lower_on_every_seed_is_practically_better() -> None:
    (found,) = verdicts([REFERENCE - 0.1], REFERENCE)
    assert found.words == "practically better"
    assert found.p == found.adjusted_p == 2 / 2**10
    assert found.difference == pytest.approx(-0.1)
    assert found.share == 1
    assert found.share_interval[0] == pytest.approx(0.025 ** (1 / 10))  # Clopper-Pearson of 10 of 10


def test_higher_on_every_seed_is_practically_worse() -> None:
    assert words(REFERENCE + 0.1) == "practically worse"


def test_the_same_losses_show_nothing() -> None:
    (found,) = verdicts([REFERENCE], REFERENCE)
    assert found.words == "no difference shown"
    assert found.p == 1
    assert found.share == 0.5


def test_one_large_difference_is_no_evidence() -> None:
    """The mean falls by 100, but one seed alone may do so by chance."""
    assert words([*REFERENCE[:9], REFERENCE[9] - 1000]) == "no difference shown"


def test_five_seeds_show_nothing_however_clear_they_are() -> None:
    assert words(REFERENCE[:5] - 10, REFERENCE[:5]) == "no difference shown"
    assert not can_show(5, 1)
    assert can_show(6, 1)
    assert not can_show(8, 7)
    assert can_show(8, 6)
    assert can_show(10, 15)  # all pairs of six arms


def test_better_but_not_practically_where_it_wins_on_fewer_than_three_seeds_of_four() -> None:
    """28 of 40: the interval of the share is above a half, the test rejects, but 0.7 is below 0.75."""
    difference = np.where(np.arange(40) < 28, -1.0, 0.5)
    reference = np.full(40, 3.0)
    assert words(reference + difference, reference) == "better"
    assert words(reference - difference, reference) == "worse"


def test_a_run_that_failed_loses_against_one_that_did_not() -> None:
    (found,) = verdicts([np.full(10, math.inf)], REFERENCE)
    assert found.words == "practically worse"
    assert found.difference == math.inf
    assert words(REFERENCE, np.full(10, math.inf)) == "practically better"
    assert words(np.full(10, math.inf), np.full(10, math.inf)) == "no difference shown"


def test_more_comparisons_need_more_evidence() -> None:
    """9 of 10 by equal steps: p = 2 * 11 / 1024 = 0.0215 alone; by Holm of three at least 0.064."""
    nearly = REFERENCE + np.where(np.arange(10) < 9, -0.1, 0.1)
    assert words(nearly) == "practically better"
    found = verdicts([nearly, REFERENCE, REFERENCE + 0.001 * (-1) ** np.arange(10)], REFERENCE)
    assert found[0].p == pytest.approx(22 / 1024)
    assert found[0].adjusted_p == pytest.approx(66 / 1024)
    assert {each.words for each in found} == {"no difference shown"}


def test_shares_of_a_pair_add_up_to_one() -> None:
    rows = better_matrix([REFERENCE, REFERENCE[::-1].copy(), REFERENCE - 1])
    assert rows == [[None, 0.5, 0.0], [0.5, None, 0.0], [1.0, 1.0, None]]


# --- races on a noisy quadratic, by dlx's own rules ------------------------------------------------------------------

CURVATURES = torch.logspace(-1, 1, 4, dtype=torch.float64)
STEPS, TUNING_SEEDS, SEEDS = 60, 2, 10


def final_losses(rule: FirstOrder, settings: list[dict[str, float]], seeds: list[int], noise: float = 1.0) -> Any:
    """Race every setting with every seed down 1/2 sum c x^2 with noisy gradients, as rows of one matrix.

    Returns:
        Loss after the last step, [settings, seeds], with noise as that of a validation part.
    """
    theta = torch.ones(len(settings) * len(seeds), len(CURVATURES), dtype=torch.float64)
    drawn = [np.random.default_rng(seed).standard_normal((STEPS + 1, len(CURVATURES))) for seed in seeds]
    shocks = torch.from_numpy(np.tile(np.stack(drawn, 1), (1, len(settings), 1)))
    columns = {
        key: torch.tensor([[{**dict(rule), **values}[key]] for values in settings for _ in seeds], dtype=torch.float64)
        for key in rule.tunable_names()
    }
    h = Hyper(columns, {key: 1 - column for key, column in columns.items()})
    state = rule.init(theta)
    for step in range(STEPS):
        rule.update(theta, theta * CURVATURES + noise * shocks[step], state, h)
    losses = 0.5 * (theta.square() * CURVATURES).sum(1) * (1 + 0.5 * shocks[-1, :, 0]).abs()
    return np.nan_to_num(losses.reshape(len(settings), -1).numpy(), nan=np.inf)


def tuned_losses(rule: FirstOrder, search_seed: int, first_seed: int, noise: float = 1.0) -> Any:
    """Tune a rule by the protocol's own search, and train the best setting with fresh seeds."""
    trials = Tuning(rule, 16, False, (search_seed, 0)).first()
    tuning_seeds = [first_seed + seed for seed in range(TUNING_SEEDS)]
    best = trials[int(final_losses(rule, trials, tuning_seeds, noise).mean(1).argmin())]
    return final_losses(rule, [best], [first_seed + TUNING_SEEDS + seed for seed in range(SEEDS)], noise)[0]


def test_an_optimizer_is_not_better_than_itself() -> None:
    """The same rule under two names, with other search and other seeds: better in 17 of 200 races at most."""
    claims = [
        words(tuned_losses(SGD(), 2 * race + 1, 1000 * (2 * race + 1)), tuned_losses(SGD(), 2 * race, 2000 * race))
        for race in range(200)
    ]
    assert sum("better" in claim for claim in claims) <= 17
    assert sum("worse" in claim for claim in claims) <= 17


def test_a_planted_winner_is_found() -> None:
    """Momentum with a hundredth of the learning rate comes nowhere in the same steps."""
    rule = Momentum(lr=0.03, momentum=0.8)
    seeds = list(range(SEEDS))
    slow, fast = (final_losses(rule, [{"lr": lr}], seeds)[0] for lr in (0.0003, 0.03))
    assert words(fast, slow) == "practically better"
    assert words(slow, fast) == "practically worse"


@pytest.mark.parametrize("noise", [0.01, 1.0])
def test_tuned_momentum_is_not_worse_than_tuned_sgd(noise: float) -> None:
    """Momentum includes SGD. One search may be unlucky, so that what is compared are the medians of 20 searches."""
    searches = [[tuned_losses(rule, seed, 50 * seed, noise) for rule in (Momentum(), SGD())] for seed in range(20)]
    momentum, sgd = np.median(searches, axis=2).T
    assert "worse" not in words(momentum, sgd)
    if noise < 0.1:  # where there is hardly any, momentum must gain on curvatures that differ by a factor of 100
        assert "better" in words(momentum, sgd)
