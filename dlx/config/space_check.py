"""What is wrong with a search: keys that cannot vary, values that cannot be, settings that cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, product
from math import prod
from typing import Any, NamedTuple

from dlx.config.diagnostics import Fault, KeyPath, Position, position_of
from dlx.config.experiment import Experiment
from dlx.config.keys import members, scalar_types, type_at
from dlx.config.overrides import FaultyKeyError
from dlx.config.source import Source
from dlx.config.space import SPACE, Dimension, Space
from dlx.core.definition import Metric
from dlx.core.registry import nearest
from dlx.core.settings import Search

MAX_CHECKS = 500
"""How many settings are checked before a search begins; others, if there are more, when they are drawn."""
VARIABLE = ("model", "loss", "prior", "optimizer", "schedule", "training", "data.scale", "data.target_scale")
FIXED = {
    "data": "every trial must see the same examples in the same folds",
    "seeds": "every trial has the seeds of `cv.seeds`, so that their scores are paired",
    "metrics": "every trial must be measured alike",
}
NOT_TRIED = "it says how the whole search runs, not what is tried"


class Probe(NamedTuple):
    """A value of a dimension, and where in the source it stands."""

    value: Any
    origin: KeyPath


Setting = dict[str, Probe]
"""A probe for every dimension, by key."""
Mistake = tuple[Position | None, str]
"""What tells faults of several settings apart: where, and the message."""


def space_faults(space: Space) -> list[Fault]:
    """Find what is wrong with a search.

    Every value is tried with every choice of the sections, and of a grid every setting, up to ``MAX_CHECKS`` each.

    Args:
        space: The space, unchecked.
    """
    search = space.loaded.experiment.search
    faults = [*_score(space), *_simpler(search)]
    sound = []
    for dimension in space.dimensions:
        own = [*_key(dimension, space), *_range(dimension)]
        faults += [*own, *_repeated(dimension)]
        sound += [] if own else [dimension]
    if len(sound) == len(space.dimensions):
        faults += _method(space, search)
    return [*faults, *_setting_faults(space, sound, search)]


def score_name(experiment: Experiment) -> str:
    """Name what decides between settings: a metric, or ``loss``."""
    return experiment.cv.score or next((metric.name for metric in experiment.metrics), "loss")


def _score(space: Space) -> Iterator[Fault]:
    experiment = space.loaded.experiment
    metrics = [metric.name for metric in experiment.metrics]
    score = score_name(experiment)
    if score not in ("loss", *metrics):
        near = nearest(score, ["loss", *metrics])
        hint = f"did you mean `{near}`? " if near else ""
        more = ", or add it to `metrics`" if score in members(Metric) else ""
        message = f"`{score}` is not measured, so it cannot decide"
        yield Fault(("cv", "score"), message, f"{hint}known: {', '.join(['loss', *metrics])}{more}")
    for dimension in space.dimensions:
        is_loss = dimension.key.split(".")[0] == "loss"
        if score == "loss" and (is_loss or dimension.key == "data.target_scale") and len(dimension.grid()) > 1:
            what = "losses" if is_loss else "scales of the targets"
            message = f"settings with different {what} cannot be compared by the loss"
            hint = f"set cv.score={metrics[0]}" if metrics else "give `metrics`, whose first decides"
            yield Fault((*SPACE, dimension.key), message, hint, underline="key")


def _simpler(search: Search) -> Iterator[Fault]:
    known = list(search.space)
    for i, entry in enumerate(search.simpler or ()):
        if (key := entry.removeprefix("-")) not in known:
            near = nearest(key, known)
            hint = f"did you mean `{near}`? " if near else ""
            message = f"`{key}` is no key of the space"
            yield Fault(("search", "simpler", i), message, f"{hint}known: {', '.join(known) or 'none'}")


def _key(dimension: Dimension, space: Space) -> Iterator[Fault]:
    key, path = dimension.key, (*SPACE, dimension.key)
    top = key.split(".")[0]
    if top in Experiment.model_fields and not any(f"{key}.".startswith(f"{each}.") for each in VARIABLE):
        reason = FIXED.get(top, NOT_TRIED)
        hint = f"what can vary: {', '.join(VARIABLE)}"
        yield Fault(path, f"`{key}` cannot vary: {reason}", hint, underline="key")
    for other in space.dimensions:
        if key.startswith(f"{other.key}.") and None in (other.values or ()):
            message = f"`{key}` has no place where `{other.key}` is null"
            yield Fault(path, message, _within(key, other.key), underline="key")


def _within(key: str, section: str) -> str:
    return f"write `{key.removeprefix(f'{section}.')}` into those choices of `{section}` that have it"


def _range(dimension: Dimension) -> Iterator[Fault]:
    if (of := dimension.range) is None:
        return
    if of.low >= of.high:
        message = f"`low` must be less than `high`, found {of.low} and {of.high}"
        yield Fault((*SPACE, dimension.key, "low"), message)
    if of.log and of.low <= 0:
        message = f"a range that is even in the logarithm must begin above 0, found {of.low}"
        yield Fault((*SPACE, dimension.key, "low"), message)


def _repeated(dimension: Dimension) -> Iterator[Fault]:
    values = dimension.values or ()
    for i, value in enumerate(values):
        if value in values[:i]:
            yield Fault((*SPACE, dimension.key, i), f"the value {_shown(value)} is given twice")


def _method(space: Space, search: Search) -> Iterator[Fault]:
    if search.method == "grid":
        size = prod(len(dimension.grid()) for dimension in space.dimensions)
        if search.trials not in (None, size):
            message = f"the grid has {size} setting{'s' * (size > 1)}, but search.trials is {search.trials}"
            yield Fault(("search", "trials"), message, "leave it out, or set search.method=random")
    elif not space.dimensions:
        yield Fault(("search", "method"), f"`{search.method}` has nothing to draw: search.space is empty")
    elif search.method == "cma_es" and not any(dimension.range for dimension in space.dimensions):
        hint = "give a key as {low: ..., high: ...}, or set search.method=tpe"
        yield Fault(("search", "method"), "`cma_es` needs a range of numbers, but the space has lists alone", hint)


def _setting_faults(space: Space, dimensions: list[Dimension], search: Search) -> list[Fault]:
    """Try settings and say once what is wrong with them, and with which other values it is.

    A value that is at fault with whatever it was tried would be so all over a grid, so it is left out there.
    """
    probes = {dimension.key: _probes(dimension) for dimension in dimensions}
    found: dict[Mistake, Fault] = {}
    passed: set[int] = set()
    for setting in islice(_settings(probes), MAX_CHECKS):
        if not _note(space, setting, probes, found):
            passed |= {id(probe) for probe in setting.values()}
    if search.method == "grid":
        grid = [[probe for probe in each if id(probe) in passed] for each in probes.values()]
        for point in islice(product(*grid), MAX_CHECKS):
            _note(space, dict(zip(probes, point, strict=True)), probes, found)
    return list(found.values())


def _note(
    space: Space, setting: Setting, probes: Mapping[str, list[Probe]], found: dict[Mistake, Fault]
) -> dict[Mistake, Fault]:
    """Add the faults of a setting to those that are known, and give them."""
    examined = _examined(space, setting)
    for mistake, fault in examined.items():
        if mistake not in found:
            found[mistake] = _with_cause(space, setting, mistake, fault, probes)
    return examined


def _probes(dimension: Dimension) -> list[Probe]:
    """Give the values to try; of a range its ends: what fits there fits between."""
    path = (*SPACE, dimension.key)
    if dimension.range is None:
        return [Probe(value, (*path, i)) for i, value in enumerate(dimension.values or ())]
    return [Probe(dimension.range.low, (*path, "low")), Probe(dimension.range.high, (*path, "high"))]


def _settings(probes: Mapping[str, list[Probe]]) -> Iterator[Setting]:
    """Give every choice of sections with each value of every other key, those of the rest being first."""
    sections = [key for key in probes if "." not in key]
    first = {key: probes[key][0] for key in probes if key not in sections}
    changed = [{}, *({key: probe} for key in first for probe in probes[key][1:])]
    for choice in product(*(probes[key] for key in sections)):
        yield from ({**dict(zip(sections, choice, strict=True)), **first, **change} for change in changed)


def _examined(space: Space, setting: Setting) -> dict[Mistake, Fault]:
    """Find the faults of a setting."""
    values = {key: probe.value for key, probe in setting.items()}
    origins = {key: probe.origin for key, probe in setting.items()}
    try:
        source = space.source(values, origins)
    except FaultyKeyError as error:
        faults = list(error.faults)
    else:
        ranges = [dimension for dimension in space.dimensions if dimension.range and dimension.key in setting]
        unfit = list(_unfit_ranges(space, ranges, source.tree))
        experiment, others = space.examine(source)
        others += _own_epochs(space, experiment, source)
        faults = [*unfit, *(each for each in others if not any(_begins(each.path, bad.path) for bad in unfit))]
    return {(fault.at, fault.message): fault for fault in faults}


def _own_epochs(space: Space, experiment: Experiment | None, source: Source) -> Iterator[Fault]:
    """Find epochs of a setting's own where the budget says after how many the worse ones are dropped."""
    written = space.loaded.experiment
    if written.search.budget != "full" and experiment and experiment.training.epochs != written.training.epochs:
        message = f"with search.budget={written.search.budget} every setting has the same training.epochs"
        found = f"{message}, {written.training.epochs}, but this one has {experiment.training.epochs}"
        fault = Fault(("training", "epochs"), found, "set search.budget=full, or leave the epochs out of the space")
        yield replace(fault, at=position_of(fault, source))


