"""What a person wants to know first about a training: the lines above the progress, and the head of the report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from dlx.commands.plan import Plan
from dlx.config.experiment import Experiment
from dlx.core.definition import Dataset, Definition
from dlx.core.settings import Split
from dlx.core.types import Examples
from dlx.data.batches import num_steps
from dlx.data.leakage import num_copies, num_known
from dlx.data.splits import Splitter, is_stratified


def describe(plan: Plan) -> dict[str, str]:
    """Say in a line each what is trained on what, and how.

    Returns:
        The lines by name: data, split, model, loss ...
    """
    experiment = plan.experiment
    lines = {
        "data": describe_data(experiment.data, plan.examples),
        "notes": "; ".join([*plan.examples.notes, *_known_before(plan)]),
        "split": _split(plan),
        "model": f"{spell(experiment.model)}, {plan.recipe.layout().num_parameters:,} parameters",
        "loss": spell(experiment.loss),
        "prior": f"{spell(experiment.prior)} (not part of the losses shown)" if experiment.prior else "",
        "optimizer": spell(experiment.optimizer),
        "schedule": spell(experiment.schedule),
        "training": spell_training(experiment, len(plan.members[0].parts.train)),
        "seeds": _seeds(experiment),
        "members": f"trained one by one: {plan.obstacle}" if plan.obstacle else "",
        "device": f"{plan.device}, {experiment.dtype}",
        "plugins": shlex.join(experiment.plugin_flags),
    }
    return {name: line for name, line in lines.items() if line}


def describe_data(data: Dataset, examples: Examples) -> str:
    """Say which data there are, and how they are scaled."""
    kind = f"{len(examples.target_names)} classes" if examples.task == "classification" else "regression"
    scales = f"scale {data.scale}"
    if examples.task == "regression" and data.target_scale != data.scale:
        scales += f", target scale {data.target_scale}"
    return f"{data.name}, {len(examples)} examples, {examples.inputs.shape[1]} features, {kind}, {scales}"


def _known_before(plan: Plan) -> Iterator[str]:
    """Say of a user's table, where rows may stand twice by mistake, how much of each part is in the training part."""
    if not plan.examples.table:
        return
    parts = plan.members[0].parts
    for name, count in num_known(plan.examples, parts).items():
        whole = len(parts.named()[name])
        yield f"{count} of {whole} {name} examples are also in the training part, so their scores flatter"


def describe_notes(examples: Examples) -> str:
    """Say what else should be known of the data where every example is held out once."""
    copies = num_copies(examples) if examples.table else 0
    leak = f"{copies} examples are copies of others; in two folds their scores flatter"
    return "; ".join([*examples.notes, *([leak] if copies else [])])


def _split(plan: Plan) -> str:
    split = plan.experiment.data.split
    parts = [f"{len(indices)} {name}" for name, indices in plan.members[0].parts.named().items()]
    kinds = [_folds(split, Splitter(plan.examples, split).num_folds)] if split.has_folds else []
    kinds += [f"outer fold {split.outer_fold} set aside"] if split.outer_fold is not None else []
    kinds += [f"groups of `{split.groups}` kept together"] if split.groups is not None else []
    if split.time_series:
        return ", ".join([*parts, *kinds, "in the order of time"])
    kinds += ["stratified"] if is_stratified(split, plan.examples) else []
    drawn = "drawn anew for each seed" if split.seed is None else f"seed {split.seed}"
    return ", ".join([*parts, *kinds, drawn])


def _folds(split: Split, num_folds: int) -> str:
    number = f"fold {split.fold} of {num_folds}"
    if split.folds == "leave_one_out":
        return f"{number} (leave one out)"
    return number if split.fold_column is None else f"{number} (values of `{split.fold_column}`)"


def spell_training(experiment: Experiment, num_train: int) -> str:
    """Say how long training takes, and in what portions."""
    training = experiment.training
    batch_size = training.examples_per_step(num_train)
    steps = num_steps(num_train, batch_size)
    portions = f"{steps} steps of {batch_size} examples each" if steps > 1 else f"a step of all {num_train} examples"
    rule = training.early_stopping
    stopping = f"early stopping with patience {rule.patience}" if rule else "no early stopping"
    others = [f"{name.replace('_', ' ')} {value:g}" for name, value in training.tunables().items()]
    return ", ".join([f"{training.epochs} epochs at most, {portions}", stopping, *others])


def _seeds(experiment: Experiment) -> str:
    seeds = ", ".join(str(seed) for seed in experiment.seed_list)
    if len(experiment.seed_list) == 1:
        return seeds
    return f"{seeds} ({'each with a split of its own' if experiment.data.split.seed is None else 'on one split'})"


def spell(definition: Definition) -> str:
    """Spell a definition in one line: its name, then its settings that are not null, 0 or false."""
    settings = ((name, value) for name, value in definition if name != "name" and (value or isinstance(value, tuple)))
    return ", ".join([definition.name, *(f"{name} {_value(value)}" for name, value in settings)])


def _value(value: Any) -> str:
    if isinstance(value, Definition):
        settings = [f"{name} {_value(inner)}" for name, inner in value if name != "name"]
        return f"{value.name} ({', '.join(settings)})" if settings else value.name
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
