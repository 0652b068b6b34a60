"""``dlx inspect``: what a config builds, what it costs, and whether it is ready to be trained."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dlx.commands.facts import describe
from dlx.commands.plan import Plan
from dlx.config.load import load_experiment_and_data
from dlx.core.records import EpochDone
from dlx.data.batches import BatchPlan, Order
from dlx.data.preprocessing import Affine
from dlx.data.splits import Parts, Sizes
from dlx.engine.anatomy import FlopCounter, activation_bytes, count_forward, read_layers
from dlx.engine.evaluation import score_members
from dlx.engine.fit import fit
from dlx.engine.mapping import own_generator
from dlx.engine.population import Member, Population
from dlx.engine.program import Program
from dlx.reporting.tables import mean_and_std
from dlx.schedules.constant import Constant

Floats = np.ndarray[Any, np.dtype[np.float64]]
MAX_SEEDS = 10
"""Seeds that the losses are means over, at most: more would tell nothing more."""
MAX_STEPS, MIN_STEPS = 500, 20
"""Steps on the one batch: as many as the budget allows, within these bounds."""
BUDGET, MAX_SECONDS = 1e11, 20.0
"""Floating-point operations of the steps on one batch, some seconds on one core; and time, for rules that do more."""
OVERFITTED = 0.01
"""A batch counts as overfitted when its loss is down to this share of what it was."""
STILL_FALLING = 0.9
"""A loss is still falling when in the last fifth of its steps it fell below this share."""
USUAL = (0.5, 2.0)
"""An untrained model's loss is suspicious outside these multiples of what a model without knowledge has."""


def inspect(config: Path, overrides: Sequence[str], plugins: Sequence[Path] = ()) -> dict[str, Any]:
    """Inspect what a config builds: layers, cost, initial loss, and whether it can overfit one batch.

    The test part is not read, and nothing is written.

    Args:
        config: The YAML file.
        overrides: ``KEY=VALUE`` strings.
        plugins: Files of definitions that the user names beside the config.

    Returns:
        Plain values: ``facts``; ``layers``; ``num_parameters``, ``batch_size`` and ``num_seeds``; ``flops`` of one
        member (``forward`` for an example, ``step`` for a batch); ``memory_bytes`` of one member; ``initial_loss``
        and ``one_batch``, means over the first seeds. ``reporting/inspection.py`` turns them into text.

    Raises:
        DlxError: For everything that a user can mend, as in ``dlx train``.

    Source:
        The two checks before a training are those of Karpathy (2019), "A recipe for training neural networks".
    """
    loaded, examples = load_experiment_and_data(config, overrides, plugins)
    plan = Plan.make(loaded.experiment, examples)
    members = [_on_one_batch(member) for member in plan.members[:MAX_SEEDS]]
    anatomy = _anatomy(plan, members[0], Population.build(members, plan.device))
    initial = _initial_loss(plan, members)
    return {
        "schema": 1,
        "command": "inspect",
        "name": loaded.experiment.name,
        "loss": loaded.experiment.loss.name,
        "facts": describe(plan),
        **anatomy,
        "initial_loss": initial,
        "one_batch": _overfit(plan, members, anatomy["flops"]["step"], initial["mean"] or math.nan),
    }


def _on_one_batch(member: Member) -> Member:
    """Give a member that trains on the first batch alone, at the rule's own rate.

    Without prior, schedule, early stopping, noise and smoothed labels: they are for what this is not about.
    """
    train, recipe = member.parts.train, member.recipe
    size = recipe.training.examples_per_step(len(train))
    drawn = BatchPlan([Order(train, member.cell.stream_key)], size).draw(1)[0, 0]
    batch = np.sort(drawn[: min(size, len(train))])
    settings = {
        "epochs": MAX_STEPS, "early_stopping": None, "batch_size": "full", "input_noise": 0.0, "weight_noise": 0.0,
    }  # fmt: skip
    alone = dataclasses.replace(
        recipe,
        loss=recipe.loss.model_copy(
            update={"label_smoothing": None} if hasattr(recipe.loss, "label_smoothing") else {}
        ),
        prior=None,
        schedule=Constant(),
        training=recipe.training.model_copy(update=settings),
    )
    parts = Parts(batch, batch[:0], batch[:0])
    return dataclasses.replace(member, recipe=alone, parts=parts, sizes=Sizes(len(batch), 0, 0))


def _scaled(values: Floats, scale: Affine | None) -> Floats:
    return values if scale is None else scale.apply(values)


