"""All that is known before training: config and data, checked together, as members on a device."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from dlx.config.experiment import Experiment
from dlx.core.errors import DataError, UsageError
from dlx.core.records import Cell
from dlx.core.types import Examples
from dlx.engine.device import choose_device, prepare_torch
from dlx.engine.feed import DeviceExamples
from dlx.engine.population import Member, MemberFactory, Recipe
from dlx.tracking.provenance import hash_examples


@dataclass(frozen=True)
class Plan:
    """What will be trained, on what, where; ``obstacle`` says why members are trained one by one, if they must be."""

    experiment: Experiment
    examples: Examples
    device: torch.device
    members: list[Member]
    obstacle: str | None

    @classmethod
    def make(cls, experiment: Experiment, examples: Examples) -> Plan:
        """Find the device, split and scale the examples for every seed.

        Raises:
            DlxError: For everything that a user can mend.
        """
        device = prepare(experiment, examples)
        recipe = Recipe.of(dict(experiment), examples)
        split = experiment.data.split
        factory = MemberFactory(examples)
        require_memory(recipe, len(experiment.seed_list), factory.splitter(split).sizes.train)
        cells = [Cell(seed, split.repeat, split.fold, split.outer_fold) for seed in experiment.seed_list]
        members = [factory.member(cell, recipe, experiment.data) for cell in cells]
        return cls(experiment, examples, device, members, recipe.obstacle)

    @property
    def recipe(self) -> Recipe:
        """What all members share."""
        return self.members[0].recipe

    @cached_property
    def identity(self) -> str:
        """Hash of the data and of everything in the config but what a resumed run may extend."""
        return identify(self.experiment, hash_examples(self.examples), {"training": {"epochs"}})

    def device_examples(self) -> DeviceExamples:
        """Copy the examples to the device."""
        return DeviceExamples.load(self.examples, self.device, self.recipe.spec.dtype)


def prepare(experiment: Experiment, examples: Examples) -> torch.device:
    """Find the device and set torch up; look whether the data can be trained on.

    Raises:
        UsageError: If there is no such device.
        DataError: If there are values that are not finite.
    """
    device = choose_device(experiment.device)
    prepare_torch(experiment.threads, experiment.tf32)
    is_bad = np.isinf if examples.has_missing else lambda values: ~np.isfinite(values)
    if is_bad(examples.inputs).any() or not np.isfinite(examples.targets).all():
        raise DataError(f"the data of `{experiment.data.name}` hold values that are not finite")
    return device


def identify(experiment: Experiment, data_hash: str, growable: dict[str, set[str]]) -> str:
    """Hash the data and everything in the config but what a resumed run may have more of.

    Args:
        experiment: The config.
        data_hash: Hash of the data.
        growable: Keys that are left out, by section.
    """
    fixed = experiment.model_dump(mode="json", exclude=growable)
    return hashlib.sha256(json.dumps([fixed, data_hash], sort_keys=True).encode()).hexdigest()


THETA_COPIES = 6
"""Matrices of theta's size that a training holds at least: theta, gradient, two of optimizer state, best and last."""

WORKING_BYTES = 8
"""Bytes of a number that a rule works with: matrices are taken apart in float64."""


def require_memory(recipe: Recipe, num_members: int, num_train: int) -> None:
    """Refuse models that this machine cannot hold, before anything is allocated.

    Args:
        recipe: What is trained and how.
        num_members: Members that train at once, M.
        num_train: Training examples.

    Raises:
        UsageError: If the parameters, or the matrices of the update rule, need more than the machine's memory.
    """
    num_parameters = recipe.layout().num_parameters
    needed = num_parameters * num_members * recipe.spec.dtype.itemsize * THETA_COPIES
    num_residuals = recipe.training.examples_per_step(num_train) * recipe.spec.num_outputs
    extra = recipe.optimizer.working_numbers(num_parameters, num_residuals) * num_members * WORKING_BYTES
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > available:
        raise UsageError(
            f"{num_members} x {num_parameters:,} parameters need {needed / 2**30:.1f} GiB to train, but this "
            f"machine has {available / 2**30:.1f} GiB; use a smaller model or fewer seeds"
        )
    if needed + extra > available:
        raise UsageError(
            f"`{recipe.optimizer.name}` needs {(needed + extra) / 2**30:,.1f} GiB for {num_members} x "
            f"{num_parameters:,} parameters, but this machine has {available / 2**30:.1f} GiB; use a smaller model, "
            "fewer seeds, or a rule that needs the gradient alone, such as optimizer=adam"
        )
