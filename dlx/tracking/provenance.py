"""What a run ran on: versions, machine, device, threads, the state of the repository, the data."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from dlx.core.types import Examples

PACKAGES = ("dlx", "torch", "numpy", "scikit-learn", "safetensors", "pydantic", "matplotlib", "polars")


def describe_environment(device: str, threads: int, folder: Path) -> dict[str, Any]:
    """Describe everything outside the config that the bits of a result depend on.

    Args:
        device: What the run trains on.
        threads: Kernel threads of a worker.
        folder: Where to look for a git repository.

    Returns:
        A JSON object.
    """
    return {
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "device": device,
        "threads": threads,
        "mkl_cbwr": os.environ.get("MKL_CBWR"),
        "git": _git(folder),
    }


def hash_examples(examples: Examples) -> str:
    """Hash the content of a data set, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    columns = [values.astype(str) for _, values in sorted(examples.columns.items())]
    for array in (examples.inputs, examples.targets, *columns):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _git(folder: Path) -> dict[str, Any] | None:
    """Give commit and whether files differ from it, or None outside a repository or without git."""

    def ask(*words: str) -> str:
        return subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(folder), *words],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None
