"""All that is known before training: config and data, checked together, as members on a device."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import torch

from dlx.config.check import check
from dlx.config.experiment import Experiment, Loaded
from dlx.core.records import Cell
from dlx.core.types import Examples, Spec
from dlx.engine.device import choose_device, prepare_torch
from dlx.engine.feed import DeviceExamples
from dlx.engine.population import Member, Recipe, build_members
from dlx.tracking.provenance import hash_examples


@dataclass(frozen=True)
class Plan:
    """What will be trained, on what, where."""

    experiment: Experiment
    examples: Examples
    device: torch.device
    members: list[Member]

    @classmethod
    def make(cls, loaded: Loaded) -> Plan:
        """Load the data and check them with the config, find the device, split and scale for every seed.

        Raises:
            DlxError: For everything that a user can mend.
        """
        experiment = loaded.experiment
        examples = experiment.data.load()
        check(loaded, examples)
        device = choose_device(experiment.device)
        prepare_torch(experiment.threads, experiment.tf32)
        num_outputs = experiment.loss.num_outputs(len(examples.target_names))
        recipe = Recipe(
            model=experiment.model,
            loss=experiment.loss,
            prior=experiment.prior,
            optimizer=experiment.optimizer,
            schedule=experiment.schedule,
            metrics=experiment.metrics,
            training=experiment.training,
            spec=Spec(examples.inputs.shape[1:], num_outputs, getattr(torch, experiment.dtype)),
        )
        split = experiment.data.split
        cells = [Cell(seed, split.repeat, split.fold) for seed in experiment.seed_list]
        return cls(experiment, examples, device, build_members(recipe, experiment.data, examples, cells))

    @property
    def recipe(self) -> Recipe:
        """What all members share."""
        return self.members[0].recipe

    @cached_property
    def identity(self) -> str:
        """Hash of the data and of everything in the config but what a resumed run may extend."""
        fixed = self.experiment.model_dump(mode="json", exclude={"training": {"epochs"}})
        content = json.dumps([fixed, hash_examples(self.examples)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def device_examples(self) -> DeviceExamples:
        """Copy the examples to the device."""
        return DeviceExamples.load(self.examples, self.device, self.recipe.spec.dtype)
