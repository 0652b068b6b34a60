"""Small runs of commands: started, stopped dead, and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from dlx.commands.train import train
from dlx.core.errors import DivergedError
from dlx.core.records import Finished, Record, Started

SMALL = """\
name: small
data: {name: two_moons, num_examples: 80, split: {valid: 0.2, test: 0.2, seed: 0}}
model: {name: mlp, hidden: [5]}
loss: binary_cross_entropy
optimizer: {name: adam, lr: 0.05}
training: {epochs: 4, batch_size: 10, early_stopping: null}
device: cpu
"""

FILES = ("result.json", "learned.json", "report.md", "preprocessing.json")


def write_config(folder: Path, text: str = SMALL, name: str = "small.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def begin(records: Iterator[Record], num_records: int = 0) -> Path:
    """Take the first record and so many more, and give the run directory; the generator stands where it is."""
    first = next(records)
    assert isinstance(first, Started)
    for _, _ in zip(range(num_records), records, strict=False):
        pass
    return first.run_dir


def finish(records: Iterator[Record], diverges: bool = False) -> Path:
    """Run a command to its end, be it that everything diverges."""
    last = None
    with pytest.raises(DivergedError) if diverges else nullcontext():
        for record in records:
            last = record
    assert isinstance(last, Finished)
    return last.run_dir


def crash(records: Any, num_records: int, leaves_a_note: bool = True) -> Path:
    """Stop a command dead after so many records, as an error does, or as the end of the process does."""
    path = begin(records, num_records)
    records.close()
    facts = json.loads((path / "run.json").read_text())
    if not leaves_a_note and facts["status"] == "failed":
        (path / "run.json").write_text(json.dumps({**facts, "status": "running", "stop_reason": None}))
    return path


def small_run(folder: Path, *overrides: str, text: str = SMALL) -> Path:
    """Train to the end."""
    return finish(train(write_config(folder, text), overrides, folder / "runs"))


def metrics(run: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl less its clock values."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def status(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text())["status"])


def weights(run: Path) -> dict[str, bytes]:
    """Read every file of weights."""
    files = sorted(path for path in (run / "checkpoints").rglob("*.safetensors") if path.stem != "state")
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def outcome(run: Path) -> dict[str, Any]:
    """Give all that must be equal, to the bit, between a run and its repetition."""
    files = {name: (run / name).read_bytes() for name in FILES}
    return {
        "metrics": metrics(run),
        "weights": weights(run),
        "resolved": (run / "config.resolved.yaml").read_text(),
        **files,
    }
