"""Reads a config: source, overrides, schema, and whether its keys fit each other and the data. All faults at once."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from dlx.config.check import contradictions
from dlx.config.diagnostics import Fault, KeyPath, describe, render
from dlx.config.experiment import Experiment, SurfaceExperiment
from dlx.config.explain import explain, problems
from dlx.config.keys import chosen, value_at
from dlx.config.paths import with_absolute_paths
from dlx.config.plugins import read_config
from dlx.config.source import Source, read_source
from dlx.core.definition import Dataset
from dlx.core.errors import ConfigError, DataError, UsageError
from dlx.core.settings import CrossValidation
from dlx.core.types import Examples

Purpose = Literal["train", "cv", "compare"]
Sections = dict[str, Any]
"""What could be read of a config: the value of each key that has no fault, of the top level and of ``training``."""

SURFACE_COMMANDS = ("dlx config", "dlx compare-optimizers", "dlx curvature", "dlx landscape")
"""Commands that read a config of an analytic surface."""
E = TypeVar("E", Experiment, SurfaceExperiment)


@dataclass(frozen=True)
class Loaded:
    """A config that has been read: what it means, and how it is written."""

    experiment: Experiment
    source: Source


@dataclass(frozen=True)
class LoadedSurface:
    """A config of an analytic surface that has been read: what it means, and how it is written."""

    experiment: SurfaceExperiment
    source: Source


def load_experiment(path: Path, overrides: Sequence[str] = (), plugins: Sequence[Path] = ()) -> Loaded:
    """Read, override and validate a config file, whatever its data are.

    Args:
        path: The file.
        overrides: ``KEY=VALUE`` strings, applied in their order.
        plugins: Files that the user names beside it.

    Returns:
        The experiment, its ``name`` filled in, and its source.

    Raises:
        UsageError: If there is no such file, it cannot be read, or a plugin that the user names cannot be loaded.
        ConfigError: If the config has faults; the message shows all of them.
    """
    source = _read_experiment(path, overrides, plugins)
    experiment, sections, faults = interpret(source, Experiment)
    return Loaded(_finish(source, experiment, [*faults, *contradictions(sections)]), source)


def load_surface(path: Path, overrides: Sequence[str] = (), plugins: Sequence[Path] = ()) -> LoadedSurface:
    """Read, override and validate a config of an analytic surface; as ``load_experiment``."""
    source = read_config(path, overrides, plugins, SurfaceExperiment)
    experiment, sections, faults = interpret(source, SurfaceExperiment)
    return LoadedSurface(_finish(source, experiment, [*faults, *contradictions(sections)]), source)


def load_any(path: Path, overrides: Sequence[str] = (), plugins: Sequence[Path] = ()) -> Loaded | LoadedSurface:
    """Read a config of a model or of an analytic surface, whichever it is; as ``load_experiment``."""
    return (load_surface if is_of_surface(path) else load_experiment)(path, overrides, plugins)


def is_of_surface(path: Path) -> bool:
    """Tell whether a config file names an analytic surface, which stands for data, model and loss.

    Raises:
        UsageError: If there is no such file, or it cannot be read.
    """
    tree = read_source(path).tree
    return isinstance(tree, dict) and "surface" in tree


def _read_experiment(path: Path, overrides: Sequence[str], plugins: Sequence[Path]) -> Source:
    """Read a config file that is not one of an analytic surface, with its plugins."""
    if is_of_surface(path):
        raise UsageError(
            f"{path} names a `surface`, a formula that stands for data, model and loss, but here there must be data, "
            f"model and loss; a config of a surface is for: {', '.join(SURFACE_COMMANDS)}"
        )
    return with_absolute_paths(read_config(path, overrides, plugins, Experiment))


def load_experiment_and_data(
    path: Path, overrides: Sequence[str] = (), plugins: Sequence[Path] = (), purpose: Purpose = "train"
) -> tuple[Loaded, Examples]:
    """Read a config and its data, and check both together; afterwards every fold and every seed can be split.

    Args:
        path: The file.
        overrides: ``KEY=VALUE`` strings, applied in their order.
        plugins: Files that the user names beside it.
        purpose: What it is read for. In cross-validation the split is that of the folds of ``cv``, whatever it says of
            a test part or one fold. In a comparison nothing stops early, and unless the config has a seed of the split,
            each seed has a split of its own, but for a time series, which has only one.

    Raises:
        UsageError: If there is no such file, it cannot be read, or a plugin that the user names cannot be loaded.
        ConfigError: If the config has faults or does not fit its data; the message shows all faults.
        DataError: If the config has no fault, but its data cannot be read.
    """
    source = _read_experiment(path, overrides, plugins)
    source = PREPARED[purpose](source)
    experiment, sections, faults = interpret(source, Experiment)
    examples, trouble = None, None
    try:
        dataset = _dataset(sections, source.tree)
        examples = dataset.load() if dataset else None
    except DataError as error:
        trouble = error
    known = sections if examples is None else {**sections, "examples": examples}
    faults += contradictions(known)
    if purpose == "cv" and experiment is not None and experiment.cv.nested and not faults:
        faults = contradictions({**known, "data": _beside_outer_fold(experiment.data)})
    loaded = Loaded(_finish(source, experiment, faults), source)
    if trouble is not None or examples is None:
        raise trouble or AssertionError("a config without faults has data")
    return loaded, examples


def _with_split(source: Source) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Copy what a source says, and give also the split in it, made if it is missing; None where there cannot be one."""
    tree = copy.deepcopy(source.tree)
    data = tree["data"] = {"name": tree["data"]} if isinstance(tree.get("data"), str) else tree.get("data")
    split = data.setdefault("split", {}) if isinstance(data, dict) else None
    return tree, split if isinstance(split, dict) else None


