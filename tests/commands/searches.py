"""Small searches: run to their end, stopped dead, and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands.runs import finish, write_config

from dlx.commands.cv import cv
from dlx.core.records import Record, SearchProgress, SearchStarted

SMALL = """\
name: small
data: {name: two_moons, num_examples: 60, split: {valid: 0.2, seed: 0}}
model: {name: mlp, hidden: [4]}
loss: binary_cross_entropy
optimizer: {name: adam, lr: 0.05}
training: {epochs: 4, batch_size: 12, early_stopping: null}
cv: {folds: 3}
search: {space: {optimizer.lr: [0.01, 0.1], model.hidden: [[4], [6]]}}
device: cpu
"""
HALVING = (
    "search={method: random, trials: 6, budget: halving, factor: 2, min_epochs: 2, "
    "space: {optimizer.lr: {low: 0.001, high: 0.3, log: true}, model.hidden: [[4], [6]]}}"
)
RANDOM = "search={method: random, trials: 3, space: {optimizer.lr: {low: 0.001, high: 0.3, log: true}}}"
TPE = "search={method: tpe, trials: 5, batch: 2, space: {optimizer.lr: {low: 0.001, high: 0.3, log: true}}}"

EARLY = ("training.epochs=12", "training.early_stopping={patience: 1, min_delta: 0.02}")
KINDS = {
    "grid": [],
    "tpe": [TPE],
    "halving": [HALVING],
    "stopped early": [HALVING, *EARLY],
    "nested": ["cv.nested=true", "cv.folds=2", "search.space={model.hidden: [[3], [4]]}"],
    "nested halving": ["cv.nested=true", "cv.folds=2", HALVING, *EARLY],
}
"""Overrides of small searches."""

FILES = {
    "run.json", "config.input.yaml", "config.resolved.yaml", "environment.json", "folds.json", "cells.jsonl",
    "trials.jsonl", "result.json", "timing.json", "trials.csv", "report.md", "best.yaml", "preprocessing.json",
    "checkpoints/best.safetensors", "checkpoints/last.safetensors", "checkpoints/state.safetensors",
}  # fmt: skip
BYTES = FILES - {
    "run.json", "environment.json", "timing.json", "report.md", "cells.jsonl", "checkpoints/state.safetensors",
}  # fmt: skip
"""Files that are the same in a repeated search, to the byte."""


def small_search(folder: Path, *overrides: str, text: str = SMALL) -> Path:
    """Search to the end."""
    folder.mkdir(exist_ok=True)
    return finish(cv(write_config(folder, text), overrides, folder / "runs"))


def read(run: Path, name: str = "result.json") -> Any:
    return json.loads((run / name).read_text())


def cells(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "cells.jsonl").read_text().splitlines()]


def cells_by_id(run: Path) -> dict[str, dict[str, Any]]:
    found = cells(run)
    by_id = {line["id"]: line for line in found}
    assert len(by_id) == len(found), "a cell is written once"
    return by_id


def stop(records: Iterator[Record], num_records: int, leaves_a_note: bool = False) -> tuple[Path, bool]:
    """Stop a search dead after its first record and so many more; give its folder, and whether it was under way."""
    first = next(records)
    assert isinstance(first, SearchStarted)
    taken = [record for _, record in zip(range(num_records), records, strict=False)]
    records.close()  # type: ignore[attr-defined]
    path = first.run_dir
    facts = read(path, "run.json")
    if not leaves_a_note and facts["status"] == "failed":  # the end of a process leaves none
        (path / "run.json").write_text(json.dumps({**facts, "status": "running", "stop_reason": None}))
    return path, all(isinstance(record, SearchProgress) for record in taken)


def outcome(run: Path) -> dict[str, Any]:
    """Give all that must be equal, to the byte, between a search and its repetition."""
    files = {name: (run / name).read_bytes() for name in BYTES if (run / name).exists()}
    return {**files, "report": (run / "report.md").read_text().replace(str(run), "RUN"), "cells": cells_by_id(run)}
