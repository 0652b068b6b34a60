"""Weights for everyone, states for resume."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.runs import SMALL, begin, finish, outcome, small_run, status, weights, write_config
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.datasets import load_iris
from torch.nn import Linear, ReLU, Sequential

import dlx.commands.train as train_module
from dlx.commands.resume import resume
from dlx.commands.train import train
from dlx.core.errors import RunError
from dlx.data.splits import Splitter
from dlx.datasets.iris import Iris
from dlx.tracking.ledger import Ledger

IRIS = """\
data: {name: iris, scale: standard}
model: {name: mlp, hidden: [8, 6], activation: relu}
loss: cross_entropy
optimizer: {name: adam, lr: 0.02}
metrics: [accuracy]
training: {epochs: 15, batch_size: 16}
device: cpu
"""
pytestmark = pytest.mark.usefixtures("no_pictures")


def test_the_log_is_on_the_disk_before_the_state_that_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    save, sync = train_module.save_state, Ledger.sync
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(train_module, "save_state", lambda *args: (order.append("save"), save(*args)))
    monkeypatch.setattr(Ledger, "sync", lambda ledger: (order.append("sync"), sync(ledger)))
    small_run(tmp_path)
    assert order == ["sync", "save"] * (len(order) // 2)
    assert len(order) > 2


@pytest.mark.parametrize("kind", ["best", "last"])
def test_weights_in_plain_torch_give_the_scores_of_the_result(tmp_path: Path, kind: str) -> None:
    run = small_run(tmp_path, text=IRIS)
    module = Sequential(Linear(4, 8), ReLU(), Linear(8, 6), ReLU(), Linear(6, 3))
    module.load_state_dict(load_file(run / "checkpoints" / f"{kind}.safetensors"))
    scaling = json.loads((run / "preprocessing.json").read_text())
    (member,) = scaling["members"]
    iris = load_iris()
    scaled = (iris.data - member["inputs"]["shift"]) / member["inputs"]["scale"]
    outputs = module(torch.tensor(scaled, dtype=torch.float32)).detach()
    (result,) = json.loads((run / "result.json").read_text())["members"]
    scores = result if kind == "best" else result["last"]
    examples = Iris().load()
    for part, indices in Splitter(examples, Iris().split).parts(0).named().items():
        targets = torch.tensor(iris.target[indices])
        accuracy = (outputs[indices].argmax(1) == targets).double().mean()
        loss = torch.nn.functional.cross_entropy(outputs[indices].double(), targets)
        assert scores[part]["accuracy"] == pytest.approx(float(accuracy))
        assert scores[part]["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert scaling["task"] == "classification"
    assert scaling["targets"] == iris.target_names.tolist()
    assert len(scaling["features"]) == 4


def test_scaling_is_of_the_training_part_alone(tmp_path: Path) -> None:
    text = SMALL.replace("two_moons, num_examples: 80", "diabetes, scale: standard, target_scale: standard")
    run = small_run(tmp_path, "seeds=2", "data.split.seed=null", text=text.replace("binary_cross_entropy", "mse"))
    from dlx.datasets.diabetes import Diabetes

    dataset = Diabetes.model_validate({"split": {"seed": None}})
    examples = dataset.load()
    members = json.loads((run / "preprocessing.json").read_text())["members"]
    assert [member["seed"] for member in members] == [0, 1]
    for member in members:
        train_part = Splitter(examples, dataset.split).parts(member["seed"]).train
        inputs, targets = examples.inputs[train_part], examples.targets[train_part]
        np.testing.assert_allclose(member["inputs"]["shift"], inputs.mean(0), atol=1e-12)
        np.testing.assert_allclose(member["inputs"]["scale"], inputs.std(0))
        np.testing.assert_allclose(member["targets"]["shift"], targets.mean(0))
        np.testing.assert_allclose(member["targets"]["scale"], targets.std(0))
    assert members[0] != members[1]


def test_files_of_several_seeds(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=[3, 0]")
    assert sorted(weights(run)) == [
        f"checkpoints/seed-{seed}/{kind}.safetensors" for seed in (0, 3) for kind in ("best", "last")
    ]
    alone = small_run(tmp_path, "seeds=[3]")
    for kind in ("best", "last"):
        assert (
            weights(run)[f"checkpoints/seed-3/{kind}.safetensors"] == weights(alone)[f"checkpoints/{kind}.safetensors"]
        )


@pytest.mark.usefixtures("step_by_step")
def test_last_weights_of_an_interrupted_run_are_where_it_stands(tmp_path: Path) -> None:
    import signal

    from dlx.core.errors import RunInterruptedError

    records = train(write_config(tmp_path), ["seeds=2"], tmp_path / "runs")
    run = begin(records, 10)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(RunInterruptedError):
        list(records)
    two_epochs = small_run(tmp_path, "seeds=2", "training.epochs=2")
    assert weights(run) == weights(two_epochs), "10 steps are two epochs"


def test_the_state_has_the_rest_in_its_header_and_no_pickle(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    with safe_open(run / "checkpoints" / "state.safetensors", "pt") as file:
        header = file.metadata()
        names = set(file.keys())
    state = json.loads(header["dlx"])["state"]
    assert state["populations"][0]["epoch"] == 4
    assert {"0.weights", "0.best_weights", "0.last_weights"} <= names
    for path in run.rglob("*"):
        assert path.suffix in {"", ".json", ".jsonl", ".yaml", ".md", ".safetensors", ".png", ".lock"}
        if path.is_file():
            assert not path.read_bytes().startswith((b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK\x03\x04"))


# A full disk


class FullDisk:
    """Lets so many fsyncs pass."""

    def __init__(self, num_left: int) -> None:
        self.num_left = num_left
        self._fsync = os.fsync

    def __call__(self, descriptor: int) -> None:
        self.num_left -= 1
        if self.num_left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fsync(descriptor)


def test_a_disk_that_fills_at_any_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = outcome(small_run(tmp_path))
    num_writes = 0
    while True:
        disk = FullDisk(num_writes)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", disk)
            try:
                finish(train(tmp_path / "small.yaml", [], tmp_path / f"runs-{num_writes}"))
                break
            except RunError as error:
                message = str(error)
        assert "no space left on device; free some space or choose another --runs-dir" in message
        assert f"cannot write {tmp_path}" in message
        (run,) = (tmp_path / f"runs-{num_writes}").iterdir()
        assert not list(run.rglob("*.tmp"))
        if (run / "config.resolved.yaml").exists():
            assert status(run) == "running", "the disk takes no notes"
            finish(resume(run, []))
            assert outcome(run) == expected
        num_writes += 1
    assert num_writes > 10


def test_records_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").is_char_device():
        pytest.skip("this machine has no /dev/full")
    from dlx.commands import train as module
    from dlx.tracking.ledger import Ledger

    def full(path: Path) -> Any:
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/full")
        return Ledger(path)

    monkeypatch.setattr(module, "Ledger", full)
    with pytest.raises(RunError, match=r"cannot write .*metrics\.jsonl: no space left on device; free some space"):
        finish(train(write_config(tmp_path), [], tmp_path / "runs"))
