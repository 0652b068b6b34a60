"""Append-only logs of one JSON object per line; a torn last line, which a crash may leave, is tolerated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dlx.core.errors import RunError
from dlx.tracking.files import finite, naming_failures, write_atomic


class Ledger:
    """A JSONL file that is open for appending; every line is flushed as it is written.

    Args:
        path: The file; made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with naming_failures("open", path):
            self._file = path.open("a", encoding="utf-8")

    def append(self, value: dict[str, Any]) -> None:
        """Write one object as a line; NaN and infinities become null.

        Raises:
            RunError: If the disk is full.
        """
        with naming_failures("write", self.path):
            self._file.write(json.dumps(finite(value), ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()

    def sync(self) -> None:
        """Wait until what was written is on the disk: a saved state must not know more lines than a power loss leaves.

        Raises:
            RunError: If the disk is full.
        """
        with naming_failures("write", self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file.

        Raises:
            RunError: If the disk is full and a line that ``append`` could not write is still waiting.
        """
        with naming_failures("write", self.path):
            self._file.close()


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a ledger.

    Args:
        path: The file; one that is missing has no objects.

    Raises:
        RunError: If a line other than a torn last one is no JSON object.
    """
    if not path.exists():
        return []
    with naming_failures("read", path):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    values = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):  # no newline after it: empty, or torn by a crash
                break
            raise _damage(path, number, line) from error
        if not isinstance(value, dict):
            raise _damage(path, number, line)
        values.append(value)
    return values


def _damage(path: Path, number: int, line: str) -> RunError:
    found = f"expected a JSON object, found {line[:60]!r}"
    return RunError(f"{path}, line {number} is damaged: {found}; restore it from a copy, or train anew")


def rewrite_ledger(path: Path, values: list[dict[str, Any]]) -> None:
    """Replace a ledger by the given objects, atomically."""
    write_atomic(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))
