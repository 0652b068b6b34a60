"""The schema of a config, and how one is written out and described."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, Field, PositiveInt
from pydantic.json_schema import models_json_schema

from dlx.config.source import FLOAT, LEADING_ZERO, NOT_FINITE
from dlx.core.comparison import Comparison
from dlx.core.definition import Dataset, Definition, Loss, Metric, Model, Optimizer, Prior, Schedule
from dlx.core.registry import Registered, registered
from dlx.core.settings import (
    CrossValidation,
    Curvature,
    GradCheck,
    Landscape,
    NumSeeds,
    PluginRecord,
    Search,
    Seeds,
    Settings,
    SurfaceComparison,
    SurfaceLandscape,
    Training,
)
from dlx.core.surface import Surface

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=64)]
Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$")]
Plugins = Annotated[tuple[str | PluginRecord, ...], Field(strict=False)]
Threads = Annotated[PositiveInt, Field(le=256)]
DEFAULT_METRICS = {"classification": "accuracy", "regression": "r2"}


def _build(family: type[Any], name: str) -> Any:
    """Build a definition with its defaults; its family is imported only here."""
    return registered(family)[name]()


def _default_metrics(validated: dict[str, Any]) -> tuple[Metric, ...]:
    return (_build(Metric, DEFAULT_METRICS[validated["loss"].task]),)


class Experiment(Settings):
    """An experiment of dlx: data, model, loss, and how they are trained.

    Whether its keys fit each other and the data, ``config/check.py`` says.
    """

    noted: ClassVar[bool] = True
    name: Name | None = None
    """Name of the experiment in the names of its runs: at most 64 letters, digits, `.`, `_`, `-`, not beginning with
    `.`; null takes that of the config file."""
    seeds: NumSeeds | Seeds = 1
    """Seeds of initial weights and of the order of examples: a number n stands for 0 to n-1, a list for itself."""
    plugins: Plugins = ()
    """Python files with definitions of your own, relative to the config; they are executed when it is read. A resolved
    config holds records instead, which are executed only if `--plugin` names the files."""
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
    cv: CrossValidation = CrossValidation()
    """How `dlx cv` judges each setting of a search."""
    search: Search = Search()
    """Which settings `dlx cv` tries; without a space, the config alone."""
    compare: Comparison = Field(default_factory=Comparison, json_schema_extra={"default": {}})
    """How `dlx compare-optimizers` compares."""
    gradcheck: GradCheck = GradCheck()
    """Where `dlx gradcheck` compares gradients."""
    curvature: Curvature = Curvature()
    """What `dlx curvature` looks at."""
    landscape: Landscape = Landscape()
    """Where `dlx landscape` looks."""
    device: Device = "auto"
    """Where to compute: cpu, cuda, cuda:N for the GPU numbered N; auto takes a GPU if there is one."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of parameters and data."""
    tf32: bool = False
    """Whether a GPU may round the factors of float32 products to 10 bits: faster, less exact."""
    threads: Threads = 1
    """Kernel threads of one worker."""

    @property
    def plugin_flags(self) -> list[str]:
        """The words of a command line that name the plugins that were loaded."""
        records = [each for each in self.plugins if isinstance(each, PluginRecord)]
        return [word for record in records for word in ("--plugin", record.path)]

    @property
    def seed_list(self) -> Sequence[int]:
        """The seeds, one by one."""
        return range(self.seeds) if isinstance(self.seeds, int) else self.seeds


class SurfaceExperiment(Settings):
    """An experiment on an analytic surface, which stands for data, model and loss. All is computed in float64."""

    noted: ClassVar[bool] = True
    name: Name | None = None
    """Name of the experiment in the names of its runs: at most 64 letters, digits, `.`, `_`, `-`, not beginning with
    `.`; null takes that of the config file."""
    seeds: NumSeeds | Seeds = 1
    """Seeds of what is drawn: a number n stands for 0 to n-1, a list for itself."""
    plugins: Plugins = ()
    """Files of definitions of your own, as in the config of a model."""
    surface: Annotated[Surface, Registered()]
    """The function."""
    start: Annotated[tuple[float, ...], Field(strict=False)] | None = None
    """The point that is looked at and from which optimizers go down, a number for each variable; null is the
    surface's usual one."""
    optimizers: Annotated[tuple[Annotated[Optimizer, Registered()], ...], Field(strict=False)] = Field(
        default_factory=lambda: (_build(Optimizer, "adam"),), json_schema_extra={"default": ["adam"]}
    )
    """The update rules that go down, each with its learning rate."""
    steps: PositiveInt = 200
    """Steps that each of them takes."""
    curvature: Curvature = Curvature()
    """What `dlx curvature` looks at."""
    landscape: SurfaceLandscape = SurfaceLandscape()
    """Where `dlx landscape` looks."""
    compare: SurfaceComparison = SurfaceComparison()
    """How many races `dlx compare-optimizers` holds."""
    device: Device = "auto"
    """Where to compute: cpu, cuda, cuda:N for the GPU numbered N; auto takes a GPU if there is one."""
    threads: Threads = 1
    """Kernel threads of one worker."""

    @property
    def seed_list(self) -> Sequence[int]:
        """The seeds, one by one."""
        return range(self.seeds) if isinstance(self.seeds, int) else self.seeds

    @property
    def point(self) -> tuple[float, ...]:
        """The point that is looked at, [n]."""
        return self.surface.start if self.start is None else self.start


def resolved_yaml(experiment: Experiment | SurfaceExperiment) -> str:
    """Write a config with every default filled in; it loads again to an equal experiment."""
    tree = experiment.model_dump(mode="json")
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def example_yaml(key: str, definition: Definition) -> str:
    """Write how a config names a definition, every setting spelled out.

    Args:
        key: The key that names it; ``metrics`` takes a list, and ``activation`` stands within a model.
        definition: What is named.
    """
    value: Any = definition.model_dump(mode="json")
    tree = {"model": {"name": "mlp", key: value}} if key == "activation" else {key: value}
    if key == "metrics":
        tree = {key: [value]}
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


def section_yaml(key: str, section: BaseModel) -> str:
    """Write a section of a config, every setting spelled out."""
    tree = {key: section.model_dump(mode="json")}
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)


def json_schema() -> dict[str, Any]:
    """Describe the config as a JSON Schema (2020-12), for editors that complete and check YAML.

    What has a key ``surface`` is a ``SurfaceExperiment``, anything else an ``Experiment``.
    """
    _, schema = models_json_schema([(Experiment, "validation"), (SurfaceExperiment, "validation")])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dlx experiment",
        "if": {"required": ["surface"]},
        "then": {"$ref": "#/$defs/SurfaceExperiment"},
        "else": {"$ref": "#/$defs/Experiment"},
        **schema,
    }


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