def _anatomy(plan: Plan, member: Member, population: Population) -> dict[str, Any]:
    """Give layers, floating-point operations and bytes of one member."""
    recipe, batch = plan.recipe, member.parts.train
    with own_generator():
        module = recipe.model.build(recipe.spec).to(plan.device).eval()
    inputs = torch.from_numpy(_scaled(plan.examples.inputs[batch], member.input_scale))
    inputs = inputs.to(plan.device, recipe.spec.dtype)
    program, rows = Program(population, plan.device_examples()), len(population.rows)
    with FlopCounter() as counter:
        program.advance(seconds=0)
    state = sum(tensor.nbytes for tensor in population.state.values())
    num_parameters = sum(parameter.numel() for parameter in module.parameters())
    return {
        "layers": [dataclasses.asdict(layer) for layer in read_layers(module, inputs)],
        "num_parameters": num_parameters,
        "batch_size": len(batch),
        "num_seeds": len(plan.members),
        "flops": {"forward": count_forward(module, inputs) / len(batch), "step": counter.total / rows},
        "memory_bytes": {
            "parameters": num_parameters * recipe.spec.dtype.itemsize,
            "optimizer_state": state // rows,
            "activations": activation_bytes(module, inputs),
        },
    }


def _initial_loss(plan: Plan, members: Sequence[Member]) -> dict[str, Any]:
    """Compare the losses of untrained models with that of one that knows nothing of the inputs.

    For classes that is equal odds for each (outputs of 0: ln C with cross-entropy), for values the mean over the
    training part; None where the outputs are not values.
    """
    population, data = Population.build(members, plan.device), plan.device_examples()
    scored = score_members(members, population.best_weights, data, ["train"])
    found = [scores["train"]["loss"] for scores in scored.values()]
    expected = [_ignorant_loss(plan, *each) for each in zip(members, plan.members, strict=False)]
    known = [loss for loss in expected if loss is not None]
    mean, std = mean_and_std(found) if all(map(math.isfinite, found)) else (None, None)
    known_mean = statistics.fmean(known) if known else None
    usual = [factor * known_mean for factor in USUAL] if known_mean else None
    is_usual = None if mean is None or usual is None else usual[0] <= mean <= usual[1]
    return {
        "num_seeds": len(found), "mean": mean, "std": std,
        "expected": known_mean, "usual": usual, "is_usual": is_usual,
    }  # fmt: skip


def _ignorant_loss(plan: Plan, one_batch: Member, member: Member) -> float | None:
    """Give the mean loss on the batch of the best that can be said without looking at the inputs."""
    loss, spec, targets = plan.recipe.loss, plan.recipe.spec, plan.examples.targets
    chosen = targets[one_batch.parts.train]
    batch = _scaled(chosen, member.target_scale)
    if loss.task == "regression" and (spec.num_outputs != batch.shape[1] or loss.raw_targets):
        return None
    outputs = torch.zeros(len(batch), spec.num_outputs, dtype=torch.float64)
    if loss.task == "regression":
        outputs += torch.from_numpy(_scaled(targets[member.parts.train], member.target_scale)).mean(0)
    h = loss.settings(torch.from_numpy(chosen), spec.num_outputs)
    return float(loss.value(outputs, torch.from_numpy(batch), h).mean())


def _overfit(plan: Plan, members: Sequence[Member], step_flops: float, start: float) -> dict[str, Any]:
    """Train on one batch until its loss, mean over the seeds, is down to a hundredth, or for a few hundred steps."""
    num_steps = int(min(max(BUDGET / max(step_flops * len(members), 1), MIN_STEPS), MAX_STEPS))
    losses, is_nonnegative = [start], plan.recipe.loss.is_nonnegative
    num_diverged, deadline = 0, time.monotonic() + MAX_SECONDS
    for record in fit([Population.build(members, plan.device)], plan.device_examples()):
        if isinstance(record, EpochDone):
            num_diverged = sum(member.divergence is not None for member in record.members)
            if num_diverged:
                break
            losses.append(statistics.fmean(member.scores["train"]["loss"] for member in record.members))
            if losses[-1] <= OVERFITTED * start or record.epoch == num_steps:
                break
        if time.monotonic() > deadline:
            break
    return {
        "num_seeds": len(members),
        "num_diverged": num_diverged,
        "steps": len(losses) - 1 + bool(num_diverged),
        "start": start,
        "end": losses[-1],
        # Where a loss has no lowest value, a hundredth of what it was says nothing.
        "is_overfitted": (not num_diverged and losses[-1] <= OVERFITTED * start) if is_nonnegative else None,
        "is_falling": losses[-1] < STILL_FALLING * losses[-1 - len(losses) // 5],
    }