def _for_comparison(source: Source) -> Source:
    """Let nothing stop early, and every seed have a split of its own unless the config says otherwise."""
    tree, split = _with_split(source)
    training = tree.setdefault("training", {})
    if split is None or not isinstance(training, dict):
        return source  # the schema says what is wrong
    if split.get("time_series") is not True:  # which is never shuffled: no seed could redraw it
        split.setdefault("seed", None)
    training["early_stopping"] = None
    return replace(source, tree=tree)


def _with_folds(source: Source) -> Source:
    """Let the split be that of every fold in turn: as many as ``cv`` says, unless a column of the data numbers them."""
    tree, split = _with_split(source)
    if split is None or not isinstance(tree.get("cv", {}), dict):
        return source  # the schema says what is wrong
    cv = tree.get("cv", {})
    folds = cv.get("folds", CrossValidation().folds)
    if folds != "leave_one_out" and not (isinstance(folds, int) and folds >= 2):
        return source
    faults = (*source.faults, *_unfit_folds(split, cv, folds))
    places = dict(source.places)
    if ("cv", "folds") in places and split.get("folds") is None:
        places["data", "split", "folds"] = places["cv", "folds"]
    for key in ("test", "fold", "repeat", "outer_fold"):
        split.pop(key, None)
    split["folds"] = None if split.get("fold_column") else folds
    return replace(source, tree=tree, places=places, faults=faults)


PREPARED: dict[Purpose, Callable[[Source], Source]] = {
    "train": lambda source: source,
    "cv": _with_folds,
    "compare": _for_comparison,
}
"""What a source says for each purpose."""


