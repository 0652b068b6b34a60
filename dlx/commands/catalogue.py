"""``dlx list`` and ``dlx describe``: what a config can name, and what each name means."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from dlx.config.experiment import Experiment, example_yaml
from dlx.config.keys import declared, is_family, members
from dlx.core.definition import Activation, Definition, Loss, Metric, Optimizer
from dlx.core.errors import UsageError
from dlx.core.registry import nearest, plugin_of
from dlx.core.surface import Surface
from dlx.core.types import Searched

KINDS: dict[str, type[Definition]] = {
    key: family for key, field in Experiment.model_fields.items() if is_family(family := declared(field.annotation))
} | {"activation": Activation, "surface": Surface}
"""Families by the keys that name their definitions in a config; an activation stands within a model, a surface in a
config of its own."""
BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
}


def list_definitions(kind: str | None = None) -> str:
    """List the definitions of one kind, or of all, a line each: name and first sentence.

    Args:
        kind: A key of a config, such as ``optimizer``; None for all.

    Raises:
        UsageError: If there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        near = nearest(kind, list(KINDS))
        hint = f"did you mean `{near}`? " if near else ""
        raise UsageError(f"there is no kind of definition `{kind}`; {hint}known: {', '.join(KINDS)}")
    blocks = []
    for key in KINDS if kind is None else [kind]:
        known = members(KINDS[key])
        width = max(map(len, known))
        lines = [f"  {name.ljust(width)}  {_first_sentence(cls)}{_origin(cls)}" for name, cls in known.items()]
        blocks.append("\n".join([key, *lines]))
    return "\n\n".join(blocks) + "\n"


def describe_definition(name: str) -> str:
    """Describe a definition: what it is, its settings with ranges and defaults, its source, an example to paste.

    Args:
        name: As a config names it. Definitions of several kinds that share a name are all described.

    Raises:
        UsageError: If there is none of that name.
    """
    found = [(key, members(family)[name]) for key, family in KINDS.items() if name in members(family)]
    if not found:
        near = nearest(name, [each for family in KINDS.values() for each in members(family)])
        hint = f"did you mean `{near}`? " if near else ""
        raise UsageError(f"there is no definition `{name}`; {hint}`dlx list` shows all")
    return "\n\n".join(_description(key, cls) for key, cls in found)


def _description(key: str, cls: type[Definition]) -> str:
    definition = cls.example()
    plugin = plugin_of(cls)
    parts = [f"{definition.name} ({cls.family})", inspect.getdoc(cls) or ""]
    parts += [f"From the plugin {plugin.file.path}"] if plugin else []
    traits = "\n".join(f"  {name}: {value}" for name, value in _traits(cls))
    parts += [f"Traits:\n{traits}"] if traits else []
    settings = "\n".join(_settings(cls))
    parts += [f"Settings:\n{settings}"] if settings else []
    example = "\n".join(f"  {line}" for line in example_yaml(key, definition).splitlines())
    return "\n\n".join([*parts, f"Example:\n{example}"]) + "\n"


def _traits(cls: Any) -> Iterator[tuple[str, str]]:
    """Give what a definition says of itself beside its settings."""
    if issubclass(cls, Loss):
        yield "task", cls.task
        yield "distribution", cls.distribution
        if cls.raw_targets:
            yield "targets", "not scaled: data.target_scale=none"
    if issubclass(cls, Metric):
        yield "task", " or ".join(cls.tasks)
        yield "better", "higher" if cls.higher_is_better else "lower"
    if issubclass(cls, Optimizer):
        yield "tuned by compare-optimizers", "; ".join(map(_searched, cls.search_space)) or "nothing"


def _searched(searched: Searched) -> str:
    """Say in words over which range a setting is tuned, and from which budget on."""
    what = f"1 - {searched.key}" if searched.is_complement else searched.key
    budget = f" from {searched.min_trials} trials on" if searched.min_trials > 1 else ""
    return f"{what} {searched.low:g} to {searched.high:g}{budget}"


def _settings(cls: type[Definition]) -> Iterator[str]:
    """Give the lines of each setting: key, range, default; then its meaning."""
    schema = cls.model_json_schema()
    for key, field in _fields(schema, schema, ""):
        if key == "name":
            continue
        is_own = key.partition(".")[0] in cls.model_fields
        default = field.get("default", "required" if is_own else "as the class has it")
        shown = default["name"] if isinstance(default, dict) else "null" if default is None else default
        varies = ", may differ between members" if key in cls.tunable_names() else ""
        yield f"  {key}: {_range(field)}; default {shown}{varies}"
        yield f"      {' '.join(field.get('description', '').split())}"


def _fields(section: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk through the fields of a section and of those in it, by their dotted keys."""
    for key, field in section["properties"].items():
        if "$ref" in field:
            inner = schema["$defs"][field["$ref"].rpartition("/")[2]]
            yield from _fields(inner, schema, f"{prefix}{key}.")
        else:
            yield prefix + key, field


def _range(field: dict[str, Any]) -> str:
    """Say in words what values a field of a JSON Schema takes."""
    if "enum" in field:
        return f"one of {', '.join(map(str, field['enum']))}"
    if "const" in field:
        return str(field["const"])
    if "anyOf" in field:
        arms = sorted(field["anyOf"], key=lambda arm: arm.get("type") == "array")
        return _range(arms[0]) if "enum" in arms[0] else " or ".join(map(_range, arms))
    if "prefixItems" in field:
        return f"a list of {', '.join(map(_range, field['prefixItems']))}"
    if field["type"] == "array":
        return f"a list, each entry {_range(field['items'])}"
    bounds = " and ".join(f"{sign} {field[bound]:g}" for bound, sign in BOUNDS.items() if bound in field)
    return " ".join([TYPES[field["type"]], bounds]).rstrip()


def _origin(cls: type[Definition]) -> str:
    plugin = plugin_of(cls)
    return f" (from {plugin.file.path.name})" if plugin else ""


def _first_sentence(cls: type[Definition]) -> str:
    paragraph = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
    sentence, _, _ = paragraph.partition(". ")
    return f"{sentence.removesuffix('.')}."
