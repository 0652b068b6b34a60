"""Writing and reading files so that a crash leaves the old or the new, and every failure names its file."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlx.core.errors import RunError

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
"""Name of a file that is not whole yet."""
REMEDIES = {
    errno.ENOSPC: "; free some space or choose another --runs-dir",
    errno.EDQUOT: "; free some space or choose another --runs-dir",
    errno.EACCES: "; choose a --runs-dir that you may write",
    errno.EROFS: "; choose a --runs-dir that you may write",
    errno.EEXIST: "; choose a --runs-dir that is a folder",
    errno.ENOTDIR: "; choose a --runs-dir that is a folder",
}
"""What to do about an operating system's refusal, by its number."""


@contextlib.contextmanager
def naming_failures(action: str, path: Path) -> Iterator[None]:
    """Turn an operating system's refusal into a RunError that says what failed, where, and why.

    Args:
        action: What is done, as in "write".
        path: The file or folder.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise RunError(f"cannot {action} {path}: {why.lower()}{REMEDIES.get(error.errno or 0, '')}") from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace a file's content whole: temporary file beside it, fsync, rename.

    Raises:
        RunError: If the disk is full or the folder cannot be written; the old content is still there.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with naming_failures("write", path):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Remove what ``write_atomic`` leaves in a folder, not in those below it, where its process is killed."""
    for path in folder.glob(".*.tmp"):
        if TEMPORARY.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with naming_failures("remove", path):
                path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as readable JSON, atomically; NaN and infinities, which JSON has not, become null."""
    write_atomic(path, json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        RunError: If it is missing, truncated or no JSON.
    """
    with naming_failures("read", path):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: expected JSON, found a fault at {error}; restore it from a copy") from error


def finite(value: Any) -> Any:
    """Replace every NaN and infinity in a nested value by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value
