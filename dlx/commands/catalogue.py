"""``dlx list`` and ``dlx describe``: what a config can name, its sections, and what each name means."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from dlx.config.experiment import Experiment, example_yaml, section_yaml
from dlx.config.keys import declared, is_family, members
from dlx.core.definition import Activation, Definition, Loss, Metric, Optimizer
from dlx.core.errors import UsageError
from dlx.core.registry import nearest, plugin_of
from dlx.core.settings import Settings, tunable_names
from dlx.core.surface import Surface
from dlx.core.types import Searched

KINDS: dict[str, type[Definition]] = {
    key: family for key, field in Experiment.model_fields.items() if is_family(family := declared(field.annotation))
} | {"activation": Activation, "surface": Surface}
"""Families by the keys that name their definitions in a config; an activation stands within a model, a surface in a
config of its own."""
SECTIONS: dict[str, type[BaseModel]] = {
    key: section
    for key, field in Experiment.model_fields.items()
    if (section := declared(field.annotation)) is not None and issubclass(section, Settings) and key != "plugins"
}
"""Sections of a config that are no definitions, by their keys."""
SECTION = "section"
"""What ``dlx list`` calls them."""
BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
    "object": "a mapping",
    "any": "any value",
}


def list_definitions(kind: str | None = None) -> str:
    """List the definitions of one kind, or of all and the sections, a line each: name and first sentence.

    Args:
        kind: A key of a config, such as ``optimizer``, or ``section``; None for all.

    Raises:
        UsageError: If there is no such kind.
    """
    kinds = [*KINDS, SECTION]
    if kind is not None and kind not in kinds:
        near = nearest(kind, kinds)
        hint = f"did you mean `{near}`? " if near else ""
        raise UsageError(f"there is no kind of definition `{kind}`; {hint}known: {', '.join(kinds)}")
    blocks = []
    for key in kinds if kind is None else [kind]:
        known: dict[str, Any] = SECTIONS if key == SECTION else dict(members(KINDS[key]))
        width = max(map(len, known))
        lines = [f"  {name.ljust(width)}  {_first_sentence(cls)}{_origin(cls)}" for name, cls in known.items()]
        blocks.append("\n".join([key, *lines]))
    return "\n\n".join(blocks) + "\n"


def describe_definition(name: str) -> str:
    """Describe a definition or a section: what it is, its settings with ranges and defaults, an example to paste.

    Args:
        name: As a config names it. Definitions of several kinds that share a name are all described.

    Raises:
        UsageError: If there is none of that name.
    """
    found = [(key, members(family)[name]) for key, family in KINDS.items() if name in members(family)]
    texts = [_description(key, cls) for key, cls in found]
    texts += [_section_description(name)] if name in SECTIONS else []
    if not texts:
        near = nearest(name, [*(each for family in KINDS.values() for each in members(family)), *SECTIONS])
        hint = f"did you mean `{near}`? " if near else ""
        raise UsageError(f"there is no definition `{name}`; {hint}`dlx list` shows all")
    return "\n\n".join(texts)


def _section_description(key: str) -> str:
    section = SECTIONS[key]
    settings = "\n".join(_settings(section))
    parts = [f"{key} (section of a config)", inspect.getdoc(section) or "", f"Settings:\n{settings}"]
    example = "\n".join(f"  {line}" for line in section_yaml(key, section()).splitlines())
    return "\n\n".join([*parts, f"Example, the defaults:\n{example}"]) + "\n"


def _description(key: str, cls: type[Definition]) -> str:
    definition = cls.model_validate({})
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


def _settings(cls: type[BaseModel]) -> Iterator[str]:
    """Give the lines of each setting: key, range, default; then its meaning."""
    schema = cls.model_json_schema()
    for key, field in _fields(schema, schema, ""):
        if key == "name":
            continue
        is_own = key.partition(".")[0] in cls.model_fields
        default = field.get("default", "required" if is_own else "as the class has it")
        varies = ", may differ between members" if key in tunable_names(cls) else ""
        yield f"  {key}: {_range(field)}; default {_spell_default(default)}{varies}"
        yield f"      {' '.join(field.get('description', '').split())}"


def _spell_default(default: Any) -> Any:
    if isinstance(default, dict):
        settings = ", ".join(f"{key}: {value}" for key, value in default.items())
        return default.get("name", f"{{{settings}}}")
    if isinstance(default, bool) or default is None:
        return {None: "null", True: "true", False: "false"}[default]
    return default


def _fields(section: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk through the fields of a section and of those in it, by their dotted keys."""
    for key, field in section["properties"].items():
        if "$ref" not in field:
            yield prefix + key, field
        for arm in (field, *field.get("anyOf", ())):
            if "$ref" in arm:
                inner = schema["$defs"][arm["$ref"].rpartition("/")[2]]
                yield from _fields(inner, schema, f"{prefix}{key}.")


def _range(field: dict[str, Any]) -> str:
    """Say in words what values a field of a JSON Schema takes."""
    if "enum" in field:
        return f"one of {', '.join(map(str, field['enum']))}"
    if "const" in field:
        return str(field["const"])
    if "anyOf" in field:
        arms = sorted(field["anyOf"], key=lambda arm: arm.get("type") == "array")
        return _range(arms[0]) if "enum" in arms[0] else " or ".join(map(_range, arms))
    return _range_of_type(field)


def _range_of_type(field: dict[str, Any]) -> str:
    """Say the same of a field that names no alternatives."""
    if "prefixItems" in field:
        return f"a list of {', '.join(map(_range, field['prefixItems']))}"
    kind = field.get("type", "object" if "$ref" in field else "any")
    if kind == "array":
        return f"a list, each entry {_range(field['items'])}"
    if kind == "object" and "additionalProperties" in field:
        return f"a mapping, each value {_range(field['additionalProperties'])}"
    bounds = " and ".join(f"{sign} {_number(field[bound])}" for bound, sign in BOUNDS.items() if bound in field)
    return " ".join([TYPES[kind], bounds]).rstrip()


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value else str(value)


def _origin(cls: type[BaseModel]) -> str:
    plugin = plugin_of(cls) if issubclass(cls, Definition) else None
    return f" (from {plugin.file.path.name})" if plugin else ""


def _first_sentence(cls: type[BaseModel]) -> str:
    paragraph = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
    sentence, _, _ = paragraph.partition(". ")
    return f"{sentence.removesuffix('.')}."
