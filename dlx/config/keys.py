"""Which keys a config may have at each place: a walk through the schema along a tree of values."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Literal, TypeGuard, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dlx.config.diagnostics import KeyPath, dotted
from dlx.core.definition import Definition
from dlx.core.registry import registered

Section = type[BaseModel]
MAX_NESTED = 4


def child(tree: Any, key: str | int) -> Any:
    """Give the entry of a dict or list, or None where there is none."""
    if isinstance(tree, dict):
        return tree.get(key)
    return tree[key] if isinstance(tree, list) and isinstance(key, int) and 0 <= key < len(tree) else None


def value_at(tree: Any, path: KeyPath) -> Any:
    """Give the value at a path of keys, or None where there is none."""
    for key in path:
        tree = child(tree, key)
    return tree


def declared(annotation: Any) -> Section | None:
    """Find the section or family in a field's type, through ``Annotated``, ``| None`` and ``tuple``."""
    if inspect.isclass(annotation) and not get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    if has_free_keys(annotation):
        return None
    return next((found for part in get_args(annotation) if (found := declared(part)) is not None), None)


def has_free_keys(annotation: Any) -> bool:
    """Tell whether a field's type is a mapping whose keys the schema leaves free."""
    return get_origin(annotation) is dict


def scalar_types(annotation: Any) -> set[type]:
    """Name the classes that a field's own value may have, through ``Annotated`` and unions, not within lists."""
    if inspect.isclass(annotation) and not get_args(annotation):
        return {annotation}
    if get_origin(annotation) in (tuple, list, dict, Literal):
        return set()
    return {each for part in get_args(annotation) for each in scalar_types(part)}


def is_family(section: Section | None) -> TypeGuard[type[Definition]]:
    """Tell whether values choose among the definitions of a family by name."""
    return section is not None and issubclass(section, Definition) and inspect.isabstract(section)


def members(section: Section) -> dict[str, type[Definition]]:
    """Give a family's definitions by name; none for a section, which is no family."""
    return registered(section) if is_family(section) else {}


def chosen(section: Section | None, value: Any) -> Section | None:
    """Give the class that reads a value: of a family, the definition that the value names; None if there is none."""
    if not is_family(section):
        return section
    name = value.get("name") if isinstance(value, dict) else value
    return registered(section).get(name) if isinstance(name, str) else None


def default_name(field: FieldInfo) -> str | None:
    """Give the name of the definition that a field holds where the config says nothing."""
    if field.default_factory_takes_validated_data:
        return None
    default = field.get_default(call_default_factory=True)
    return default.name if isinstance(default, Definition) else None


def section_at(root: Section, path: KeyPath, tree: Any) -> Section | None:
    """Find the section or family that the schema declares at a path.

    Args:
        root: The class of the whole config.
        path: Keys from the root.
        tree: The values, which choose the definitions on the way.

    Returns:
        The section or family; None where the schema has neither.
    """
    return declared(type_at(root, path, tree))


def type_at(root: Section, path: KeyPath, tree: Any) -> Any:
    """Find the type that the schema declares at a path, as ``section_at``; None where it declares none."""
    annotation: Any = root
    for key in path:
        if isinstance(key, str) and has_free_keys(annotation):
            annotation = get_args(annotation)[1]
        elif isinstance(key, str):
            reader = chosen(declared(annotation), tree)
            field = reader.model_fields.get(key) if reader else None
            annotation = field.annotation if field else None
        tree = child(tree, key)
    return annotation


def keys_of(section: Section) -> list[str]:
    """Name the keys of a section in their order, less the ``name`` that chooses a definition."""
    return [key for key in section.model_fields if key != "name" or not issubclass(section, Definition)]


def home_of(root: Section, key: str, tree: Any) -> str | None:
    """Say where in the schema a key belongs: in a section, or else in a definition that is not chosen.

    Args:
        root: The class of the whole config.
        key: A key that is not valid where it stands.
        tree: The values, which choose the definitions.

    Returns:
        A sentence, or None if the key belongs nowhere.
    """
    for path, reader in _chosen_sections(root, (), tree):
        if path and key in keys_of(reader):
            return f"`{key}` belongs under `{dotted(path)}:`"
    for path, family in _families(root, (), tree):
        for name, member in members(family).items():
            if key in keys_of(member):
                return f"`{key}` belongs to `{name}` under `{dotted(path)}:`"
    return None


def _chosen_sections(section: Section, path: KeyPath, tree: Any) -> Iterator[tuple[KeyPath, Section]]:
    """Give every section of the config with the class that reads it, from the root down."""
    reader = chosen(section, tree)
    if reader is None or len(path) > MAX_NESTED:
        return
    yield path, reader
    for key, field in reader.model_fields.items():
        if (inner := declared(field.annotation)) is not None:
            value = child(tree, key)
            yield from _chosen_sections(inner, (*path, key), default_name(field) if value is None else value)


def _families(section: Section, path: KeyPath, tree: Any) -> Iterator[tuple[KeyPath, Section]]:
    for at, reader in _chosen_sections(section, path, tree):
        for key, field in reader.model_fields.items():
            if (inner := declared(field.annotation)) is not None and is_family(inner):
                yield (*at, key), inner
