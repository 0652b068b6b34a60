"""Faults of a config and how they are shown: like a compiler's, with the line, a caret and a way out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dlx.config.source import Source

KeyPath = tuple[str | int, ...]

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
MAX_LINE = 160
MAX_FOUND = 60


@dataclass(frozen=True, order=True)
class Position:
    """Where something stands: in the file, or in an override.

    Attributes:
        in_override: Whether it stands in an override.
        line: Line of the file, or number of the override, from 1.
        column: Column in characters, from 1.
        length: Number of characters, within one line.
    """

    in_override: bool
    line: int
    column: int
    length: int


@dataclass(frozen=True)
class Fault:
    """Something wrong in a config.

    Attributes:
        path: The keys that lead to it.
        message: What was expected and what was found.
        hint: How to mend it, if that is known.
        underline: Whether the key or the value is at fault.
        at: Where it stands, if ``path`` does not say so.
    """

    path: KeyPath
    message: str
    hint: str | None = None
    underline: Literal["key", "value"] = "value"
    at: Position | None = None


def dotted(path: KeyPath) -> str:
    """Write a path of keys as an override does: ``model.hidden.0``."""
    return ".".join(str(key) for key in path)


def describe(value: Any, text: str | None = None) -> str:
    """Say what a value is: "the text `abc`", "a list", "1e-3".

    Args:
        value: A value of a config.
        text: The value as written, if that is known.
    """
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text `{_clipped(value)}`"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return _clipped(text or (str(value).lower() if isinstance(value, bool) else str(value)))


def render(faults: Sequence[Fault], source: Source) -> str:
    """Show faults in the order in which they stand, those of overrides last.

    Args:
        faults: The faults, at least one.
        source: The config that has them.

    Returns:
        Plain text without a final line break; several faults are counted at the end.
    """
    placed = [(position_of(fault, source), fault) for fault in faults]
    placed.sort(key=lambda pair: pair[0] or Position(False, 0, 0, 0))
    blocks = [_block(position, fault, source) for position, fault in placed]
    if len(blocks) > 1:
        where = "" if all(position and position.in_override for position, _ in placed) else f" in {source.path}"
        blocks.append(f"{len(blocks)} faults{where}")
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in "\n".join(blocks))


def position_of(fault: Fault, source: Source) -> Position | None:
    """Find what to underline: the fault's own place, else the key of the innermost section; None is the whole file."""
    if fault.at is not None:
        return fault.at
    for length in range(len(fault.path), 0, -1):
        place = source.places.get(fault.path[:length])
        if place is not None:
            wants_value = length == len(fault.path) and fault.underline == "value" and place.value.length > 0
            return place.value if wants_value or place.key is None else place.key
    return None


def _block(position: Position | None, fault: Fault, source: Source) -> str:
    hint = [] if fault.hint is None else [f"      = {fault.hint}"]
    if position is None:
        return "\n".join([f"{source.path}:1:1: {fault.message}", *hint])
    if position.in_override:
        override = source.overrides[position.line - 1]
        head, gutter, line = f"override '{_one_line(override)}'", "", override
    else:
        head, gutter = f"{source.path}:{position.line}:{position.column}", str(position.line)
        line = LINE_BREAK.split(source.text)[position.line - 1]
    start = max(0, position.column - 1 - MAX_LINE // 2) if len(line) > MAX_LINE else 0
    shown = _one_line(line[start : start + MAX_LINE]).rstrip()
    indent = position.column - 1 - start
    carets = "^" * max(1, min(position.length, MAX_LINE - indent))
    return "\n".join(
        [f"{head}: {fault.message}", f"{gutter:>5} | {shown}".rstrip(), f"      | {' ' * indent}{carets}", *hint]
    )


def _one_line(text: str) -> str:
    """Replace each tab and line break by a blank, so that columns stay."""
    return re.sub("[\t\n\r\x85\u2028\u2029]", " ", text)


def _clipped(text: str) -> str:
    flat = _one_line(text)
    return flat if len(flat) <= MAX_FOUND else f"{flat[:MAX_FOUND]}..."
