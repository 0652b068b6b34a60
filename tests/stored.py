"""Run directories made by hand: what a list of runs reads of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reporting.results import finished, member

CONFIG = """\
data: {name: digits}
model: {name: mlp, hidden: [64, 32]}
loss: cross_entropy
optimizer: adam
"""
RESOLVED = """\
name: small
seeds: 1
data:
  name: digits
  scale: standard
model:
  name: mlp
  hidden:
  - 64
  - 32
  activation:
    name: relu
  dropout: 0.0
loss:
  name: cross_entropy
optimizer:
  name: adam
  lr: 0.001
training:
  epochs: 30
metrics:
- name: accuracy
device: auto
"""


def stored(folder: Path, name: str = "r", *, result: Any = None, resolved: str | None = RESOLVED, **facts: Any) -> Path:
    """Make the folder of a run."""
    run = folder / name
    run.mkdir(parents=True)
    noted = {"id": name, "command": "train", "created": "2026-11-28T10:00:00+00:00", "status": "done", **facts}
    (run / "run.json").write_text(json.dumps(noted))
    if result is not None:
        (run / "result.json").write_text(json.dumps(result))
    if resolved is not None:
        (run / "config.resolved.yaml").write_text(resolved)
        (run / "config.input.yaml").write_text(CONFIG)
    return run


def training(accuracy: float, **more: Any) -> dict[str, Any]:
    """Give the result of a training whose test accuracy is so high."""
    one = member(0)
    one["test"]["accuracy"] = accuracy
    return {**finished([one]), "higher_is_better": {"accuracy": True}, **more}
