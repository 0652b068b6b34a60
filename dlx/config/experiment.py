"""The schema of a config, and how one is loaded, written out and described."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from pydantic import Field, PositiveInt, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from dlx.config.diagnostics import Fault, KeyPath, render
from dlx.config.explain import CONFLICT, explain, problems
from dlx.config.keys import members, value_at
from dlx.config.overrides import apply_overrides
from dlx.config.source import FLOAT, LEADING_ZERO, NOT_FINITE, Source, read_source
from dlx.core.definition import Dataset, Loss, Metric, Model, Optimizer, Prior, Schedule
from dlx.core.errors import ConfigError
from dlx.core.registry import Registered, registered
from dlx.core.settings import Settings, Training

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=64)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NumSeeds = Annotated[PositiveInt, Field(le=100_000)]
Seeds = Annotated[tuple[Seed, ...], Field(strict=False, min_length=1)]
DEFAULT_METRICS = {"classification": "accuracy", "regression": "r2"}


def _build(family: type[Any], name: str) -> Any:
    """Build a definition with its defaults; its family is imported only here."""
    return registered(family)[name]()


def _default_metrics(validated: dict[str, Any]) -> tuple[Metric, ...]:
    return (_build(Metric, DEFAULT_METRICS[validated["loss"].task]),)


class Experiment(Settings):
    """An experiment of dlx: data, model, loss, and how they are trained."""

    name: Name | None = None
    """Name of the experiment in the names of its runs: at most 64 letters, digits, `.`, `_`, `-`, not beginning with
    `.`; null takes that of the config file."""
    seeds: NumSeeds | Seeds = 1
    """Seeds of initial weights and of the order of examples: a number n stands for 0 to n-1, a list for itself."""
    data: Annotated[Dataset, Registered()]
    """The data set, its split and its scale."""
    model: Annotated[Model, Registered()]
    """The function that is trained."""
    loss: Annotated[Loss, Registered()]
    """What training lowers: the negative log-likelihood of each example."""
    prior: Annotated[Prior, Registered()] | None = None
    """Prior on the weights, which makes the result a maximum a posteriori; null is maximum likelihood."""
    optimizer: Annotated[Optimizer, Registered()] = Field(
        default_factory=partial(_build, Optimizer, "adam"), json_schema_extra={"default": "adam"}
    )
    """The update rule and its learning rate."""
    schedule: Annotated[Schedule, Registered()] = Field(
        default_factory=partial(_build, Schedule, "constant"), json_schema_extra={"default": "constant"}
    )
    """What the learning rate is multiplied with, step by step."""
    metrics: Annotated[tuple[Annotated[Metric, Registered()], ...], Field(strict=False)] = Field(
        default_factory=_default_metrics
    )
    """What is measured besides the loss: accuracy for classes and r2 for values unless given."""
    training: Training = Training()
    """How long and in what portions."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$")] = "auto"
    """Where to compute: cpu, cuda, cuda:N for the GPU numbered N; auto takes a GPU if there is one."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of parameters and data."""
    tf32: bool = False
    """Whether a GPU may round the factors of float32 products to 10 bits: faster, less exact."""
    threads: Annotated[PositiveInt, Field(le=256)] = 1
    """Kernel threads of one worker."""

    @property
    def seed_list(self) -> Sequence[int]:
        """The seeds, one by one."""
        return range(self.seeds) if isinstance(self.seeds, int) else self.seeds

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        conflicts = [
            InitErrorDetails(
                type=PydanticCustomError(CONFLICT, "{message}", {"message": fault.message, "hint": fault.hint}),
                loc=fault.path,
                input=None,
            )
            for fault in _conflicts(self)
        ]
        if conflicts:
            raise ValidationError.from_exception_data("Experiment", conflicts)
        return self


@dataclass(frozen=True)
class Loaded:
    """A config that has been read: what it means, and how it is written."""

    experiment: Experiment
    source: Source


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read, override and validate a config file.

    Args:
        path: The file.
        overrides: ``KEY=VALUE`` strings, applied in their order.

    Returns:
        The experiment, its ``name`` filled in, and its source.

    Raises:
        UsageError: If there is no such file, or it cannot be read.
        ConfigError: If the config has faults; the message shows all of them.
    """
    source = apply_overrides(read_source(path), overrides, Experiment)
    faults = list(source.faults)
    try:
        experiment = _validate(source)
    except ValidationError as error:
        # What cannot be read has no value, so what the schema says about it would be misleading.
        unread = {fault.path for fault in faults if fault.path}
        faults += [fault for fault in explain(error, source, Experiment) if not _begins_with(fault.path, unread)]
    if faults:
        raise ConfigError(render(faults, source))
    name = experiment.name or _name_of_file(path)
    return Loaded(experiment.model_copy(update={"name": name}), source)


def resolved_yaml(experiment: Experiment) -> str:
    """Write a config with every default filled in; it loads again to an equal experiment."""
    tree = experiment.model_dump(mode="json")
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def json_schema() -> dict[str, Any]:
    """Describe the config as a JSON Schema (2020-12), for editors that complete and check YAML."""
    schema = Experiment.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "dlx experiment"}


class _Dumper(yaml.SafeDumper):
    """Puts into quotes what our reader, not PyYAML's, would take for something else than text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own interface


