"""Samplers: what they draw, against scipy and closed forms; what guides them; and that they can be replayed."""

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cmaes import CMA
from scipy import stats

from dlx.config.space import Dimension, Space
from dlx.core.settings import Range, Search
from dlx.search.trials import Sampler, build_sampler

Trial = dict[str, Any]
Score = Callable[[Trial], float | None]
GUIDED = ["tpe", "cma_es", "gp", "genetic"]
METHODS = ["grid", "random", "sobol", *GUIDED]
RATE = Dimension("optimizer.lr", range=Range(low=1e-5, high=1.0, log=True))
NOISE = Dimension("training.input_noise", range=Range(low=0.0, high=1.0))
EPOCHS = Dimension("training.epochs", range=Range(low=2, high=9))
HIDDEN = Dimension("model.hidden", ([32], [64, 32], [8]))
PRIOR = Dimension("prior", (None, {"name": "gaussian", "precision": 1.0}))
MIXED = (RATE, EPOCHS, HIDDEN, PRIOR)


def build(method: str, *dimensions: Dimension, higher: bool = False, cells: int = 5, **settings: Any) -> Sampler:
    space = Space(dimensions, loaded=None, examples=None)  # type: ignore[arg-type]
    return build_sampler(Search(method=method, **settings), space, higher, cells)  # type: ignore[arg-type]


def batches(sampler: Sampler, score: Score) -> Iterator[list[Trial]]:
    while trials := sampler.ask(sampler.batch):
        yield trials
        sampler.tell([score(trial) for trial in trials])


def run(method: str, *dimensions: Dimension, score: Score, **settings: Any) -> list[Trial]:
    return [trial for batch in batches(build(method, *dimensions, **settings), score) for trial in batch]


def bowl(trial: Trial) -> float:
    """0 at lr = 0.01 and noise 0.3."""
    return (math.log10(trial["optimizer.lr"]) + 2) ** 2 + 4 * (trial["training.input_noise"] - 0.3) ** 2


def mixed_score(trial: Trial) -> float | None:
    rate = math.log10(trial["optimizer.lr"])
    return None if rate > -0.5 else abs(rate + 2) + len(trial["model.hidden"]) + trial["training.epochs"] / 10


def test_grid_is_every_combination_the_last_key_fastest() -> None:
    sampler = build("grid", HIDDEN, PRIOR, Dimension("training.epochs", range=Range(low=1, high=3)))
    trials = sampler.ask(sampler.batch)
    expected = itertools.product([[32], [64, 32], [8]], PRIOR.values or (), [1, 2, 3])
    assert [tuple(trial.values()) for trial in trials] == list(expected)
    assert list(trials[0]) == ["model.hidden", "prior", "training.epochs"]
    assert sampler.ask(5) == []


@pytest.mark.parametrize("method", ["grid"])
def test_without_a_space_there_is_one_trial(method: str) -> None:
    sampler = build(method)
    assert (sampler.batch, sampler.ask(9), sampler.ask(9)) == (1, [{}], [])


def test_sobol_is_the_scrambled_sequence_from_the_first_point_on() -> None:
    trials = build("sobol", *MIXED, trials=19, seed=3).ask(19)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cube = stats.qmc.Sobol(4, scramble=True, rng=3).random(19)
    assert cube[0].min() > 0  # not the origin, which an unscrambled sequence begins with
    for trial, point in zip(trials, cube, strict=True):
        assert trial["optimizer.lr"] == pytest.approx(10 ** (5 * point[0] - 5))
        assert trial["training.epochs"] == 2 + math.floor(8 * point[1])
        assert trial["model.hidden"] == ([32], [64, 32], [8])[math.floor(3 * point[2])]
        assert trial["prior"] == (PRIOR.values or ())[math.floor(2 * point[3])]


def test_sobol_is_more_even_than_chance() -> None:
    def discrepancy(method: str, seed: int) -> float:
        trials = build(method, NOISE, Dimension("b", range=Range(low=0.0, high=1.0)), trials=64, seed=seed).ask(64)
        return float(stats.qmc.discrepancy(np.array([list(trial.values()) for trial in trials])))

    assert max(discrepancy("sobol", seed) for seed in range(5)) < min(discrepancy("random", seed) for seed in range(5))


@pytest.mark.parametrize("method", ["random", "tpe", "genetic", "gp"])
def test_what_is_drawn_at_random_is_even(method: str) -> None:
    """TPE, the Gaussian process and the genetic algorithm draw at random before there are scores."""
    count = 1000 if method == "random" else 300
    log_whole = Dimension("w", range=Range(low=1, high=8, log=True))
    trials = build(method, *MIXED, log_whole, trials=count, batch=count).ask(count)
    decades = [math.log10(trial["optimizer.lr"]) for trial in trials]
    assert stats.kstest(decades, stats.uniform(-5, 5).cdf).pvalue > 1e-3
    for key, values, shares in (
        ("training.epochs", range(2, 10), np.full(8, 1 / 8)),
        ("model.hidden", HIDDEN.values, np.full(3, 1 / 3)),
        ("w", range(1, 9), np.log((np.arange(1, 9) + 0.5) / (np.arange(1, 9) - 0.5)) / np.log(8.5 / 0.5)),
    ):
        counts = [sum(trial[key] == value for trial in trials) for value in values or ()]
        assert sum(counts) == count
        assert stats.chisquare(counts, count * shares).pvalue > 1e-3, key


