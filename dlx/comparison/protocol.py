"""The protocol of a fair race: which optimizer is trained with which settings and seeds, and in which order.

Each optimizer (arm) is tuned by the same number of trials, each with the same few seeds; where any has its best setting
at an edge of its ranges, these are extended and every arm gets as many more trials; the best setting of each is trained
with fresh seeds, and so are the settings as they were written. A seed gives every arm the same split, initial weights
and batches, so results pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import torch

from dlx.comparison.tuning import MAX_EXTENSIONS, Tuning
from dlx.config.experiment import Experiment
from dlx.core.comparison import Budget, Comparison
from dlx.core.definition import Optimizer
from dlx.core.records import Cell
from dlx.core.types import Examples
from dlx.engine.evaluation import score_members
from dlx.engine.feed import DeviceExamples
from dlx.engine.population import Member, MemberFactory, Recipe, initial_weights
from dlx.search.cells import Trial
from dlx.search.cross_validation import Bench, Standing, train_cells
from dlx.search.journal import Journal, Line
from dlx.search.roster import Restore, Roster

BLOWN_UP = 10.0
"""A run that ends with so many times the loss of its initial weights has failed, as one that diverged."""


@dataclass(frozen=True)
class Contest:
    """What is compared on what.

    Attributes:
        experiment: The config.
        names: What each of ``compare.optimizers`` is called.
        examples: The data.
        data_hash: Their hash.
        device: Where to train.
    """

    experiment: Experiment
    names: tuple[str, ...]
    examples: Examples
    data_hash: str
    device: torch.device

    @property
    def compare(self) -> Comparison:
        """How it is compared."""
        return self.experiment.compare

    @property
    def budget(self) -> Budget:
        """What each optimizer gets."""
        return self.compare.budget

    @property
    def reference(self) -> str:
        """The arm that the others are compared with."""
        named = self.compare.reference or "momentum"
        return named if named in self.names else self.names[0]

    @property
    def tuning_seeds(self) -> range:
        """Seeds of the trials."""
        return range(self.budget.tuning_seeds)

    @property
    def seeds(self) -> range:
        """Fresh seeds, of which nothing was tuned."""
        first = self.budget.tuning_seeds
        return range(first, first + self.budget.seeds)

    @cached_property
    def factory(self) -> MemberFactory:
        """Makes all members."""
        return MemberFactory(self.examples)

    @cached_property
    def bench(self) -> Bench:
        """What they are trained on."""
        data = DeviceExamples.load(self.examples, self.device, getattr(torch, self.experiment.dtype))
        return Bench(self.examples, data, self.device, False)

    def cell(self, seed: int, trial: int) -> Cell:
        """Give the cell of a trial with a seed."""
        split = self.experiment.data.split
        return Cell(seed, split.repeat, split.fold, split.outer_fold, trial)

    @cached_property
    def obstacle(self) -> str | None:
        """Why members must be trained one by one; None if they can be stacked. It is the same for all rules.

        Raises:
            UsageError: If a model's results would depend on what is trained beside it.
        """
        return Recipe.of(dict(self.experiment), self.examples).obstacle

    def untrained_losses(self) -> dict[int, float]:
        """Measure the loss that is judged at the initial weights of every seed: the same for every arm."""
        recipe = Recipe.of(dict(self.experiment), self.examples)
        cells = [self.cell(seed, 0) for seed in (*self.tuning_seeds, *self.seeds)]
        members = [self.factory.member(cell, recipe, self.experiment.data) for cell in cells]
        weights = initial_weights(members).to(self.device)
        scores = score_members(members, weights, self.bench.data, [self.compare.part])
        return {cell.seed: scores[cell][self.compare.part]["loss"] for cell in cells}


@dataclass
class Search:
    """One search of an arm: its ranges, and its trials with their scores.

    Attributes:
        tuning: Ranges and places.
        trials: Numbers of its trials, in the order in which they were drawn.
    """

    tuning: Tuning
    trials: list[int] = field(default_factory=list)


@dataclass
class Arm:
    """An optimizer in the race.

    Attributes:
        name: What it is called.
        optimizer: As the config has it.
        untuned: Number of the trial with its settings as they are.
        searches: Its searches: one, or of a thorough comparison several.
    """

    name: str
    optimizer: Optimizer
    untuned: int
    searches: list[Search]


class Race:
    """The race of all arms on one problem.

    Args:
        contest: What is compared on what.
        journal: What was found so far; it grows.
        restore: Gives what was in training when a run was stopped.

    Attributes:
        contest: What is compared on what.
        journal: What was found so far.
        arms: Who takes part.
        untrained: Loss of the initial weights of every seed.
        stage: What is being done.
        num_cells: Cells that are known to be needed so far.
        num_done: Those of them that are done.
    """

    def __init__(self, contest: Contest, journal: Journal, restore: Restore) -> None:
        self.contest, self.journal = contest, journal
        self._roster = Roster(contest.data_hash, contest.factory, contest.bench, journal, restore)
        self.untrained = contest.untrained_losses()
        self.stage = "tuning"
        self.num_done = 0
        self.arms = [self._enter(*each) for each in zip(contest.names, contest.compare.optimizers, strict=True)]
        budget, num_searches = contest.budget, sum(len(arm.searches) for arm in self.arms)
        tuning, again = num_searches * budget.trials * budget.tuning_seeds, num_searches + len(self.arms)
        self.num_cells = tuning + again * budget.seeds

    @property
    def trials(self) -> list[Trial]:
        """All trials, by their number."""
        return self._roster.trials

    def run(self) -> Iterator[Standing]:
        """Train what is not in the journal.

        Yields:
            Where the training stands, after each slice of time.
        """
        contest = self.contest
        searches = [(arm, search) for arm in self.arms for search in arm.searches]
        for arm, search in searches:
            self._draw(arm, search, search.tuning.first())
        tried = [number for _, search in searches for number in search.trials]
        untuned = [arm.untuned for arm in self.arms]
        yield from self._train([*product(tried, contest.tuning_seeds), *product(untuned, contest.seeds)])
        self._note(tried)
        for _ in range(MAX_EXTENSIONS):
            self._judge_edges()
            if not any(search.tuning.edges for _, search in searches):
                break
            self.stage = "tuning in wider ranges"
            drawn = [self._draw(arm, search, search.tuning.extend()) for arm, search in searches]
            new = [number for numbers in drawn for number in numbers]
            self.num_cells += len(new) * len(contest.tuning_seeds)
            yield from self._train(product(new, contest.tuning_seeds))
            self._note(new)
        else:
            self._judge_edges()
        self.stage = "the best settings with fresh seeds"
        found = [self.best(search) for _, search in searches]
        yield from self._train(product([best for best in found if best is not None], contest.seeds))

    def line(self, trial: int, seed: int) -> Line:
        """Give the line of a cell that is done."""
        cell = self.contest.cell(seed, trial)
        return self.journal.cells[self._roster.name(cell, self.trials[trial].epochs)]

    def outcome(self, trial: int, seed: int) -> float:
        """Give the loss that is judged of a cell that is done; infinite if it diverged or blew up."""
        return judged_loss(self.line(trial, seed), self.contest.compare, self.untrained[seed])

    def score(self, trial: int) -> float:
        """Give the mean of a trial's losses over the seeds of tuning; infinite if any of its runs failed."""
        seeds = self.contest.tuning_seeds
        return sum(self.outcome(trial, seed) for seed in seeds) / len(seeds)

    def best(self, search: Search) -> int | None:
        """Give the number of the best trial of a search, of equal ones the first; None where all failed."""
        best = min(search.trials, key=self.score)
        return best if self.score(best) < float("inf") else None

    def member(self, arm: Arm) -> Member:
        """Make a member that trains with the best setting of an arm, or as it was written where there is none."""
        best = [self.best(search) for search in arm.searches]
        trial = next((number for number in best if number is not None), arm.untuned)
        return self._roster.member(self.contest.cell(self.contest.seeds[0], trial))

    def values(self, trial: int) -> dict[str, Any]:
        """Give the settings of a trial's optimizer."""
        return dict(self.trials[trial].values["optimizer"])

    def _enter(self, name: str, optimizer: Optimizer) -> Arm:
        compare, budget = self.contest.compare, self.contest.budget
        tunings = [
            Tuning(optimizer, budget.trials, compare.protocol == "quick", (compare.seed, study))
            for study in range(budget.studies)
        ]
        return Arm(name, optimizer, self._add(optimizer, {}), [Search(tuning) for tuning in tunings])

    def _add(self, optimizer: Optimizer, values: dict[str, float]) -> int:
        """Make a trial of an optimizer with some settings changed; give its number."""
        number = len(self.trials)
        changed = type(optimizer).model_validate({**optimizer.model_dump(), **values})
        experiment = self.contest.experiment.model_copy(update={"optimizer": changed})
        self.trials.append(Trial(number, {"optimizer": changed.model_dump(mode="json")}, experiment))
        return number

    def _draw(self, arm: Arm, search: Search, drawn: Iterable[dict[str, float]]) -> list[int]:
        numbers = [self._add(arm.optimizer, values) for values in drawn]
        search.trials += numbers
        return numbers

    def _judge_edges(self) -> None:
        for arm in self.arms:
            for search in arm.searches:
                best = self.best(search)
                search.tuning.judge(None if best is None else self.values(best))

    def _note(self, trials: Iterable[int]) -> None:
        """Write down the settings that were tried, and what they came to."""
        for trial in trials:
            score, values = self.score(trial), self.trials[trial].values
            self.journal.add_trial({"trial": trial, "values": values, "told": score if math.isfinite(score) else None})

    def _train(self, wanted: Iterable[tuple[int, int]]) -> Iterator[Standing]:
        """Train trials with seeds, as far as they are not in the journal."""
        cells = [(self.contest.cell(seed, trial), self.trials[trial].epochs) for trial, seed in wanted]
        missing = self._roster.missing(cells)
        populations, standing = self._roster.begin(missing)
        self.num_done += len(cells) - len(missing)
        for now in train_cells(populations, standing, self.contest.bench, self._roster.identify):
            self.num_done += len(now.lines)
            self.journal.add_cells(now.lines)
            yield now


def judged_loss(line: Line, compare: Comparison, untrained: float) -> float:
    """Give the loss of a run that is judged; infinite if it diverged, or ended far above the untrained one.

    Args:
        line: The line of its cell.
        compare: Says which loss.
        untrained: Loss of its initial weights.
    """
    if line["stop_reason"] == "diverged":
        return float("inf")
    curve: Sequence[float] = line["curve"][compare.part]
    has_blown_up = curve[-1] > untrained + (BLOWN_UP - 1) * abs(untrained)
    return float("inf") if has_blown_up else curve[-1] if compare.score == "final" else min(curve)