def _unfit_folds(split: Mapping[str, Any], cv: Mapping[str, Any], folds: int | str) -> Iterator[Fault]:
    """Find where a split as it is written contradicts the folds that ``cv`` wants."""
    given = split.get("folds")
    if given not in (None, folds):
        message = f"`data.split.folds` is {describe(given)}, but `cv.folds` is {describe(folds)}"
        yield Fault(("data", "split", "folds"), message, "leave data.split.folds out")
    if split.get("seed", 0) is None:
        message = "`data.split.seed` is null, but the folds must be the same for every seed and trial"
        yield Fault(("data", "split", "seed"), message, "give it a number; cv.repeats cuts them anew")
    fixed = next((key for key in ("fold_column", "time_series") if split.get(key)), None)
    if fixed is not None and cv.get("repeats", 1) != 1:
        message = f"`{fixed}` leaves no choice of folds, so `cv.repeats` would be the same folds again"
        yield Fault(("cv", "repeats"), message, "leave it out; cv.seeds trains more than once on each fold")
    if folds == "leave_one_out" and cv.get("nested") is True and not split.get("fold_column"):
        message = "nested leave_one_out would train a model for every two examples"
        yield Fault(("cv", "nested"), message, "set cv.folds to a number, or cv.nested=false")


def _beside_outer_fold(data: Dataset) -> Dataset:
    """Give the data with an outer fold set aside, as each study of nested cross-validation sees them."""
    return data.model_copy(update={"split": data.split.model_copy(update={"outer_fold": 0})})


def interpret(source: Source, root: type[E]) -> tuple[E | None, Sections, list[Fault]]:
    """Validate what a source says: the experiment if all is well, what could be read if not, and the faults.

    Args:
        source: The config.
        root: Its schema.
    """
    sections: Sections = {}
    faults = list(source.faults)
    try:
        experiment = _validate(source, sections, root)
    except ValidationError as error:
        experiment = None
        # What cannot be read has no value, so what the schema says about it would be misleading.
        unread = {fault.path for fault in faults if fault.path}
        faults += [fault for fault in explain(error, source, root) if not _begins_with(fault.path, unread)]
    unjudged = {str(key) for fault in faults for key in fault.path}
    if isinstance(source.tree, dict) and "metrics" not in source.tree:
        unjudged.add("metrics")  # they follow from the loss; where that does not fit they are not to blame
    return experiment, {name: value for name, value in sections.items() if name not in unjudged}, faults


def _validate(source: Source, sections: Sections, root: type[E]) -> E:
    """Validate the tree; a scalar without quotes is text where the schema wants text: ``name: 1e-3``."""
    try:
        return root.model_validate(source.tree, context=sections)
    except ValidationError as error:
        wanted = [one.path for one in problems(error, source.tree) if one.error["type"] == "string_type"]
        texts = {path: source.places[path].text for path in wanted if path in source.places}
        texts = {path: text for path, text in texts.items() if text is not None}
        if not texts:
            raise
        for path, text in texts.items():
            value_at(source.tree, path[:-1])[path[-1]] = text
        return root.model_validate(source.tree, context=sections)


def _begins_with(path: KeyPath, prefixes: set[KeyPath]) -> bool:
    return any(path[:length] in prefixes for length in range(1, len(path) + 1))


def _dataset(sections: Sections, tree: Any) -> Dataset | None:
    """Find the data set, also where its split or scale or an unknown key is at fault: they do not change its task."""
    data = tree.get("data") if isinstance(tree, dict) else None
    if "data" in sections or not isinstance(data, dict):
        return sections.get("data")
    reader = chosen(Dataset, data)
    own = {"name", *(reader.model_fields if reader else ())} - (Dataset.model_fields.keys() - {"name"})
    readable: Sections = {}
    with contextlib.suppress(ValidationError):  # there are other sections
        Experiment.model_validate({"data": {k: v for k, v in data.items() if k in own}}, context=readable)
    return readable.get("data")


def _finish(source: Source, experiment: E | None, faults: Sequence[Fault]) -> E:
    """Raise what is wrong, or give the experiment with its name."""
    if faults or experiment is None:
        raise ConfigError(render(faults, source))
    return experiment.model_copy(update={"name": experiment.name or _name_of_file(source.path)})


def _name_of_file(path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip(".")[:64]
    return name or "experiment"
