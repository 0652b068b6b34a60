"""Shares of the variance of a score, against functions whose shares are known."""

import math
from typing import Any

import numpy as np
import pytest

from dlx.config.space import Dimension, Space
from dlx.core.settings import Range, Search
from dlx.search.importance import importance
from dlx.search.trials import build_sampler

RATE = Dimension("optimizer.lr", range=Range(low=1e-4, high=1.0, log=True))
NOISE = Dimension("training.input_noise", range=Range(low=0.0, high=1.0))
KIND = Dimension("model.activation", ("relu", {"name": "leaky_relu"}, "tanh"))
ONE = Dimension("training.epochs", (3,))
SPACE = Space((RATE, NOISE, KIND, ONE), loaded=None, examples=None)  # type: ignore[arg-type]


def drawn(count: int) -> list[dict[str, Any]]:
    return build_sampler(Search(method="sobol", trials=count), SPACE, False, 1).ask(count)


def place(trial: dict[str, Any]) -> tuple[float, float, int]:
    """Where a trial lies: in [0, 1], in [0, 1] and in 0, 1, 2."""
    kinds = KIND.values or ()
    return 1 + math.log10(trial["optimizer.lr"]) / 4, trial["training.input_noise"], kinds.index(trial[KIND.key])


@pytest.mark.parametrize("factors", [(1, 1, 0), (3, 1, 0), (0, 2, 1)])
def test_shares_of_a_sum(factors: tuple[float, float, float]) -> None:
    """Var of a uniform number is 1/12, of 0, 1, 2 alike 2/3; variances of a sum add."""
    trials = drawn(128)
    scores = [float(np.dot(factors, place(trial))) for trial in trials]
    variances = np.square(factors) * [1 / 12, 1 / 12, 2 / 3]
    shares = importance(trials, scores, SPACE)
    assert list(shares) == [dimension.key for dimension in SPACE.dimensions]
    assert sum(shares.values()) == pytest.approx(1)
    np.testing.assert_allclose(list(shares.values()), [*(variances / variances.sum()), 0], atol=0.06)


def test_trials_without_a_score_are_left_out() -> None:
    trials = drawn(64)
    scores = [place(trial)[1] for trial in trials]
    some = [None if i % 4 == 0 else score for i, score in enumerate(scores)]
    kept = [i for i in range(64) if i % 4]
    assert importance(trials, some, SPACE) == importance([trials[i] for i in kept], [scores[i] for i in kept], SPACE)


@pytest.mark.parametrize("scores", [[1.0, 2.0, 3.0, None], [1.0] * 4, [], [None] * 4])
def test_too_little_to_tell(scores: list[float | None]) -> None:
    assert importance(drawn(4)[: len(scores)], scores, SPACE) == {}


def test_four_trials_are_enough() -> None:
    shares = importance(drawn(4), [1.0, 2.0, 3.0, 4.0], SPACE)
    assert sum(shares.values()) == pytest.approx(1)
    assert importance(drawn(4), [1.0, 2.0, 3.0, 4.0], SPACE) == shares


def test_without_a_space() -> None:
    assert importance([{}] * 5, [1.0, 2.0, 3.0, 4.0, 5.0], Space((), None, None)) == {}  # type: ignore[arg-type]


def test_of_many_trials_a_sample_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a grid, whose last key changes fastest: its values must not fall into step with the sample."""
    monkeypatch.setattr("dlx.search.importance.MOST", 160)
    rates = Dimension("optimizer.lr", tuple(range(1, 161)))
    noises = Dimension("training.input_noise", tuple(range(20)))
    space = Space((rates, noises), loaded=None, examples=None)  # type: ignore[arg-type]
    trials = [{rates.key: rate, noises.key: noise} for rate in rates.grid() for noise in noises.grid()]
    shares = importance(trials, [float(trial[noises.key]) for trial in trials], space)
    assert shares[noises.key] > 0.9
