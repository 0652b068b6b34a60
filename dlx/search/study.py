"""One search on one set of examples: draws trials, trains their cells, tells their scores, and drops the worse ones."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from dlx.config.experiment import Experiment
from dlx.config.space import InvalidTrialError, Space
from dlx.config.space_check import score_name
from dlx.core.errors import RunError
from dlx.core.records import Cell
from dlx.core.settings import CrossValidation, Search
from dlx.core.types import Examples
from dlx.data.splits import Splitter
from dlx.engine.feed import DeviceExamples
from dlx.engine.fit import fit_each
from dlx.engine.population import Member, MemberFactory, Population, Recipe
from dlx.search.cells import Trial
from dlx.search.cross_validation import Bench, Standing, add_epochs, finished_lines, score, train_cells
from dlx.search.halving import Bracket, brackets, survivors
from dlx.search.journal import Journal, Line
from dlx.search.pooling import pool
from dlx.search.roster import Restore, Roster
from dlx.search.summary import Summary, TrialCells, summarise
from dlx.search.trials import DEFAULT_TRIALS, build_sampler


@dataclass(frozen=True)
class Setup:
    """What all studies of a run share.

    Attributes:
        experiment: The config; its split is that of the folds.
        space: What varies around it.
        examples: The data.
        data_hash: Their hash.
        device: Where to train.
    """

    experiment: Experiment
    space: Space
    examples: Examples
    data_hash: str
    device: torch.device

    @property
    def cv(self) -> CrossValidation:
        """How trials are judged."""
        return self.experiment.cv

    @property
    def search(self) -> Search:
        """How trials are drawn."""
        return self.experiment.search

    @property
    def score(self) -> str:
        """Name of the score that decides."""
        return score_name(self.experiment)

    @property
    def higher_is_better(self) -> bool:
        """Which way the score is better."""
        return any(metric.name == self.score and metric.higher_is_better for metric in self.experiment.metrics)

    @property
    def num_trials(self) -> int:
        """Trials of a study."""
        if self.search.method == "grid" or not self.space.dimensions:
            return math.prod(len(dimension.grid()) for dimension in self.space.dimensions)
        return self.search.trials or DEFAULT_TRIALS

    @property
    def is_pooled(self) -> bool:
        """Whether scores are of all held-out predictions together."""
        return self.cv.folds == "leave_one_out"

    @functools.cached_property
    def factory(self) -> MemberFactory:
        """Makes the members of all studies."""
        return MemberFactory(self.examples)

    @functools.cached_property
    def obstacles(self) -> list[str]:
        """Why members must be trained one by one, in the config or with one of the definitions that vary; often none.

        Raises:
            UsageError: If a model's results would depend on what is trained beside it.
        """
        experiments = [self.experiment]
        for dimension in self.space.dimensions:
            for value in dimension.values or ():
                if isinstance(value, str | dict):
                    with contextlib.suppress(InvalidTrialError):  # a trial that cannot be is told of in the result
                        experiments.append(self.space.experiment({dimension.key: value}))
        found = (Recipe.of(dict(experiment), self.examples).obstacle for experiment in experiments)
        return list(dict.fromkeys(obstacle for obstacle in found if obstacle))

    @functools.cached_property
    def bench(self) -> Bench:
        """What all cells are trained on."""
        data = DeviceExamples.load(self.examples, self.device, getattr(torch, self.experiment.dtype))
        return Bench(self.examples, data, self.device, self.is_pooled)

    def splitter(self, outer_fold: int | None = None) -> Splitter:
        """Give what cuts the folds, of everything or beside an outer fold."""
        return self.factory.splitter(self.experiment.data.split.model_copy(update={"outer_fold": outer_fold}))

    def num_folds(self, outer_fold: int | None = None) -> int:
        """Count the folds."""
        return self.splitter(outer_fold).num_folds

    def cells(self, trial: int, outer_fold: int | None = None) -> list[Cell]:
        """Give the cells of a trial."""
        return [
            Cell(seed, repeat, fold, outer_fold, trial)
            for seed in self.cv.seed_list
            for repeat in range(self.cv.repeats)
            for fold in range(self.num_folds(outer_fold))
        ]

    def member(self, trial: Trial, cell: Cell) -> Member:
        """Make the member of a cell."""
        return self.factory.member_of(cell, dict(trial.experiment))


@dataclass
class Study:
    """A search on all examples, or on those beside an outer fold.

    Attributes:
        setup: What it shares with others.
        journal: What was found so far; it grows.
        restore: Gives what was in training when a run was stopped.
        outer_fold: The outer fold that is set aside, or None.
        invalid: Why trials cannot be, by number.
        budgets: Epochs that trials got, by number.
        num_done: Cells that need no more training.
        best: The best trial so far, of those that are done.
    """

    setup: Setup
    journal: Journal
    restore: Restore
    outer_fold: int | None = None
    invalid: dict[int, str] = field(default_factory=dict)
    budgets: dict[int, int] = field(default_factory=dict)
    num_done: int = 0
    best: Summary | None = None
    _roster: Roster = field(init=False)

    def __post_init__(self) -> None:
        setup = self.setup
        self._roster = Roster(setup.data_hash, setup.factory, setup.bench, self.journal, self.restore)

    def run(self) -> Iterator[Standing]:
        """Draw all trials and train what is not in the journal.

        Yields:
            Where the training stands, after each slice of time.

        Raises:
            RunError: If the journal is of other trials than those that are drawn now.
        """
        setup, search = self.setup, self.setup.search
        sampler = build_sampler(search, setup.space, setup.higher_is_better, len(self.cells(0)))
        for bracket in brackets(search, setup.experiment.training.epochs, setup.num_trials, sampler.batch):
            first = len(self.trials)
            for number, values in enumerate(sampler.ask(bracket.num_trials), first):
                self._draw(number, values)
            drawn = self.trials[first:]
            yield from self._train([trial for trial in drawn if trial.number not in self.invalid], bracket)
            sampler.tell([self._told(trial) for trial in drawn])
            self.num_done = len(self.trials) * len(self.cells(0))

    def cells(self, trial: int) -> list[Cell]:
        """Give the cells of a trial."""
        return self.setup.cells(trial, self.outer_fold)

    @property
    def trials(self) -> list[Trial]:
        """Trials drawn so far."""
        return self._roster.trials

    def name(self, cell: Cell, epochs: int) -> str:
        """Name a cell that trains for so many epochs."""
        return self._roster.name(cell, epochs)

    def found(self) -> list[TrialCells]:
        """Give what was found of every trial."""
        return [self._found(trial, self.budgets.get(trial.number, trial.epochs)) for trial in self.trials]

    def _draw(self, number: int, values: dict[str, Any]) -> None:
        """Take in a trial that was drawn."""
        known = self.journal.trials.get((self.outer_fold, number))
        if known is not None and known["values"] != values:
            raise RunError(
                f"trial {number} of this run had the values {known['values']}, but now {values} are drawn: the library "
                "that draws them has changed since; start the search anew"
            )
        experiment = self.setup.experiment
        try:
            experiment = self.setup.space.experiment(values)
        except InvalidTrialError as error:
            self.invalid[number] = str(error)
        self.trials.append(Trial(number, values, experiment))

    def _told(self, trial: Trial) -> Any:
        """Give what the sampler is told of a trial, and note it.

        A run whose repetitions grow goes on from what was told before; otherwise its old trials would not be drawn.
        What was told of the last trials may change: where more are drawn with them, others of them survive halving.
        """
        known = self.journal.trials.get((self.outer_fold, trial.number))
        if known is None or (self.outer_fold, len(self.trials)) not in self.journal.trials:  # nothing was drawn from it
            is_full = self.budgets.get(trial.number) == trial.epochs
            told = self._score(trial, trial.epochs) if is_full else None
            outer = {} if self.outer_fold is None else {"outer_fold": self.outer_fold}
            known = {**outer, "trial": trial.number, "values": trial.values, "told": told}
            self.journal.add_trial(known)
        return known["told"]

    def _is_better(self, found: Summary, best: Summary | None) -> bool:
        if found.mean is None:
            return False
        sign = 1 if self.setup.higher_is_better else -1
        return best is None or best.mean is None or sign * found.mean > sign * best.mean

    def _score(self, trial: Trial, epochs: int) -> float | None:
        return summarise(self._found(trial, epochs), self.setup.score).mean

    def _found(self, trial: Trial, epochs: int) -> TrialCells:
        """Give what was found of a trial at a budget."""
        setup, is_valid = self.setup, trial.number not in self.invalid
        names = [self.name(cell, epochs) for cell in self.cells(trial.number)] if is_valid else []
        prior = trial.experiment.prior
        found = TrialCells(
            number=trial.number,
            values=trial.values,
            epochs=epochs,
            precision=next(iter(prior.tunables().values()), 0.0) if prior else 0.0,
            lines=[self.journal.cells[name] for name in names],
            is_dropped=is_valid and epochs < trial.epochs,
            invalid=self.invalid.get(trial.number),
        )
        metrics = setup.experiment.metrics
        return pool(found, self._held_out_targets, metrics, not setup.obstacles) if setup.is_pooled else found

    @functools.cached_property
    def _held_out_targets(self) -> dict[tuple[int, int], Any]:
        """The target of the one example that each (repeat, fold) holds out."""
        targets, parts = self.setup.examples.targets, self.setup.splitter(self.outer_fold).parts
        return {(cell.repeat, cell.fold): targets[parts(*cell.stream_key).test[0]] for cell in self.cells(0)}

    def _train(self, trials: Sequence[Trial], bracket: Bracket) -> Iterator[Standing]:
        """Train the cells of trials, those of each bracket's rung to the same epoch."""
        if len(bracket.rungs) == 1:
            yield from self._train_fully(trials)
            return
        standing = Standing()
        for rung in bracket.rungs[:-1]:
            self.budgets |= {trial.number: rung for trial in trials}
            yield from self._train_to(rung, trials, self._missing(trials), standing)
            scores = [self._score(trial, rung) for trial in trials]
            kept = survivors(scores, self.setup.search.factor, self.setup.higher_is_better)
            self.num_done += (len(trials) - len(kept)) * len(self.cells(0))
            trials = [trials[position] for position in kept]
        yield from self._train_to(bracket.rungs[-1], trials, self._missing_of_all(trials), standing)

    def _train_fully(self, trials: Sequence[Trial]) -> Iterator[Standing]:
        populations, standing = self._roster.begin(self._missing_of_all(trials))
        for now in train_cells(populations, standing, self.setup.bench, self._roster.identify):
            self._take_in(now.lines)
            yield now

    def _missing_of_all(self, trials: Sequence[Trial]) -> list[Cell]:
        """Give trials their full budget; those that are done already may be the best. Give the cells to train."""
        self.budgets |= {trial.number: trial.epochs for trial in trials}
        missing = self._missing(trials)
        self.num_done += len(trials) * len(self.cells(0)) - len(missing)
        self._look_for_best(trials)
        return missing

    def _missing(self, trials: Sequence[Trial]) -> list[Cell]:
        """Give the cells of trials that the journal has not at their budgets: of equal ones that of the first trial."""
        return self._roster.missing(
            (cell, self.budgets[trial.number]) for trial in trials for cell in self.cells(trial.number)
        )

    def _take_in(self, lines: Sequence[Line]) -> None:
        """Write down finished cells, and see whether a trial that is now done is the best so far."""
        self.num_done += sum(line["id"] not in self.journal.cells for line in lines)
        self.journal.add_cells(lines)
        self._look_for_best([self.trials[number] for number in sorted({line["trial"] for line in lines})])

    def _look_for_best(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            if all(self.name(cell, trial.epochs) in self.journal.cells for cell in self.cells(trial.number)):
                found = summarise(self._found(trial, trial.epochs), self.setup.score)
                if self._is_better(found, self.best):
                    self.best = found

    def _train_to(
        self, rung: int, trials: Sequence[Trial], missing: Sequence[Cell], standing: Standing
    ) -> Iterator[Standing]:
        """Train missing cells of trials to the end of an epoch; all populations that may go on stay in memory."""
        trained = {member.cell for population in standing.populations for member in population.members}
        more, begun = self._roster.begin([cell for cell in missing if cell not in trained])
        standing.curves.update(begun.curves)
        standing.populations = _without({trial.number for trial in trials}, [*standing.populations, *more])
        bench, training = self.setup.bench, standing.populations if missing else []
        for found in fit_each(training, bench.data, until=rung, conclude=functools.partial(score, bench)):
            add_epochs(standing.curves, found.epochs)
            standing.lines = [
                line
                for population, scored in zip(found.finished, found.conclusions, strict=True)
                for line in finished_lines(population, scored, standing.curves, self._roster.identify, rung)
            ]
            if rung == self.setup.experiment.training.epochs:
                self._take_in(standing.lines)
            else:
                self.journal.add_cells(standing.lines)
            yield standing


def _without(kept: set[int], populations: Sequence[Population]) -> list[Population]:
    """Drop the members of all trials but those that are kept, and give the populations that have any left.

    Members that are kept may have stopped early; they wait for the others.
    """
    left = []
    for population in populations:
        for member, course in zip(population.members, population.courses, strict=True):
            if member.cell.trial not in kept:
                course.stop_reason = "dropped"
        if any(course.stop_reason != "dropped" for course in population.courses):
            is_between_epochs = not len(population.losses)  # not so where it was restored
            if is_between_epochs and population.is_sparse():
                population.compact()
            left.append(population)
    return left
