"""YAML with positions, and without YAML's traps.

Read from PyYAML's events, which know where everything stands. Scalars follow the core schema of YAML 1.2, less its
octal and hexadecimal numbers: ``1e-3`` is a number, ``no``, ``1:30``, ``1_000`` and ``2026-01-01`` are text. What two
readers could understand in two ways is an error: a duplicate key, a leading zero, a tag, an alias.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dlx.config.diagnostics import LINE_BREAK, Fault, KeyPath, Position, describe, render
from dlx.core.errors import ConfigError, UsageError
from dlx.core.registry import nearest

Scalar = str | int | float | bool | None

WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
MAX_DEPTH = 32
MAX_BYTES = 2**18
INTEGER = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Place:
    """Where an entry of the tree stands.

    Attributes:
        key: Its key; None for an entry of a list.
        value: Its value.
        text: The value as written, if it is a scalar without quotes.
    """

    key: Position | None
    value: Position
    text: str | None = None


@dataclass(frozen=True)
class Source:
    """A config as it is written.

    Attributes:
        path: The file.
        text: Its text.
        tree: Its content: dicts, lists and scalars.
        places: Where each entry of the tree stands, by its path of keys.
        faults: What was found wrong while reading.
        overrides: The ``KEY=VALUE`` that were applied.
    """

    path: Path
    text: str
    tree: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    overrides: tuple[str, ...] = ()


@dataclass
class Document:
    """One YAML document; ``tree`` is what could be read of it, and ``complete`` tells whether that is all."""

    tree: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    complete: bool = True


def resolve(text: str) -> tuple[Scalar, str | None]:
    """Give the value of a scalar without quotes, and what is wrong with it, if anything.

    Args:
        text: The scalar as written.

    Returns:
        The value, and a sentence or None.
    """
    if text in WORDS:
        return WORDS[text], None
    if NOT_FINITE.fullmatch(text):
        return text, f"`{text}` is not a finite number"
    if not FLOAT.fullmatch(text):
        return text, None
    if LEADING_ZERO.match(text):
        return text, f"a number must not begin with a zero, as `{text}` does"
    return _whole(text) if INTEGER.fullmatch(text) else _decimal(text)


def _whole(text: str) -> tuple[Scalar, str | None]:
    # The length first: Python refuses to convert thousands of digits.
    fits = len(text) <= 20 and abs(int(text)) < 2**63
    return (int(text), None) if fits else (text, "a whole number must fit into 64 bits")


def _decimal(text: str) -> tuple[Scalar, str | None]:
    value = float(text)
    return (value, None) if math.isfinite(value) else (text, f"`{text}` is too large for a number")


def read_yaml(text: str, locate: Callable[[int, int], Position]) -> Document:
    """Read one YAML document, with all faults that can be found at once.

    Args:
        text: The YAML.
        locate: Turns a first and a last character, as indices into the text, into a position.

    Returns:
        The document with its faults; it is not ``complete`` if reading had to stop.
    """
    reader = _Reader(locate)
    try:
        reader.document.tree = reader.read(text)
    except _StopReadingError:
        reader.document.complete = False
    except yaml.reader.ReaderError as error:
        reader.stop_at(error.position, "a character that must not be in a text file")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reader.stop_at(_index(mark), f"not valid YAML: {error.problem or error.context}", _context(error))
    except (ValueError, OverflowError):
        # PyYAML on an escape beyond Unicode, or on a directive with thousands of digits.
        reader.stop_at(reader.index, "not valid YAML: a number out of range after this")
    return reader.document


def read_source(path: Path) -> Source:
    """Read a config file.

    Args:
        path: The file.

    Returns:
        The source; its ``faults`` (a duplicate key, a leading zero) leave a tree that can be checked further.

    Raises:
        UsageError: If there is no such file, or it cannot be read.
        ConfigError: If it holds no YAML mapping.
    """
    content = _read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source = Source(path, content.decode("utf-8-sig", errors="replace"))
        place = _locator(source.text)(len(content[: error.start].decode("utf-8-sig", errors="replace")), 0)
        fault = Fault((), "not UTF-8 text", "save the file as UTF-8", at=place)
        raise ConfigError(render([fault], source)) from error
    document = read_yaml(text, _locator(text))
    if document.complete and not isinstance(document.tree, dict):
        found = describe(document.tree)
        document.faults.append(Fault((), f"expected a mapping with keys such as `data:` and `model:`, found {found}"))
        document.complete = False
    if not document.complete:
        raise ConfigError(render(document.faults, Source(path, text)))
    return Source(path, text, document.tree, document.places, tuple(document.faults))


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UsageError(f"there is no config file `{path}`{_similar_file(path)}") from error
    except IsADirectoryError as error:
        raise UsageError(f"expected a config file, but `{path}` is a folder") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the config file {str(path)!r}: {error}") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"`{path}` is larger than {MAX_BYTES // 1024} KiB: this is no config file")
    return content


def _similar_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f": there is no folder `{path.parent}`"
    similar = nearest(path.name, sorted(entry.name for entry in path.parent.iterdir() if entry.is_file()))
    return f"; did you mean `{path.with_name(similar)}`?" if similar else ""


def _locator(text: str) -> Callable[[int, int], Position]:
    """Build the function that gives line and column of characters of a file."""
    lines = LINE_BREAK.split(text)
    starts = [0, *(found.end() for found in LINE_BREAK.finditer(text))]

    def locate(first: int, last: int) -> Position:
        line = bisect_right(starts, first) - 1
        end = min(last, starts[line] + len(lines[line].rstrip()))
        return Position(False, line + 1, first - starts[line] + 1, max(end - first, 0))

    return locate


def _context(error: yaml.MarkedYAMLError) -> str | None:
    if "\\t" in str(error.problem):
        return "indent with spaces, not with tabs"
    if error.context and error.context_mark and error.problem_mark:
        return f"{error.context} that begins in line {error.context_mark.line + 1}"
    return None


class _StopReadingError(Exception):
    """Reading cannot go on; the fault is noted."""


def _index(mark: Any) -> int:
    return mark.index if mark else 0


class _Reader:
    """Builds a document from PyYAML's events; ``index`` is how far it came."""

    def __init__(self, locate: Callable[[int, int], Position]) -> None:
        self.document = Document()
        self.index = 0
        self._locate = locate

    def stop_at(self, index: int, message: str, hint: str | None = None) -> None:
        """Note a fault after which nothing can be read."""
        self.document.faults.append(Fault((), message, hint, at=self._locate(index, index + 1)))
        self.document.complete = False

    def read(self, text: str) -> Any:
        """Read the only document; None if there is none."""
        self._events: Iterator[yaml.Event] = yaml.parse(text, yaml.SafeLoader)
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        tree = self._node(self._next(), (), None)
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self.stop_at(_index(after.start_mark), "a second YAML document; a config is one document")
        return tree

    def _next(self) -> yaml.Event:
        event = next(self._events)
        self.index = _index(event.end_mark)
        return event

    def _span(self, first: yaml.Event, last: yaml.Event) -> Position:
        return self._locate(_index(first.start_mark), _index(last.end_mark))

    def _note(self, event: yaml.Event, path: KeyPath, message: str, hint: str | None = None) -> None:
        at = self._span(event, event)
        self.document.faults.append(Fault(path, message, hint, at=at))

    def _node(self, event: yaml.Event, path: KeyPath, key: Position | None) -> Any:
        if len(path) > MAX_DEPTH:
            self._note(event, path, f"nested more than {MAX_DEPTH} levels deep")
            raise _StopReadingError
        value, last, text = self._value(event, path)
        self.document.places[path] = Place(key, self._span(event, last), text)
        return value

    def _value(self, event: yaml.Event, path: KeyPath) -> tuple[Any, yaml.Event, str | None]:
        """Give the value, the event that ends it and the text of a scalar without quotes."""
        if isinstance(event, yaml.AliasEvent):
            self._note(event, path, "an alias, which a config cannot have", "write the value out again")
            return None, event, None
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self._note(event, path, f"an anchor, `&{event.anchor}`, which a config cannot have")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            self._note(event, path, f"a tag, `{event.tag}`, which a config cannot have")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(path)
        return self._mapping(path)

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> tuple[Scalar, yaml.Event, str | None]:
        if SURROGATE.search(event.value):
            self._note(event, path, "half of a surrogate pair, which is no character")
            return None, event, None
        if not event.implicit[0]:
            return event.value, event, None
        value, complaint = resolve(event.value)
        if complaint:
            self._note(event, path, complaint, "write it in quotes if it is text")
        return value, event, event.value

    def _list(self, path: KeyPath) -> tuple[list[Any], yaml.Event, None]:
        entries: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            entries.append(self._node(event, (*path, len(entries)), None))
        return entries, event, None

    def _mapping(self, path: KeyPath) -> tuple[dict[str, Any], yaml.Event, None]:
        entries: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key in entries:
                first = self.document.places[*path, key].key
                line = f"it is in line {first.line} already" if first and not first.in_override else None
                self._note(event, (*path, key), f"the key `{key}` is given twice", line)
            entries[key] = self._node(self._next(), (*path, key), self._span(event, event))
        return entries, event, None

    def _key(self, event: yaml.Event, path: KeyPath) -> str:
        """Give a key; one that is no text is a fault, and gives a stand-in."""
        key = self._node(event, (*path, "?"), None)
        if isinstance(key, str):
            return key
        stand_in = event.value if isinstance(event, yaml.ScalarEvent) else "?"
        self._note(event, (*path, stand_in), "a key must be text", "write it in quotes if it is meant as text")
        return stand_in
