"""Trains the cells of trials: members of equal structure are stacked, and each finished one becomes a line.

However many trials and folds there are, only as many chunks of them are in memory as there are cores, unless trials are
dropped on the way: then all that may go on are kept.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from dlx.core.definition import Metric
from dlx.core.records import PARTS, Cell, Divergence, EpochDone, Scores
from dlx.core.registry import registered
from dlx.core.types import Examples
from dlx.engine.evaluation import predict_members, score_members
from dlx.engine.feed import DeviceExamples
from dlx.engine.fit import fit_each
from dlx.engine.population import Population
from dlx.search.journal import Line

Curve = dict[str, list[float]]
Identify = Callable[[Cell, int], Line]
"""Gives ``id``, the name of a cell that trains for so many epochs, and ``values``, what its config has of its own."""


class Bench(NamedTuple):
    """What cells are trained on.

    Attributes:
        examples: The data.
        data: The same on the device.
        device: Where populations train.
        keeps_predictions: Whether a line holds what was predicted for the held-out examples.
    """

    examples: Examples
    data: DeviceExamples
    device: torch.device
    keeps_predictions: bool


class Scored(NamedTuple):
    """What a population's best weights are worth.

    Attributes:
        scores: Of each member, by part.
        predictions: What each member's line holds of them, if any.
    """

    scores: dict[Cell, dict[str, Scores]]
    predictions: list[dict[str, Any]]


@dataclass
class Standing:
    """Where the training of cells stands, between two slices of time.

    Attributes:
        lines: Of the cells that were finished in the last slice.
        populations: Those that go on.
        curves: Objective and validation loss after each epoch so far, of each cell that goes on.
    """

    lines: list[Line] = field(default_factory=list)
    populations: list[Population] = field(default_factory=list)
    curves: dict[Cell, Curve] = field(default_factory=lambda: defaultdict(lambda: {"train": [], "valid": []}))

    def epochs_done(self) -> float:
        """Count the epochs that members which go on have done, of all that they may, as a number of members."""
        return sum(
            population.epoch
            / population.recipe.training.epochs
            * sum(course.stop_reason != "dropped" for course in population.courses)
            for population in self.populations
            if not population.is_finished
        )


def train_cells(
    populations: Iterator[Population], standing: Standing, bench: Bench, identify: Identify
) -> Iterator[Standing]:
    """Train populations to their ends.

    Args:
        populations: Taken one by one as cores become free.
        standing: Changed in place; holds the curves of populations that were trained before.
        bench: Data and device.
        identify: Identifies a cell.

    Yields:
        Where the training stands, after each slice of time.
    """
    for found in fit_each(populations, bench.data, conclude=partial(score, bench)):
        add_epochs(standing.curves, found.epochs)
        standing.populations = found.running
        standing.lines = []
        for population, scored in zip(found.finished, found.conclusions, strict=True):
            standing.lines += finished_lines(population, scored, standing.curves, identify)
            for member in population.members:
                standing.curves.pop(member.cell, None)
        yield standing


def add_epochs(curves: dict[Cell, Curve], epochs: Sequence[EpochDone]) -> None:
    """Add epochs to the curves of their members."""
    for epoch in epochs:
        for member in epoch.members:
            if member.objective is not None:
                curves[member.cell]["train"].append(member.objective)
            if "valid" in member.scores:
                curves[member.cell]["valid"].append(member.scores["valid"]["loss"])


def score(bench: Bench, population: Population) -> Scored:
    """Score the best weights of members on all their parts."""
    scores = score_members(population.members, population.best_weights, bench.data, PARTS)
    return Scored(scores, _predicted(population, bench) if bench.keeps_predictions else [{}] * len(scores))


def finished_lines(
    population: Population,
    scored: Scored,
    curves: Mapping[Cell, Curve],
    identify: Identify,
    epochs: int | None = None,
) -> list[Line]:
    """Write down members that are finished.

    Args:
        population: Its members are finished, or stand at the end of ``epochs``.
        scored: Their scores.
        curves: Their curves.
        identify: Identifies a cell.
        epochs: The budget if it is less than all epochs.

    Returns:
        A line of cells.jsonl for each member that was not dropped.
    """
    scores = scored.scores
    budget = epochs or population.recipe.training.epochs
    num_parameters = population.recipe.layout().num_parameters
    lines = []
    for member, course, predicted in zip(population.members, population.courses, scored.predictions, strict=True):
        if course.stop_reason == "dropped":
            continue
        cell, divergence = member.cell, course.divergence
        if divergence is None and "valid" not in scores[cell] and not math.isfinite(scores[cell]["train"]["loss"]):
            divergence = Divergence(course.num_steps + 1, course.last_loss)  # no later step shows what the last one did
        line = {
            **identify(cell, budget),
            "trial": cell.trial,
            "seed": cell.seed,
            "repeat": cell.repeat,
            "fold": cell.fold,
            **({} if cell.outer_fold is None else {"outer_fold": cell.outer_fold}),
            "epochs": budget,
            "stop_reason": "diverged" if divergence else course.stop_reason or "max_epochs",
            "last_epoch": course.last_epoch,
            "num_steps": course.num_steps,
            "num_parameters": num_parameters,
            "num_train": len(member.parts.train),
            "num_valid": len(member.parts.valid),
            "num_test": len(member.parts.test),
        }
        if divergence:
            best_epoch = {"best_epoch": course.best_epoch} if course.best_epoch else {}
            lines.append({**line, **best_epoch, **dataclasses.asdict(divergence)})
        else:
            curve = {part: list(values) for part, values in curves[cell].items() if values}
            lines.append({**line, "best_epoch": course.best_epoch, **scores[cell], "curve": curve, **predicted})
    return lines


def _predicted(population: Population, bench: Bench) -> list[dict[str, Any]]:
    """Give what each member predicts for its held-out examples, and their negative log-likelihoods."""
    nll: Any = registered(Metric)["nll"]  # type: ignore[type-abstract]  # a key, not a class to build
    members = [
        dataclasses.replace(member, recipe=dataclasses.replace(member.recipe, metrics=(nll(),)))
        for member in population.members
    ]
    inputs = bench.examples.inputs[np.stack([member.parts.test for member in members])]
    predictions = predict_members(members, population.best_weights, inputs)
    scores = score_members(members, population.best_weights, bench.data, ("test",))
    return [
        {"predictions": each.tolist(), "nll": [scores[member.cell]["test"]["nll"]]}
        for member, each in zip(members, predictions, strict=True)
    ]