@pytest.mark.parametrize("method", METHODS)
def test_values_are_those_of_yaml_and_of_the_space(method: str) -> None:
    dimensions = (Dimension("optimizer.lr", range=Range(low=1e-4, high=1e-1, log=True, num=3)), *MIXED[1:])
    trials = run(method, *dimensions, score=mixed_score, batch=11, **({} if method == "grid" else {"trials": 14}))
    assert len(trials) == (90 if method == "grid" else 14)
    for trial in trials:
        assert json.loads(json.dumps(trial)) == trial
        assert list(trial) == [dimension.key for dimension in dimensions]
        assert 1e-4 <= trial["optimizer.lr"] <= 1e-1
        assert type(trial["optimizer.lr"]) is float
        assert type(trial["training.epochs"]) is int
        assert 2 <= trial["training.epochs"] <= 9


def test_number_of_trials() -> None:
    assert len(run("random", RATE, score=len)) == 20
    assert len(run("tpe", RATE, NOISE, score=bowl, trials=25, batch=10)) == 25
    sampler = build("tpe", RATE, trials=3)
    assert (len(sampler.ask(2)), len(sampler.ask(2)), sampler.ask(2)) == (2, 1, [])


@pytest.mark.parametrize(
    ("method", "cells", "settings", "batch"),
    [
        ("tpe", 5, {}, 10),
        ("gp", 7, {}, 8),
        ("tpe", 100, {}, 1),
        ("tpe", 5, {"batch": 3}, 3),
        ("genetic", 100, {}, 4),
        ("cma_es", 5, {"batch": 1}, 4),
        ("cma_es", 5, {"batch": 9}, 9),
        ("random", 5, {"trials": 33, "batch": 3}, 33),
        ("sobol", 5, {}, 20),
    ],
)
def test_batch(method: str, cells: int, settings: dict[str, Any], batch: int) -> None:
    assert build(method, RATE, NOISE, cells=cells, **settings).batch == batch


@pytest.mark.parametrize("method", METHODS)
def test_replay_gives_the_same_trials_whatever_the_last_batch(method: str) -> None:
    settings: dict[str, Any] = {"batch": 11, "seed": 5, **({} if method == "grid" else {"trials": 100})}
    asked: list[list[Trial]] = []
    for last in (3, 6):
        sampler = build(method, *MIXED, **settings)
        found = sampler.ask(11)
        sampler.tell([mixed_score(trial) for trial in found])
        asked.append(found + sampler.ask(last))
    assert asked[0] == asked[1][:14]
    assert len(asked[1]) == 17


@pytest.mark.parametrize("method", METHODS[1:])
def test_seed_and_number_of_trials(method: str) -> None:
    """More trials begin with the same; another seed gives others."""
    few, many, other = (
        run(method, RATE, NOISE, score=bowl, trials=trials, batch=11, seed=seed)
        for trials, seed in ((12, 0), (14, 0), (12, 1))
    )
    assert many[:12] == few
    assert not any(trial in few for trial in other)


@pytest.mark.parametrize("method", GUIDED)
def test_scores_guide_and_the_direction_counts(method: str) -> None:
    def second(score: Score, higher: bool) -> list[Trial]:
        return run(method, RATE, NOISE, score=score, higher=higher, trials=14, batch=12)[12:]

    lower = second(bowl, False)
    assert lower == second(lambda trial: -bowl(trial), True)
    assert lower != second(bowl, True)


REPLAY = """
import json, sys
import dlx
sys.path.insert(0, {folder!r})
import test_trials as t
print(json.dumps([t.run(m, *t.MIXED, score=t.mixed_score, trials=12, batch=11, seed=2) for m in {methods!r}]))
"""


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_trials() -> None:
    methods = METHODS[1:]
    code = REPLAY.format(folder=os.path.dirname(__file__), methods=methods)  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    here = [run(method, *MIXED, score=mixed_score, trials=12, batch=11, seed=2) for method in methods]
    assert json.loads(done.stdout) == here
    assert done.stderr == ""


def best_values(method: str, seeds: int, **settings: Any) -> float:
    settings = {"batch": 10, **settings}
    runs = (run(method, RATE, NOISE, score=bowl, seed=seed, **settings) for seed in range(seeds))
    return statistics.median(min(map(bowl, trials)) for trials in runs)


