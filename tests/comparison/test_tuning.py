"""The search of one optimizer: the same places for all, ranges that grow where the best lies at an edge."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from scipy.stats.qmc import Sobol

from dlx.comparison.tuning import MORE_TRIALS, Tuning
from dlx.core.definition import Optimizer
from dlx.core.registry import registered
from dlx.optimizers.adam import Adam
from dlx.optimizers.least_squares import LeastSquares
from dlx.optimizers.momentum import Momentum
from dlx.optimizers.sgd import SGD

SEED = (0, 0)
OPTIMIZERS: dict[str, Any] = registered(Optimizer)  # type: ignore[type-abstract]


def places(trials: list[dict[str, float]], low: float, high: float) -> list[float]:
    """Where learning rates lie in a range, on its logarithmic scale."""
    return [math.log(trial["lr"] / low) / math.log(high / low) for trial in trials]


def test_trials_are_the_points_of_a_scrambled_sobol_sequence() -> None:
    expected = Sobol(2, rng=np.random.default_rng(SEED)).random(16)
    trials = Tuning(Momentum(), 16, False, SEED).first()
    assert places(trials, 1e-4, 10) == pytest.approx(expected[:, 0], abs=1e-5)
    shares = [math.log((1 - trial["momentum"]) / 5e-3) / math.log(0.5 / 5e-3) for trial in trials]
    assert shares == pytest.approx(expected[:, 1], abs=1e-5)


def test_every_optimizer_gets_the_same_places_in_its_own_range() -> None:
    sgd, adam = Tuning(SGD(), 4, False, SEED).first(), Tuning(Adam(), 4, False, SEED).first()
    assert places(sgd, 1e-4, 10) == pytest.approx(places(adam, 1e-5, 1), abs=1e-5)


def test_a_quick_search_is_a_grid_of_learning_rates_with_both_ends() -> None:
    trials = Tuning(Adam(), 7, True, SEED).first()
    assert [trial["lr"] for trial in trials] == pytest.approx(np.geomspace(1e-5, 1, 7), rel=1e-5)
    assert all(set(trial) == {"lr"} for trial in trials)


@pytest.mark.parametrize(
    ("num_trials", "keys"),
    [(9, {"lr"}), (10, {"lr", "rho1"}), (25, {"lr", "rho1", "delta"}), (50, {"lr", "rho1", "delta", "rho2"})],
)
def test_a_larger_budget_tunes_more(num_trials: int, keys: set[str]) -> None:
    assert set(Tuning(Adam(), num_trials, False, SEED).first()[0]) == keys


def test_other_studies_have_other_places() -> None:
    assert Tuning(SGD(), 4, False, (0, 0)).first() != Tuning(SGD(), 4, False, (0, 1)).first()
    assert Tuning(SGD(), 4, False, (0, 0)).first() != Tuning(SGD(), 4, False, (1, 0)).first()


@pytest.mark.parametrize(
    ("lr", "edge"), [(1.1e-4, "low"), (3.1e-4, "low"), (3.3e-4, None), (3.0, None), (3.3, "high"), (10.0, "high")]
)
def test_a_tenth_of_the_range_is_its_edge(lr: float, edge: str | None) -> None:
    """10 % of five decades from 1e-4 is 1e-4 * 10**0.5 = 3.16e-4."""
    tuning = Tuning(SGD(), 16, False, SEED)
    tuning.judge({"lr": lr})
    assert tuning.edges == ({} if edge is None else {"lr": edge})


@pytest.mark.parametrize(("lr", "low", "high"), [(1.1e-4, 1e-5, 1e-4), (9.0, 10.0, 100.0)])
def test_the_next_trials_lie_in_the_new_decade(lr: float, low: float, high: float) -> None:
    tuning = Tuning(SGD(), 16, False, SEED)
    tuning.first()
    tuning.judge({"lr": lr})
    trials = tuning.extend()
    assert len(trials) == MORE_TRIALS
    assert all(low <= trial["lr"] <= high for trial in trials)
    (axis,) = tuning.axes
    assert axis.bounds == pytest.approx((min(low, 1e-4), max(high, 10.0)))
    tuning.judge({"lr": math.sqrt(low * high)})  # now half a decade from the end of six: within the tenth
    assert tuning.edges == {"lr": "low" if low < 1e-4 else "high"}


def test_the_others_go_on_in_their_whole_range() -> None:
    tuning = Tuning(SGD(), 16, False, SEED)
    tuning.first()
    tuning.judge({"lr": 0.03})
    sequence = Sobol(1, rng=np.random.default_rng(SEED))
    sequence.random(16)
    expected = sequence.random(4)[:, 0]
    assert places(tuning.extend(), 1e-4, 10) == pytest.approx(expected, abs=1e-5)


def test_edges_are_told_of_values_also_where_the_range_is_of_what_is_left_to_one() -> None:
    tuning = Tuning(Momentum(), 16, False, SEED)
    tuning.judge({"lr": 0.1, "momentum": 0.994})
    assert tuning.edges == {"momentum": "high"}
    tuning.extend()
    assert tuning.axes[1].bounds == pytest.approx((0.5, 0.9995))


def test_the_end_of_a_domain_is_no_edge() -> None:
    """Momentum cannot fall below 0: a best value there is not cut off by the range."""
    tuning = Tuning(Momentum(), 16, False, SEED)
    tuning.judge({"lr": 0.1, "momentum": 0.51})
    assert tuning.edges == {"momentum": "low"}
    trials = tuning.extend()
    assert all(0 <= trial["momentum"] <= 0.5 for trial in trials)
    assert tuning.axes[1].bounds[0] == 0
    tuning.judge({"lr": 0.1, "momentum": 0.01})
    assert tuning.edges == {}


def test_of_few_trials_the_outermost_is_at_the_edge() -> None:
    """Each of four places lies in a quarter of its own."""
    tuning = Tuning(SGD(), 4, False, SEED)
    tuning.judge(max(tuning.first(), key=lambda trial: trial["lr"]))
    assert tuning.edges == {"lr": "high"}


def test_the_trials_that_were_added_narrow_the_edge() -> None:
    """One of four lies within a quarter of its range of five decades; one of twelve within a tenth of seven."""
    tuning = Tuning(SGD(), 4, False, SEED)
    tuning.first()
    for rate in (5.0, 50.0):
        tuning.judge({"lr": rate})
        assert tuning.edges == {"lr": "high"}
        tuning.extend()
    tuning.judge({"lr": 100.0})
    assert tuning.edges == {}


def test_a_single_trial_in_the_middle_is_at_no_edge() -> None:
    tuning = Tuning(SGD(), 1, False, SEED)
    tuning.judge({"lr": 0.03})
    assert tuning.edges == {}


def test_without_a_best_trial_nothing_is_extended() -> None:
    tuning = Tuning(SGD(), 16, False, SEED)
    tuning.judge(None)
    assert tuning.edges == {}


def test_a_rule_with_nothing_to_tune_has_one_trial() -> None:
    tuning = Tuning(LeastSquares(), 16, False, SEED)
    assert tuning.first() == [{}]
    assert tuning.extend() == []


def test_a_rule_of_a_users_own_is_tuned_by_its_learning_rate() -> None:
    class Own(SGD):
        name: Literal["own"] = "own"  # type: ignore[assignment]
        search_space: ClassVar[Any] = OPTIMIZERS["torch"].search_space

    assert set(Tuning(Own(), 16, False, SEED).first()[0]) == {"lr"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_search_space_holds_the_default_and_valid_settings(name: str) -> None:
    optimizer = OPTIMIZERS[name]()
    tuning = Tuning(optimizer, 50, False, SEED)
    for axis in tuning.axes:
        low, high = axis.bounds
        assert 0 <= low < high
        is_wide = axis.searched.high / axis.searched.low >= 30
        assert is_wide, "a range of less than one and a half decades is hardly a search"
        assert low <= getattr(optimizer, axis.key) <= high
    for values in tuning.first():
        type(optimizer).model_validate(values)
