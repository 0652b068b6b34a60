"""``KEY=VALUE`` from the command line, applied to a config as if the file said so."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dlx.config.diagnostics import Fault, KeyPath, Position, describe, dotted
from dlx.config.keys import Section, child, chosen, default_name, has_free_keys, is_family, section_at, type_at
from dlx.config.source import MAX_DEPTH, Document, Place, Source, read_yaml

KEY_VALUE = "write KEY=VALUE without blanks, such as optimizer.lr=0.1"


def apply_overrides(source: Source, overrides: Sequence[str], root: Section) -> Source:
    """Apply overrides to a config, from first to last.

    A VALUE is YAML; a mapping replaces its section. Where the file only names a definition, or says nothing of it, a
    key of it is added to the named one or to the default. Whether a key exists is for the schema to say.

    Args:
        source: The config; it stays as it is.
        overrides: ``KEY=VALUE`` strings; KEY is a path of keys such as ``optimizer.lr`` or ``model.hidden.0``. What
            follows a mapping of free keys is one key of it: ``optimizer.lr`` in ``search.space.optimizer.lr``.
        root: The schema of the config.

    Returns:
        The config with the overrides; those that are faulty are not applied, their faults are added.
    """
    changed = replace(
        source, tree=copy.deepcopy(source.tree), places=dict(source.places), overrides=(*source.overrides, *overrides)
    )
    faults = list(source.faults)
    for number, override in enumerate(overrides, len(source.overrides) + 1):
        try:
            _apply(changed, override, number, root)
        except FaultyKeyError as error:
            faults += error.faults
    return replace(changed, faults=tuple(faults))


class FaultyKeyError(Exception):
    """A KEY that leads nowhere, or a VALUE that cannot be read."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__()
        self.faults = faults


def _apply(source: Source, override: str, number: int, root: Section) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        message = "expected KEY=VALUE, found no `=`"
        raise FaultyKeyError(Fault((), message, KEY_VALUE, at=Position(True, number, 1, len(override))))
    keys, positions = _whole_keys(*_read_key(key, number), source.tree, root)
    offset = len(key) + 2
    document = read_yaml(value, lambda first, last: Position(True, number, offset + first, last - first))
    if document.faults:
        raise FaultyKeyError(*(replace(fault, path=tuple(keys)) for fault in document.faults))
    put(source, keys, positions, document, root)


def put(source: Source, keys: Sequence[str], positions: Sequence[Position], document: Document, root: Section) -> None:
    """Put a value at a path of keys.

    Args:
        source: The config; its tree and its places are changed.
        keys: The path.
        positions: Where each key of the path stands.
        document: The value, which becomes part of the tree.
        root: The schema of the config.

    Raises:
        FaultyKeyError: If there is no such path.
    """
    path: KeyPath = ()
    tree: Any = source.tree
    for part, position in zip(keys[:-1], positions, strict=False):
        path = (*path, _entry_key(tree, part, path, position))
        tree = _opened(source, tree, path, position, root)
    path = (*path, _entry_key(tree, keys[-1], path, positions[-1]))
    tree[path[-1]] = document.tree
    _move_places(source, document, path, positions[-1])


def _read_key(key: str, number: int) -> tuple[list[str], list[Position]]:
    """Cut a KEY at its dots: the keys, and where each stands."""
    keys, positions, column = key.split("."), [], 1
    for part in keys:
        positions.append(Position(True, number, column, len(part)))
        column += len(part) + 1
        if not part.strip():
            raise FaultyKeyError(Fault((), "an empty key", KEY_VALUE, at=positions[-1]))
    if len(keys) > MAX_DEPTH:
        raise FaultyKeyError(Fault((), f"nested more than {MAX_DEPTH} levels deep", at=positions[MAX_DEPTH]))
    return [part.strip() for part in keys], positions


def _whole_keys(
    keys: list[str], positions: list[Position], tree: Any, root: Section
) -> tuple[list[str], list[Position]]:
    """Join what follows a mapping of free keys, whose keys may have dots in them."""
    for end in range(1, len(keys) - 1):
        if has_free_keys(type_at(root, tuple(keys[:end]), tree)):
            key = ".".join(keys[end:])
            length = positions[-1].column + positions[-1].length - positions[end].column
            return [*keys[:end], key], [*positions[:end], replace(positions[end], length=length)]
    return keys, positions


def _entry_key(tree: Any, part: str, path: KeyPath, position: Position) -> str | int:
    """Give the key of a mapping, or the index of a list's entry."""
    if not isinstance(tree, list):
        return part
    if part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(tree):
        return int(part)
    entries = f"its entries are 0 to {len(tree) - 1}" if tree else "it has no entries"
    message = f"`{dotted(path)}` is a list and has no entry `{part}`"
    raise FaultyKeyError(Fault((*path, part), message, f"{entries}; to change their number, give all", at=position))


def _opened(source: Source, parent: Any, path: KeyPath, position: Position, root: Section) -> Any:
    """Give the mapping or list at a path; where a definition is only named, or nothing is given, make a mapping."""
    value = child(parent, path[-1])
    if isinstance(value, dict | list):
        return value
    section = chosen(section_at(root, path[:-1], source.tree), parent)
    # Within a definition of an unknown name nobody knows what is one; that name is at fault, not this key.
    is_definition = section is None or is_family(section_at(root, path, source.tree))
    if value is None:
        field = section.model_fields.get(str(path[-1])) if section else None
        default = default_name(field) if field else None
        parent[path[-1]] = {} if default is None else {"name": default}
        source.places[path] = Place(position, position)
    elif isinstance(value, str) and is_definition:
        parent[path[-1]] = {"name": value}
        source.places[*path, "name"] = source.places[path]
    else:
        message = f"`{dotted(path)}` is {describe(value, source.places[path].text)}, which has no keys"
        raise FaultyKeyError(Fault(path, message, at=position))
    return parent[path[-1]]


def _move_places(source: Source, document: Document, path: KeyPath, key: Position) -> None:
    """Let the places at a path be those of an override's VALUE."""
    for old in [place for place in source.places if place[: len(path)] == path]:
        del source.places[old]
    for inner, place in document.places.items():
        source.places[*path, *inner] = place
    value = document.places.get(())
    source.places[path] = replace(value, key=key) if value else Place(key, key)