for _tag, _pattern in (
    ("null", re.compile(r"null|~|")),
    ("bool", re.compile(r"true|false")),
    ("int", re.compile(r"[-+]?(0|[1-9][0-9]*)")),
    ("float", FLOAT),
    ("unreadable", re.compile(f"{LEADING_ZERO.pattern}.*|{NOT_FINITE.pattern}")),
):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern.pattern})$"), None)


def _validate(source: Source) -> Experiment:
    """Validate the tree; a scalar without quotes is text where the schema wants text: ``name: 1e-3``."""
    try:
        return Experiment.model_validate(source.tree)
    except ValidationError as error:
        wanted = [one.path for one in problems(error, source.tree) if one.error["type"] == "string_type"]
        texts = {path: source.places[path].text for path in wanted if path in source.places}
        texts = {path: text for path, text in texts.items() if text is not None}
        if not texts:
            raise
        for path, text in texts.items():
            value_at(source.tree, path[:-1])[path[-1]] = text
        return Experiment.model_validate(source.tree)


def _begins_with(path: KeyPath, prefixes: set[KeyPath]) -> bool:
    return any(path[:length] in prefixes for length in range(1, len(path) + 1))


def _name_of_file(path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip(".")[:64]
    return name or "experiment"


def _conflicts(experiment: Experiment) -> Iterator[Fault]:
    """Find the keys that contradict each other, whatever the data."""
    yield from _split_conflicts(experiment)
    yield from _metric_conflicts(experiment)
    yield from _precision_conflicts(experiment)
    if not isinstance(experiment.seeds, int):
        for i, seed in enumerate(experiment.seeds):
            if seed in experiment.seeds[:i]:
                yield Fault(("seeds", i), f"the seed {seed} is given twice")


def _precision_conflicts(experiment: Experiment) -> Iterator[Fault]:
    """Find numbers that are 0 or infinite once they are rounded to the precision of the training."""
    kind = np.dtype(experiment.dtype).type
    for section in ("loss", "prior", "optimizer", "schedule"):
        definition = getattr(experiment, section)
        for name, value in definition.tunables().items() if definition else ():
            with np.errstate(over="ignore"):
                rounded = float(kind(value))
            if value and (rounded == 0 or not np.isfinite(rounded)):
                message = f"`{section}.{name}` is {value:g}, which is {rounded:g} in {experiment.dtype}"
                yield Fault((section, name), message, "take a less extreme number, or dtype=float64")


def _split_conflicts(experiment: Experiment) -> Iterator[Fault]:
    split = experiment.data.split
    at = ("data", "split")
    if split.folds is None:
        test = 0.2 if split.test is None else split.test
        if split.valid + test >= 1:
            message = f"the fractions for validation and test, {split.valid:g} + {test:g}, leave nothing for training"
            key = "test" if "test" in split.model_fields_set else "valid"
            yield Fault((*at, key), message, "their sum must be less than 1")
        if split.fold:
            yield Fault((*at, "fold"), "a `fold` without `folds`", "set data.split.folds")
    else:
        if split.fold >= split.folds:
            message = f"there is no fold {split.fold}: with folds={split.folds} they are 0 to {split.folds - 1}"
            yield Fault((*at, "fold"), message)
        if split.test is not None:
            hint = "leave `test` out, or set data.split.folds=null"
            yield Fault((*at, "test"), "`test` together with `folds`: the held-out fold is the test part", hint)
    if split.valid == 0 and experiment.training.early_stopping is not None:
        message = "early stopping needs a validation part, but data.split.valid is 0"
        hint = "set training.early_stopping=null or data.split.valid>0"
        is_given = "early_stopping" in experiment.training.model_fields_set
        yield Fault(("training", "early_stopping") if is_given else (*at, "valid"), message, hint)


def _metric_conflicts(experiment: Experiment) -> Iterator[Fault]:
    names = [metric.name for metric in experiment.metrics]
    task = experiment.loss.task
    for i, metric in enumerate(experiment.metrics):
        if metric.name in names[:i]:
            yield Fault(("metrics", i), f"the metric `{metric.name}` is given twice")
        if task not in metric.tasks:
            message = f"`{metric.name}` is a metric for {metric.tasks[0]}, but `{experiment.loss.name}` is for {task}"
            known: dict[str, Any] = members(Metric)
            fitting = ", ".join(name for name, other in known.items() if task in other.tasks)
            yield Fault(("metrics", i), message, f"for {task}: {fitting}")