@pytest.fixture(scope="module")
def chance() -> float:
    """The median of the best of 60 random trials."""
    return best_values("random", 20, trials=60)


@pytest.mark.parametrize(("method", "gain"), [("tpe", 3), ("cma_es", 5), ("genetic", 1.5)])
def test_guided_methods_beat_chance(method: str, gain: float, chance: float) -> None:
    assert gain * best_values(method, 20, trials=60) < chance


@pytest.mark.slow
def test_gaussian_process_beats_chance_with_a_third_of_its_trials(chance: float) -> None:
    assert 5 * best_values("gp", 3, trials=20, batch=5) < chance


def test_cma_es_begins_in_the_middle_and_closes_in() -> None:
    generations = list(batches(build("cma_es", RATE, NOISE, HIDDEN, trials=320, batch=40), bowl))
    places = [np.array([trial["training.input_noise"] for trial in generation]) for generation in generations]
    assert 1 / 9 < places[0].std() < 2 / 9  # a normal distribution of sigma 1/6, not a uniform one of 0.29
    assert abs(places[0].mean() - 0.5) < 0.1
    assert places[-1].std() < places[0].std() / 5
    assert abs(places[-1].mean() - 0.3) < 0.03
    hidden = [json.dumps(trial["model.hidden"]) for trial in generations[-1]]
    assert len(set(hidden)) == 3  # drawn at random beside it


def test_a_generation_of_cma_es_is_that_of_cmaes() -> None:
    """The second generation is drawn from the distribution that the library has after the first."""
    first, second = list(batches(build("cma_es", NOISE, RATE, trials=200, batch=100), bowl))
    book = CMA(mean=np.full(2, 0.5), sigma=1 / 6, bounds=np.array([[0, 1], [0, 1]]), population_size=100, seed=0)
    book.tell([(unit(trial), bowl(trial)) for trial in first])
    expected = np.array([book.ask() for _ in range(2000)])
    before, after = (np.array([unit(trial) for trial in generation]) for generation in (first, second))
    for column in range(2):
        assert stats.ks_2samp(after[:, column], expected[:, column]).pvalue > 0.01
        assert stats.ks_2samp(before[:, column], expected[:, column]).pvalue < 0.01


def unit(trial: Trial) -> np.ndarray:
    """Where a trial lies in the unit square."""
    return np.array([1 + math.log10(trial["optimizer.lr"]) / 5, trial["training.input_noise"]])


MANY = tuple(Dimension(f"k{i}", tuple(range(1000))) for i in range(4))


def genes(trials: list[Trial]) -> set[tuple[str, Any]]:
    return {gene for trial in trials for gene in trial.items()}


@pytest.mark.parametrize("score", [lambda trial: trial["k0"], lambda trial: trial["k0"] if trial["k0"] < 500 else None])
def test_children_have_the_genes_of_good_parents(score: Score) -> None:
    parents, children = list(batches(build("genetic", *MANY, trials=40, batch=20), score))
    inherited = [[gene for gene in child.items() if gene in genes(parents)] for child in children]
    assert sum(map(len, inherited)) > 0.6 * 4 * 20  # one in four mutates; at random it would be 0.02
    mixed = [own for own in inherited if not any(set(own) <= set(parent.items()) for parent in parents)]
    assert len(mixed) > 5  # from two parents
    good = genes([parent for parent in parents if score(parent) is not None])
    assert sum(gene in good for own in inherited for gene in own) > 0.7 * sum(map(len, inherited))


def test_numbers_of_children_lie_about_their_parents() -> None:
    parents, children = list(
        batches(build("genetic", NOISE, EPOCHS, trials=40, batch=20), lambda t: t["training.epochs"])
    )
    known = genes(parents)
    assert sum(("training.input_noise", child["training.input_noise"]) not in known for child in children) > 10
    low, high = (statistics.mean(trial["training.epochs"] for trial in each) for each in (children, parents))
    assert low < high


@pytest.mark.parametrize("method", ["tpe", "cma_es", "genetic"])
def test_where_trials_diverge_is_left(method: str) -> None:
    trials = run(
        method, RATE, NOISE, trials=80, batch=20,
        score=lambda trial: None if trial["training.input_noise"] > 0.5 else math.log10(trial["optimizer.lr"]),
    )  # fmt: skip
    diverged = [trial["training.input_noise"] > 0.5 for trial in trials]
    assert sum(diverged[:20]) >= 5
    assert sum(diverged[-20:]) < sum(diverged[:20]) / 1.5


@pytest.mark.parametrize("method", GUIDED)
def test_every_trial_diverges(method: str) -> None:
    assert len(run(method, *MIXED, score=lambda _: None, trials=13, batch=11)) == 13


def test_scores_must_be_those_of_the_last_trials() -> None:
    sampler = build("tpe", RATE, trials=4)
    sampler.ask(2)
    with pytest.raises(ValueError, match="zip"):
        sampler.tell([1.0])
