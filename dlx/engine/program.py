"""What runs one population: everything that follows from it and the data, built again after a compaction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlx.core.noise import step_keys
from dlx.core.records import MemberEpoch
from dlx.core.seeding import integer_seed
from dlx.data.batches import BatchPlan, Order
from dlx.engine.batch import Batch
from dlx.engine.evaluation import Evaluator
from dlx.engine.feed import DeviceExamples
from dlx.engine.objective import EmpiricalRisk
from dlx.engine.population import Population
from dlx.engine.rows import Rows

WATCHED = ("train", "valid")
"""The parts that are looked at while training. Test is not among them."""
DECIDING = ("valid",)
"""Those of them that decide which epoch is the best, and when to stop; the others must not, as not everybody looks."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


class _Epoch(NamedTuple):
    """An epoch on the host.

    Attributes:
        losses: Objective of every step, [S, rows].
        rates: Learning rate of every step, [S, rows], or None.
        scores: By part and name, [rows].
        diagnostics: What the rule tells, by name, [rows].
        gradient_norms: By name of the parameter, [rows].
    """

    losses: Floats
    rates: Floats | None
    scores: dict[str, dict[str, Floats]]
    diagnostics: dict[str, Floats]
    gradient_norms: dict[str, Floats]


class Program:
    """Advances one population in place.

    Args:
        population: What is trained.
        data: The examples, on its device.
        is_watched: Whether somebody wants to see more of each epoch than training needs: metrics, the scores of the
            training part and the norms of the gradient.

    Attributes:
        population: What is trained.
        objective: What the update rule asks at each step.
    """

    def __init__(self, population: Population, data: DeviceExamples, is_watched: bool = True) -> None:
        self.population = population
        self._data, self._is_watched = data, is_watched
        self._compile()

    def _compile(self) -> None:
        self._rows = rows = Rows(self.population.row_members, self.population.weights, self._data)
        self.objective = EmpiricalRisk(rows)
        self._evaluator = Evaluator(rows, WATCHED if self._is_watched else DECIDING, has_metrics=self._is_watched)
        self._h, self._schedule_h = rows.tunables("optimizer"), rows.tunables("schedule")
        self._lr: Tensor | None = getattr(self._h, "lr", None)
        self._base_lr = [member.recipe.optimizer.tunables().get("lr") for member in rows.members]
        orders = [Order(member.parts.train, member.cell.stream_key) for member in rows.members]
        batch_size = self.population.recipe.training.examples_per_step(rows.members[0].sizes.train)
        self._plan = BatchPlan(orders, batch_size)
        self._is_everybodys = [bool(active.all()) for active in self._plan.active]
        self._num_steps = self._plan.active.sum(0)  # a member's steps are the first of the epoch
        self._weights = torch.from_numpy(self._plan.weights).to(rows.theta)
        seeds = [integer_seed("noise", *member.cell.stream_key) for member in rows.members]
        self._key_bases = torch.from_numpy(np.array(seeds, dtype=np.uint32).view(np.int32))
        self._steps: Iterator[None] | None = None

    @property
    def num_steps(self) -> int:
        """Steps of an epoch, of the member with most."""
        return len(self._plan.active)

    @torch.no_grad()
    def advance(self, seconds: float) -> bool:
        """Take steps of the current epoch for some time, at least one; tell whether its last one is done."""
        deadline = time.monotonic() + seconds
        if self._steps is None:
            self._steps = self._epoch_steps()
        for _ in self._steps:
            if time.monotonic() >= deadline:
                return len(self.population.losses) == self.num_steps
        return True

    def _epoch_steps(self) -> Iterator[None]:
        """Take the steps of the current epoch that are not done yet, one at a time."""
        population, device = self.population, self.population.weights.device
        done = torch.from_numpy(np.cumsum(self._plan.active, 0) - self._plan.active + population.steps)
        self._rates = self._learning_rates(done.to(device))
        keys = step_keys(self._key_bases, done.to(torch.int32), self.objective.num_streams).to(device)
        indices = torch.from_numpy(self._plan.draw(population.epoch + 1)).to(device)
        self._first_step = indices[:1].clone(), keys[0].clone()  # views would keep the epoch's in memory until the next
        first = len(population.losses)
        # One tensor for all: what each step left behind would cut the memory of its successors into pieces.
        losses = self._rows.theta.new_empty(self.num_steps, len(population.rows))
        losses[:first] = population.losses
        for step, batch in enumerate(self._rows.feed.batches(indices, self._weights, first), first):
            self.objective.begin(Batch(*batch, keys[step]))
            if self._rates is not None:
                self._h.lr = self._rates[step]
            losses[step] = self._step(step)
            population.losses = losses[: step + 1]
            yield

    def _learning_rates(self, done: Tensor) -> Tensor | None:
        """Give the scheduled rate of every row at every step of the epoch, [S, rows, 1], or None if it is constant.

        Args:
            done: Steps that each row has taken before, [S, rows].
        """
        population, schedule = self.population, self.population.recipe.schedule
        factor = schedule.factor(done.unsqueeze(-1).double(), self._schedule_h)
        if schedule.reads_history:
            watched = [[population.courses[member].watch.factor] for member in population.rows]
            watched_factor = torch.tensor(watched, dtype=torch.float64, device=done.device)
            factor = watched_factor.expand(len(done), -1, -1) if factor is None else factor * watched_factor
        return None if factor is None or self._lr is None else (self._lr * factor).to(self._rows.theta)

    def _step(self, step: int) -> Tensor:
        """Take one step of all rows; those without a batch left rest. Give the objective of each before it, [rows]."""
        population = self.population
        tensors = [population.weights, *population.state.values()]
        before = [] if self._is_everybodys[step] else [tensor.clone() for tensor in tensors]
        value = population.recipe.optimizer.step(self._rows.theta, population.state, self._h, self.objective)
        self.objective.end()
        if before:
            # Not a product with 0 and 1: a row of NaN must not pass, and NaN * 0 is NaN.
            mask = torch.from_numpy(self._plan.active[step]).to(value.device)
            for tensor, old in zip(tensors, before, strict=True):
                tensor.copy_(torch.where(mask.view(-1, *[1] * (tensor.dim() - 1)), tensor, old))
        return value

    def _gradient_norms(self) -> Tensor:
        """Measure the gradient after the epoch on the batch of its first step, which every row has: [tensors, rows]."""
        indices, keys = self._first_step
        (batch,) = self._rows.feed.batches(indices, self._weights[:1], 0)
        return self.objective.gradient_norms(self._rows.theta, Batch(*batch, keys))

    @torch.no_grad()
    def _fetch(self) -> _Epoch:
        """Score all rows and take everything the epoch gave to the host in one piece."""
        population, evaluator, rates = self.population, self._evaluator, self._rates
        told = population.recipe.optimizer.diagnostics(population.state)
        blocks = {"losses": population.losses}
        blocks |= {"gradient_norms": self._gradient_norms()} if self._is_watched else {}
        blocks |= {"rates": rates.squeeze(2)} if rates is not None else {}
        blocks |= {"diagnostics": torch.stack(list(told.values()))} if told else {}
        blocks |= {part: evaluator.scores(population.weights, part) for part in evaluator.parts}
        cuts = np.cumsum([len(block) for block in blocks.values()])[:-1]
        joined = torch.cat([block.double() for block in blocks.values()]).cpu().numpy()
        found = dict(zip(blocks, np.split(joined, cuts), strict=True))
        return _Epoch(
            found["losses"],
            found.get("rates"),
            {part: dict(zip(evaluator.score_names, found[part], strict=True)) for part in evaluator.parts},
            dict(zip(told, found.get("diagnostics", ()), strict=True)),
            dict(zip(self._rows.layout.parameters, found["gradient_norms"], strict=True)) if self._is_watched else {},
        )

    def finish_epoch(self) -> list[MemberEpoch]:
        """Score all rows, decide who is best and who goes on, and drop rows when half of them have stopped."""
        population, epoch, row_of = self.population, self._fetch(), self.population.row_of
        members = population.active
        records = [self._judge(member, row_of[member], epoch) for member in members]
        of = list(zip(members, records, strict=True))
        population.keep(population.best_weights, [member for member, record in of if record.is_best])
        population.keep(population.last_weights, [member for member, record in of if record.stop_reason])
        population.steps = population.steps + self._num_steps
        population.epoch += 1
        self._steps = None
        if population.is_sparse():
            population.compact()
            self._compile()
        population.losses = population.losses.new_empty(0, len(population.rows))
        return records

    def _judge(self, member: int, row: int, epoch: _Epoch) -> MemberEpoch:
        """Take an epoch into a member's course."""
        population, course = self.population, self.population.courses[member]
        before, taken = int(population.steps[row]), int(self._num_steps[row])
        scores = {part: {name: float(x[row]) for name, x in each.items()} for part, each in epoch.scores.items()}
        losses, deciding = epoch.losses[:taken, row], [scores[part]["loss"] for part in DECIDING if part in scores]
        course.check_finite(losses, deciding, before)
        course.last_epoch, course.num_steps = population.epoch + 1, before + taken
        is_best = False
        if course.divergence is None:
            valid_loss = deciding[0] if deciding else None
            course.diagnostics = {name: float(x[row]) for name, x in epoch.diagnostics.items()}
            is_best = course.observe(course.last_epoch, valid_loss, population.recipe.training)
            if population.recipe.optimizer.is_solved(course.diagnostics):
                course.stop_reason = "solved"
            if valid_loss is not None:
                course.watch = population.members[member].recipe.schedule.watch(course.watch, valid_loss)
            elif course.stop_reason and "train" in scores:  # no later step shows what the last one did
                course.check_finite(losses, [scores["train"]["loss"]], before)
        return MemberEpoch(
            cell=population.members[member].cell,
            step=course.num_steps,
            lr=self._base_lr[row] if epoch.rates is None else float(epoch.rates[taken - 1, row]),
            scores={} if course.divergence else scores,
            is_best=is_best,
            stop_reason=course.stop_reason,
            divergence=course.divergence,
            diagnostics={} if course.divergence else course.diagnostics,
            gradient_norms={} if course.divergence else {n: float(x[row]) for n, x in epoch.gradient_norms.items()},
            objective=None if course.divergence else float(losses.mean()),
        )