def _unfit_ranges(space: Space, ranges: Sequence[Dimension], tree: Any) -> Iterator[Fault]:
    """Find ranges of keys that take no numbers, or whole ones alone."""
    for dimension in ranges:
        key, of, path = dimension.key, dimension.range, _path(dimension.key)
        declared = type_at(Experiment, path, tree)
        if of is None or declared is None:
            continue
        takes, at = scalar_types(declared), space.loaded.source.places[*SPACE, key].value
        if not takes & {int, float}:
            yield Fault(path, f"`{key}` takes no numbers, so it has no range", "give a list of values", at=at)
        elif float not in takes and not dimension.is_integer:
            message = f"`{key}` must be a whole number, but the range from {of.low} to {of.high} has fractions"
            yield Fault(path, message, "write `low` and `high` without a point", at=at)


def _path(key: str) -> KeyPath:
    return tuple(key.split("."))


def _begins(path: KeyPath, start: KeyPath) -> bool:
    return path[: len(start)] == start


def _with_cause(
    space: Space,
    setting: Setting,
    mistake: Mistake,
    fault: Fault,
    probes: Mapping[str, list[Probe]],
) -> Fault:
    """Add to a fault the values of other keys without which it would not be."""
    places = space.loaded.source.places
    own = max((key for key in setting if _begins(fault.path, _path(key))), key=len, default=None)
    own = own or next((key for key in setting if places[*SPACE, key].key == fault.at), None)
    cause = dict(setting)
    for key in [key for key in setting if key != own]:
        without = {other: probe for other, probe in cause.items() if other != key}
        others = chain([without], ({**cause, key: probe} for probe in probes[key]))
        if all(mistake in _examined(space, each) for each in others):
            cause = without
    cause.pop(own or "", None)
    if not cause:
        return fault
    where = " and ".join(f"`{key}` is {_shown(probe.value)}" for key, probe in cause.items())
    hint = next((_within(own, key) for key in cause if own and own.startswith(f"{key}.")), fault.hint)
    return Fault(fault.path, f"{fault.message}, where {where}", hint, fault.underline, fault.at)


def _shown(value: Any) -> str:
    """Write a value as a config does, on one line."""
    return json.dumps(value).replace('"', "")
