"""Trials that are guided by the scores of those before, through Optuna, whose import takes a while."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.samplers.nsgaii import BLXAlphaCrossover

from dlx.config.space import Dimension, Space
from dlx.core.settings import Search


class Guided:
    """A sampler of ``search/trials.py``: TPE, CMA-ES, a Gaussian process or a genetic algorithm.

    The values of a list are unordered to all of them; CMA-ES draws them at random, beside its search in the ranges.
    The trials of a batch are asked for before any of them has a score: TPE and the Gaussian process take those that
    are under way into account, CMA-ES and the genetic algorithm have a batch as their generation.

    Args:
        search: Method and seed.
        space: What varies, one dimension or more.
        higher_is_better: Which scores are better.
        num_trials: Trials in total.
        batch: How many to ask for at once.

    Sources: Bergstra et al. (2011), "Algorithms for hyper-parameter optimization"; Hansen (2016), "The CMA evolution
    strategy: a tutorial"; Ament et al. (2023), "Unexpected improvements to expected improvement"; Deb et al. (2002), "A
    fast and elitist multiobjective genetic algorithm: NSGA-II", with the crossover of Eshelman and Schaffer (1993),
    "Real-coded genetic algorithms and interval-schemata"; all as Optuna has them.
    """

    def __init__(self, search: Search, space: Space, higher_is_better: bool, num_trials: int, batch: int) -> None:
        self.batch = batch
        self._dimensions = space.dimensions
        self._distributions = distributions(space)
        self._left = num_trials
        self._worst = -math.inf if higher_is_better else math.inf
        self._asked: list[optuna.Trial] = []
        with quiet():
            self._study = optuna.create_study(
                direction="maximize" if higher_is_better else "minimize",
                sampler=_build_sampler(search, self._distributions, batch),
            )

    def ask(self, count: int) -> list[dict[str, Any]]:
        """Give the values of the next trials, by key."""
        with quiet():
            self._asked = [self._study.ask(self._distributions) for _ in range(min(count, self._left))]
        self._left -= len(self._asked)
        return [{each.key: _value(each, trial.params[each.key]) for each in self._dimensions} for trial in self._asked]

    def tell(self, scores: Sequence[float | None]) -> None:
        """Take the scores of the last trials.

        One that has none counts as infinitely bad: Optuna would learn nothing from it, and a generation would stay
        incomplete.
        """
        for trial, score in zip(self._asked, scores, strict=True):
            self._study.tell(trial, self._worst if score is None else score)
        self._asked = []


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Describe a space to Optuna, by key; what has values stands for their indices, as values may be anything."""
    return {dimension.key: _distribution(dimension) for dimension in space.dimensions}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.range is None:
        return CategoricalDistribution(range(len(dimension.grid())))
    low, high, log = dimension.range.low, dimension.range.high, dimension.range.log
    return IntDistribution(int(low), int(high), log) if dimension.is_integer else FloatDistribution(low, high, log)


def _value(dimension: Dimension, given: Any) -> Any:
    return given if dimension.values is None else dimension.values[given]


def _build_sampler(search: Search, space: dict[str, BaseDistribution], batch: int) -> BaseSampler:
    if search.method == "tpe":
        return TPESampler(seed=search.seed, multivariate=True, constant_liar=True)
    if search.method == "gp":
        return GPSampler(seed=search.seed, warn_independent_sampling=False)
    if search.method == "cma_es":
        return _CmaEs(space, search.seed, batch)
    # Blending makes numbers that no parent has, which Optuna's default, swapping, does not.
    return NSGAIISampler(seed=search.seed, population_size=batch, crossover=BLXAlphaCrossover())


class _CmaEs(CmaEsSampler):
    """CMA-ES from the first generation on; Optuna's own learns the space from that, and draws it at random."""

    def __init__(self, space: dict[str, BaseDistribution], seed: int, batch: int) -> None:
        super().__init__(seed=seed, n_startup_trials=0, popsize=batch, warn_independent_sampling=False)
        self._ranges = {
            key: each for key, each in sorted(space.items()) if not isinstance(each, CategoricalDistribution)
        }

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._ranges


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what Optuna says about itself, and that scores are infinite, which is meant."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.filterwarnings("ignore", "Clip non-finite values", UserWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
