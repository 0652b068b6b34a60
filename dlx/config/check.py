"""Whether the keys of a config fit each other and the data: what the schema, which sees single keys, cannot say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np

from dlx.config.check_split import SPLIT, largest_train, split_draws, split_of_data, split_settings
from dlx.config.diagnostics import Fault
from dlx.config.keys import members
from dlx.core.definition import Dataset, Definition, FirstOrder, Loss, Metric, Model, Optimizer, Prior, Schedule
from dlx.core.settings import Curvature, EarlyStopping, Landscape
from dlx.core.surface import Surface
from dlx.core.types import Examples
from dlx.data.batches import num_steps


def contradictions(sections: Mapping[str, Any]) -> list[Fault]:
    """Find what does not fit together.

    Args:
        sections: What is known: valid sections of a config by name (all of them: ``dict(experiment)``), those keys of
            ``training`` that are valid where others are not, and ``examples`` once they are loaded. A rule that needs
            something else is left out.

    Returns:
        The faults, in any order.
    """
    known = {**dict(sections.get("training", {})), **sections, "sections": sections}
    faults: list[Fault] = []
    for rule in RULES:
        needed = signature(rule).parameters.keys()
        if needed <= known.keys():
            faults += rule(**{name: known[name] for name in needed})
    return faults


def _seeds(seeds: int | Sequence[int]) -> Iterator[Fault]:
    if not isinstance(seeds, int):
        for i, seed in enumerate(seeds):
            if seed in seeds[:i]:
                yield Fault(("seeds", i), f"the seed {seed} is given twice")


def _precision(dtype: str, sections: Mapping[str, Any]) -> Iterator[Fault]:
    """Find numbers that are 0 or infinite once they are rounded to the precision of the training."""
    kind = np.dtype(dtype).type
    for section in ("loss", "prior", "optimizer", "schedule", "training"):
        definition = sections.get(section)
        more = (getattr(definition, "model_extra", None) or {}).items()
        floats = {name: value for name, value in more if isinstance(value, float)}
        for name, value in {**definition.tunables(), **floats}.items() if definition else ():
            with np.errstate(over="ignore"):
                rounded = float(kind(value))
            if value and (rounded == 0 or not np.isfinite(rounded)):
                message = f"`{section}.{name}` is {value:g}, which is {rounded:g} in {dtype}"
                yield Fault((section, name), message, "take a less extreme number, or dtype=float64")


def _early_stopping(
    data: Dataset, early_stopping: EarlyStopping | None, sections: Mapping[str, Any]
) -> Iterator[Fault]:
    if data.split.valid == 0 and early_stopping is not None:
        message = "early stopping needs a validation part, but data.split.valid is 0"
        hint = "set training.early_stopping=null or data.split.valid>0"
        is_given = "training" in sections and "early_stopping" in sections["training"].model_fields_set
        yield Fault(("training", "early_stopping") if is_given else (*SPLIT, "valid"), message, hint)


def _plateau(data: Dataset, schedule: Schedule) -> Iterator[Fault]:
    if data.split.valid == 0 and schedule.reads_history:
        message = f"`{schedule.name}` watches the validation loss, but data.split.valid is 0"
        yield Fault(("schedule",), message, "set data.split.valid>0, or another schedule")


def _patience(schedule: Schedule, early_stopping: EarlyStopping | None) -> Iterator[Fault]:
    patience = getattr(schedule, "patience", None)
    if early_stopping is not None and patience is not None and patience >= early_stopping.patience:
        message = (
            f"training stops after {early_stopping.patience} epochs without an improvement, before `{schedule.name}`"
        )
        hint = f"set schedule.patience={early_stopping.patience - 1} or less, or training.early_stopping=null"
        yield Fault(("schedule",), f"{message} lowers the rate", hint)


def _batch_of_one(model: Model, batch_size: int | str) -> Iterator[Fault]:
    if model.needs_batches and batch_size == 1:
        message = "batch norm has nothing to normalise over in a batch of one example"
        yield Fault(("training", "batch_size"), message, "set training.batch_size=2 or more, or model.batch_norm=false")


def _metrics(metrics: Sequence[Metric], sections: Mapping[str, Any]) -> Iterator[Fault]:
    """The data say what a metric must fit; where they are not known, the loss does."""
    names = [metric.name for metric in metrics]
    examples = sections.get("examples")
    judge = examples or sections.get("loss")
    who = "these data are" if examples else f"`{getattr(judge, 'name', '')}` is"
    for i, metric in enumerate(metrics):
        if metric.name in names[:i]:
            yield Fault(("metrics", i), f"the metric `{metric.name}` is given twice")
        elif judge and judge.task not in metric.tasks:
            message = f"`{metric.name}` is a metric for {metric.tasks[0]}, but {who} for {judge.task}"
            known: dict[str, Any] = members(Metric)
            fitting = ", ".join(name for name, other in known.items() if judge.task in other.tasks)
            yield Fault(("metrics", i), message, f"for {judge.task}: {fitting}")
        elif examples and (mismatch := metric.mismatch(examples)):
            yield Fault(("metrics", i, *_at_fault(metric, mismatch)), mismatch)


def _loss(loss: Loss, examples: Examples) -> Iterator[Fault]:
    if mismatch := loss.mismatch(examples):
        known: dict[str, Any] = members(Loss)
        fitting = [name for name, other in known.items() if other.model_construct().mismatch(examples) is None]
        if loss.name in fitting:  # with its defaults: one of its settings is at fault, which it names
            yield Fault(("loss", *_at_fault(loss, mismatch)), mismatch)
        else:
            yield Fault(("loss",), mismatch, f"losses that fit: {', '.join(fitting) or 'none'}")


def _at_fault(definition: Definition, mismatch: str) -> list[str]:
    """Give the setting that a mismatch names, if it was given."""
    return [key for key in sorted(definition.model_fields_set) if f"`{key}`" in mismatch][:1]


def _target_scale(loss: Loss, data: Dataset, sections: Mapping[str, Any]) -> Iterator[Fault]:
    examples = sections.get("examples")
    is_fitting = examples is None or examples.task == loss.task
    if is_fitting and loss.raw_targets and data.target_scale != "none":
        is_given = "target_scale" in data.model_fields_set
        message = f"`{loss.name}` needs targets as they are, but data.target_scale is {data.target_scale}"
        yield Fault(("data", "target_scale") if is_given else ("loss",), message, "set data.target_scale=none")


def _classes(examples: Examples) -> Iterator[Fault]:
    if examples.task == "classification" and (found := len(np.unique(examples.targets))) < 2:
        message = f"classification needs at least 2 classes, but the data have {found}"
        yield Fault(("data",), message, underline="key")


def _optimizer(
    optimizer: Optimizer, model: Model, loss: Loss, prior: Prior | None, sections: Mapping[str, Any]
) -> Iterator[Fault]:
    steps = _steps_per_epoch(sections)
    if mismatch := optimizer.mismatch(model, loss, prior, steps):
        known: dict[str, Any] = members(Optimizer)
        fitting = [
            name for name, cls in known.items() if cls.model_construct().mismatch(model, loss, prior, steps) is None
        ]
        is_batch = optimizer.mismatch(model, loss, prior, 1) is None
        hint = "set training.batch_size=full" if is_batch else f"rules that fit: {', '.join(fitting)}"
        yield Fault(("optimizer",), mismatch, hint)


def _steps_per_epoch(sections: Mapping[str, Any]) -> int | None:
    """Count the steps of the largest fold, once the data are known and can be split."""
    known = {**dict(sections.get("training", {})), **sections}
    if not {"data", "batch_size", "examples"} <= known.keys():
        return None
    largest = largest_train(known["data"], known["examples"])
    if largest is None:
        return None
    return 1 if known["batch_size"] == "full" else num_steps(largest, known["batch_size"])


def _clipping(optimizer: Optimizer, clip_value: float | None, clip_norm: float | None) -> Iterator[Fault]:
    if isinstance(optimizer, FirstOrder):
        return
    for key, limit in (("clip_value", clip_value), ("clip_norm", clip_norm)):
        if limit is not None:
            message = f"`{optimizer.name}` does more with a gradient than follow it, so it cannot be clipped"
            yield Fault(("training", key), message, "leave it out")


def _schedule(optimizer: Optimizer, schedule: Schedule) -> Iterator[Fault]:
    is_plain = schedule.name == "constant" and not schedule.warmup
    if "lr" not in type(optimizer).model_fields and not is_plain:
        message = f"`{optimizer.name}` has no learning rate, so a schedule changes nothing"
        yield Fault(("schedule",), message, "leave schedule out")


def _batch(data: Dataset, batch_size: int | str, examples: Examples) -> Iterator[Fault]:
    largest = largest_train(data, examples)
    if batch_size != "full" and largest is not None and int(batch_size) > largest:
        message = f"a batch of {batch_size} is larger than the training part, which has {largest} examples"
        yield Fault(("training", "batch_size"), message, f"set training.batch_size={largest} or less, or full")


def _curvature_batch(data: Dataset, curvature: Curvature, examples: Examples) -> Iterator[Fault]:
    largest = largest_train(data, examples)
    if curvature.batch_size is not None and largest is not None and curvature.batch_size > largest:
        message = f"a batch of {curvature.batch_size} is larger than the training part, which has {largest} examples"
        yield Fault(("curvature", "batch_size"), message, f"set curvature.batch_size={largest} or less, or null")


def _landscape_part(data: Dataset, landscape: Landscape) -> Iterator[Fault]:
    if landscape.part == "valid" and data.split.valid == 0:
        message = "there is no validation part to look at: data.split.valid is 0"
        yield Fault(("landscape", "part"), message, "set landscape.part=train or data.split.valid>0")


def _start(surface: Surface, start: Sequence[float] | None) -> Iterator[Fault]:
    if start is not None and len(start) != surface.dimension:
        message = f"`start` has {len(start)} numbers, but `{surface.name}` has {surface.dimension} variables"
        yield Fault(("start",), message, "give one for each, or leave it out")


def _surface_optimizers(optimizers: Sequence[Optimizer]) -> Iterator[Fault]:
    for i, optimizer in enumerate(optimizers):
        if optimizer.needs_outputs:
            message = f"`{optimizer.name}` needs the outputs of a model, which an analytic surface has not"
            known: dict[str, Any] = members(Optimizer)
            fitting = ", ".join(name for name, other in known.items() if not other.needs_outputs)
            yield Fault(("optimizers", i), message, f"rules that fit: {fitting}")


RULES: tuple[Callable[..., Iterator[Fault]], ...] = (
    _seeds,
    _precision,
    split_settings,
    _early_stopping,
    _plateau,
    _patience,
    _batch_of_one,
    _metrics,
    _loss,
    _target_scale,
    _classes,
    split_of_data,
    split_draws,
    _batch,
    _curvature_batch,
    _optimizer,
    _schedule,
    _clipping,
    _landscape_part,
    _start,
    _surface_optimizers,
)
