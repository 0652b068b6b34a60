"""The state of M members that train together: a value that can be saved, split, compacted and sent elsewhere."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core.definition import Dataset, Definition, Loss, Metric, Model, Optimizer, Prior, Schedule
from dlx.core.errors import UsageError
from dlx.core.records import Cell
from dlx.core.seeding import integer_seed
from dlx.core.settings import Scale, Split, Training
from dlx.core.types import Examples, Spec, State
from dlx.data.preprocessing import Affine, fit_scale
from dlx.data.splits import Parts, Sizes, Splitter
from dlx.engine.layout import Layout
from dlx.engine.mapping import find_obstacle, own_generator
from dlx.engine.stopping import Course


@dataclass(frozen=True)
class Recipe:
    """What is trained and how: the definitions and settings of one member."""

    model: Model
    loss: Loss
    prior: Prior | None
    optimizer: Optimizer
    schedule: Schedule
    metrics: tuple[Metric, ...]
    training: Training
    spec: Spec

    @classmethod
    def of(cls, sections: Mapping[str, Any], examples: Examples) -> Recipe:
        """Read the recipe of a config.

        Args:
            sections: The sections of a config by name, as ``dict(experiment)`` gives them.
            examples: The data, which say how many inputs and outputs a model has.
        """
        num_outputs = sections["loss"].num_outputs(len(examples.target_names))
        spec = Spec(examples.inputs.shape[1:], num_outputs, getattr(torch, sections["dtype"]))
        named = {field.name: sections[field.name] for field in dataclasses.fields(cls) if field.name != "spec"}
        return cls(**named, spec=spec)

    def definitions(self) -> dict[str, Definition]:
        """Give the definitions whose tunables the engine stacks, by section; those of a model are in its buffers."""
        named = {"loss": self.loss, "prior": self.prior, "optimizer": self.optimizer, "schedule": self.schedule}
        return {name: definition for name, definition in named.items() if definition is not None}

    def tunables(self, section: str) -> dict[str, float]:
        """Give the value of every tunable of ``loss``, ``prior``, ``optimizer``, ``schedule`` or ``training``."""
        return self.training.tunables() if section == "training" else self.definitions()[section].tunables()

    def build(self) -> torch.nn.Module:
        """Build the model's module, its weights drawn from torch's global generator, in the dtype of the recipe.

        Raises:
            UsageError: If a model of a user's own builds none.
        """
        module = self.model.build(self.spec)
        if not isinstance(module, torch.nn.Module):
            raise UsageError(
                f"`{type(self.model).__name__}.build` of the model `{self.model.name}` gives a "
                f"`{type(module).__name__}`; expected a torch.nn.Module"
            )
        return module.to(self.spec.dtype)  # a user's own may not look at the dtype

    def layout(self) -> Layout:
        """Give the layout of what a member owns, without allocating or drawing any."""
        with torch.device("meta"):
            return Layout.of(self.build())

    @functools.cached_property
    def obstacle(self) -> str | None:
        """Why members must be computed one by one; None if they can be stacked."""
        return find_obstacle(self)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of everything that members must share to be stacked, as 64 hexadecimal digits.

        Stacking members of equal shapes but different activations would be silently wrong.
        """
        structure = {
            **{name: definition.structure() for name, definition in self.definitions().items()},
            "model": self.model.structure(),
            "metrics": [metric.model_dump(mode="json") for metric in self.metrics],
            "training": self.training.structure(),
            "spec": [*self.spec.input_shape, self.spec.num_outputs, str(self.spec.dtype)],
        }
        return hashlib.sha256(json.dumps(structure, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Member:
    """One row of theta, by what it computes.

    Attributes:
        cell: Its identity, which keys its random streams.
        recipe: What is trained and how.
        parts: Which examples it trains on, is validated on and is tested on.
        sizes: Sizes of the parts that shapes follow from, the largest over the folds of its plan.
        input_scale: Scaling of inputs, fitted on its training examples.
        target_scale: Scaling of targets, or None where targets are classes.
    """

    cell: Cell
    recipe: Recipe
    parts: Parts
    sizes: Sizes
    input_scale: Affine
    target_scale: Affine | None

    @property
    def structure(self) -> tuple[str, Sizes]:
        """What it must share with those that it is stacked with."""
        return self.recipe.fingerprint, self.sizes


class MemberFactory:
    """Makes members; what several have in common, their split and the scales fitted on it, is made once.

    Args:
        examples: The data.
    """

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        self._splitters: dict[Split, Splitter] = {}
        self._scales: dict[tuple[int, Scale, str], Affine] = {}

    def splitter(self, settings: Split) -> Splitter:
        """Give what cuts the examples as a plan says, whichever of its folds is named."""
        outer_fold = None if settings.outer_fold is None else 0
        plan = settings.model_copy(update={"fold": 0, "repeat": 0, "outer_fold": outer_fold})
        if plan not in self._splitters:
            self._splitters[plan] = Splitter(self._examples, plan)
        return self._splitters[plan]

    def member(self, cell: Cell, recipe: Recipe, dataset: Dataset) -> Member:
        """Split the examples for a cell and fit its scales on its training part.

        Args:
            cell: Who; its seed counts for the split only where the split has none of its own.
            recipe: What is trained and how.
            dataset: Holds the scales and the plan of the split; which fold, the cell says.

        Raises:
            DataError: If the examples cannot be split as a seed draws it.
        """
        splitter = self.splitter(dataset.split.model_copy(update={"outer_fold": cell.outer_fold}))
        parts = splitter.parts(*cell.stream_key)
        is_regression = self._examples.task == "regression"
        return Member(
            cell,
            recipe,
            parts,
            splitter.sizes,
            self._scale(parts, dataset.scale, "inputs"),
            self._scale(parts, dataset.target_scale, "targets") if is_regression else None,
        )

    def member_of(self, cell: Cell, sections: Mapping[str, Any]) -> Member:
        """Make the member of a cell that the sections of a config describe; as ``member``."""
        return self.member(cell, Recipe.of(sections, self._examples), sections["data"])

    def _scale(self, parts: Parts, method: Scale, what: str) -> Affine:
        key = id(parts), method, what
        if key not in self._scales:
            self._scales[key] = fit_scale(method, getattr(self._examples, what)[parts.train])
        return self._scales[key]


@dataclass
class Population:
    """M members and where their training stands.

    The rows are members that still train, in any order; a lone member has a twin, because one row would run other
    kernels than many (company invariance, rule B). What a member leaves behind (best and last weights, course) is kept
    by member, whatever became of its row.

    Attributes:
        members: All members.
        rows: Which member each row is.
        weights: What each row owns, [rows, P + Q]: its parameters, theta, and the statistics of its model (Layout).
        state: Optimizer state of the rows, [rows, ...] each.
        steps: Steps each row has taken before the current epoch, [rows].
        best_weights: Weights of each member's best epoch, [M, P + Q].
        last_weights: Weights of each member when it stopped, [M, P + Q].
        courses: How each member's training goes.
        epoch: Epochs that are done.
        losses: Objectives of the steps done in the current epoch, [steps, rows].
    """

    members: tuple[Member, ...]
    rows: list[int]
    weights: Tensor
    state: State
    steps: np.ndarray[Any, np.dtype[np.int64]]
    best_weights: Tensor
    last_weights: Tensor
    courses: list[Course]
    losses: Tensor
    epoch: int = 0

    @classmethod
    def build(cls, members: Sequence[Member], device: torch.device) -> Population:
        """Draw initial weights and stack members of one structure.

        Args:
            members: At least one; of equal fingerprints.
            device: Where the population trains.

        Raises:
            ValueError: If the members' structures differ.
        """
        if len({member.structure for member in members}) != 1:
            raise ValueError("members of different structure or sizes cannot be stacked")
        rows = with_twin(range(len(members)))
        initial = initial_weights(members).to(device)
        weights, recipe = initial[rows], members[0].recipe
        return cls(
            members=tuple(members),
            rows=rows,
            weights=weights,
            state=recipe.optimizer.init(weights[:, : recipe.layout().num_parameters]),
            steps=np.zeros(len(rows), dtype=np.int64),
            best_weights=initial.clone(),
            last_weights=initial.clone(),
            courses=[Course() for _ in members],
            losses=weights.new_empty(0, len(rows)),
        )

    def save(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Give all that a restart needs beside the members: named tensors, and the rest as JSON."""
        names = ("weights", "best_weights", "last_weights", "losses")
        tensors = {name: getattr(self, name) for name in names}
        tensors |= {f"state.{name}": tensor for name, tensor in self.state.items()}
        rest = {
            "cells": [list(member.cell) for member in self.members],
            "rows": self.rows,
            "steps": self.steps.tolist(),
            "courses": [dataclasses.asdict(course) for course in self.courses],
            "epoch": self.epoch,
        }
        return tensors, rest

    @classmethod
    def restore(
        cls, members: Sequence[Member], tensors: Mapping[str, Tensor], rest: Mapping[str, Any], device: torch.device
    ) -> Population:
        """Build a population that goes on where ``save`` was called.

        Args:
            members: The same members in the same order. Those that stopped at an earlier last epoch go on if there are
                more epochs now.
            tensors: What ``save`` gave.
            rest: What ``save`` gave.
            device: Where the population trains.

        Raises:
            ValueError: If the saved state is not that of these members.
        """
        weights = tensors["weights"].to(device)
        num_columns = members[0].recipe.layout().num_columns
        if rest["cells"] != [list(member.cell) for member in members] or weights.shape[1] != num_columns:
            raise ValueError("the saved state belongs to other members")
        courses = [Course.restore(course) for course in rest["courses"]]
        for course in courses:
            if course.stop_reason == "max_epochs" and rest["epoch"] < members[0].recipe.training.epochs:
                course.stop_reason = None
        return cls(
            members=tuple(members),
            rows=list(rest["rows"]),
            weights=weights,
            state={
                name.removeprefix("state."): tensor.to(device)
                for name, tensor in tensors.items()
                if name.startswith("state.")
            },
            steps=np.array(rest["steps"], dtype=np.int64),
            best_weights=tensors["best_weights"].to(device),
            last_weights=tensors["last_weights"].to(device),
            courses=courses,
            losses=tensors["losses"].to(device),
            epoch=rest["epoch"],
        )

    @property
    def recipe(self) -> Recipe:
        """The structure that all members share (their tunables may differ)."""
        return self.members[0].recipe

    @property
    def row_of(self) -> dict[int, int]:
        """The row of each member that has one (the first, where it has a twin), in the order of rows."""
        rows: dict[int, int] = {}
        for row, member in enumerate(self.rows):
            rows.setdefault(member, row)
        return rows

    @property
    def active(self) -> list[int]:
        """Members that still train, each once, in the order of their rows."""
        return [member for member in self.row_of if self.courses[member].stop_reason is None]

    @property
    def row_members(self) -> list[Member]:
        """The member of each row."""
        return [self.members[number] for number in self.rows]

    @property
    def is_finished(self) -> bool:
        """Whether every member has stopped or the last epoch is done."""
        return not self.active or self.epoch >= self.recipe.training.epochs

    def keep(self, kept: Tensor, members: Sequence[int]) -> None:
        """Copy the rows of members into ``best_weights`` or ``last_weights``."""
        if members:
            row_of = self.row_of
            kept[list(members)] = self.weights[[row_of[member] for member in members]]

    def is_sparse(self) -> bool:
        """Tell whether half of the rows or more could be dropped."""
        return 0 < len(self.active) <= len(self.rows) / 2 and len(self.rows) > 2

    def compact(self) -> None:
        """Drop the rows of members that stopped, but never below two rows. Only between epochs."""
        members, row_of = with_twin(self.active), self.row_of
        sources = [row_of[member] for member in members]
        self.weights = self.weights[sources]
        self.state = {name: tensor[sources] for name, tensor in self.state.items()}
        self.steps = self.steps[sources]
        self.rows = members
        self.losses = self.losses.new_empty(0, len(members))


def with_twin(members: Sequence[int]) -> list[int]:
    """Give the members of the rows: a lone one twice."""
    return list(members) * 2 if len(members) == 1 else list(members)


def initial_weights(members: Sequence[Member]) -> Tensor:
    """Draw the initial weights of each member from its own stream, [M, P + Q], on the CPU whatever the device."""
    recipe, drawn = members[0].recipe, {}
    with own_generator():
        for key in dict.fromkeys(member.cell.stream_key for member in members):
            torch.manual_seed(integer_seed("init", *key))
            module = recipe.build()
            drawn[key] = Layout.of(module).flatten(module)
    return torch.stack([drawn[member.cell.stream_key] for member in members])
