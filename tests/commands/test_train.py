"""``dlx train``: what it leaves, what it repeats, what it refuses before anything is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands.runs import SMALL, begin, finish, metrics, outcome, small_run, status, weights, write_config

from dlx.commands.train import train
from dlx.core.errors import DivergedError, DlxError, PartlyDivergedError, UsageError
from dlx.core.records import EpochDone, Finished, Progress, Started

DIABETES = SMALL.replace("two_moons, num_examples: 80", "diabetes").replace("binary_cross_entropy", "mse")


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


def test_records(tmp_path: Path) -> None:
    first, *middle, last = train(write_config(tmp_path), ["seeds=2"], tmp_path / "runs")
    assert isinstance(first, Started)
    assert (first.num_members, first.epochs, first.epochs_done, first.metric) == (2, 4, None, "accuracy")
    assert first.facts == {
        "data": "two_moons, 80 examples, 2 features, 2 classes, scale standard",
        "split": "48 train, 16 valid, 16 test, stratified, seed 0",
        "model": "mlp, hidden [5], activation relu, init torch, 21 parameters",
        "loss": "binary_cross_entropy",
        "optimizer": "adam, lr 0.05, rho1 0.9, rho2 0.999, delta 1e-08",
        "schedule": "constant",
        "training": "4 epochs at most, 5 steps of 10 examples each, no early stopping",
        "seeds": "0, 1 (on one split)",
        "device": "cpu, float32",
    }
    assert [record.epoch for record in middle if isinstance(record, EpochDone)] == [1, 2, 3, 4]
    assert all(isinstance(record, EpochDone | Progress) for record in middle)
    assert isinstance(last, Finished)
    assert last.run_dir == first.run_dir
    assert read(last.run_dir, "result.json") == json.loads(json.dumps(last.result))


def test_what_a_run_says_of_itself(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=[4, 2]")
    environment = read(run, "environment.json")
    assert (environment["device"], environment["threads"], environment["seeds"]) == ("cpu", 1, [4, 2])
    assert (status(run), read(run, "run.json")["stop_reason"]) == ("done", "done")
    assert (run / "config.input.yaml").read_text() == SMALL, "verbatim, without the overrides"
    timing = read(run, "timing.json")
    assert timing["member_steps"] == 2 * 4 * 5
    assert timing["peak_memory_bytes"]["host"] > 1 << 20
    assert run.name in read(run, "run.json")["id"]
    assert "train-small" in run.name


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = small_run(tmp_path, "seeds=2"), small_run(tmp_path, "seeds=2")
    assert first != second
    assert outcome(first) == outcome(second)
    pictures = sorted(path.name for path in (first / "figures").iterdir())
    assert {"learning_curve.png", "confusion.png", "calibration.png", "regions.png"} <= set(pictures)
    for picture in pictures:
        assert (first / "figures" / picture).read_bytes() == (second / "figures" / picture).read_bytes()


@pytest.mark.usefixtures("no_pictures")
def test_the_resolved_config_repeats_a_run(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=3", "optimizer.lr=1e-2", "data.split.seed=null", "prior=gaussian")
    again = finish(train(run / "config.resolved.yaml", [], tmp_path / "elsewhere"))
    assert outcome(again) == outcome(run)
    assert again.parent == tmp_path / "elsewhere"


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    "split",
    ["{seed: 0}", "{seed: null}", "{folds: 4, fold: 1, repeat: 2, seed: 0}", "{folds: 3, groups: x, seed: null}"],
)
def test_every_seed_equals_its_own_lone_run(tmp_path: Path, split: str) -> None:
    overrides = [f"data.split={split}", "training.epochs=12", "training.early_stopping={patience: 2}"]
    run = small_run(tmp_path, "seeds=5", *overrides)
    result = read(run, "result.json")
    for number in range(5):
        alone = small_run(tmp_path, f"seeds=[{number}]", *overrides)
        assert read(alone, "result.json")["members"] == [result["members"][number]]
        for kind in ("best", "last"):
            expected = weights(run)[f"checkpoints/seed-{number}/{kind}.safetensors"]
            assert weights(alone)[f"checkpoints/{kind}.safetensors"] == expected
        together = [member for line in metrics(run) for member in line["members"] if member["seed"] == number]
        assert [member for line in metrics(alone) for member in line["members"]] == together


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("lr", "error", "word"), [(1e6, DivergedError, "diverged"), (0.4, PartlyDivergedError, "partly_diverged")]
)
def test_divergence(tmp_path: Path, lr: float, error: type[DlxError], word: str) -> None:
    overrides = ["seeds=6", f"optimizer={{name: sgd, lr: {lr}}}"]
    records = train(write_config(tmp_path, DIABETES), overrides, tmp_path / "runs")
    run = begin(records)
    with pytest.raises(error, match=r"seed 0 .*step \d+, last finite loss .* lower optimizer\.lr"):
        list(records)
    result = read(run, "result.json")
    assert result["status"] == read(run, "run.json")["stop_reason"] == word
    assert status(run) == "done"
    diverged = {member["seed"] for member in result["members"] if member["stop_reason"] == "diverged"}
    assert (len(diverged) == 6) == (error is DivergedError)
    for member in result["members"]:
        assert ("first_nonfinite_step" in member) == (member["seed"] in diverged)
        assert ("test" in member) == (member["seed"] not in diverged)
        has_best = (run / "checkpoints" / f"seed-{member['seed']}" / "best.safetensors").exists()
        assert has_best == ("best_epoch" in member), "weights that no epoch chose are not the best"
    assert result["summary"]["num_members"] == 6 - len(diverged)
    assert "NaN" not in (run / "metrics.jsonl").read_text()
    for line in metrics(run):
        for member in line["members"]:
            assert ("divergence" in member) == (member.get("stop_reason") == "diverged") == ("train" not in member)
    assert (run / "report.md").exists()


# Refused before a run directory is made


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.epochs=0"], "must be greater than 0"),
        (["seeds=0"], "seeds"),
        (["seeds=[]"], "seeds"),
        (["name=../../etc"], "name"),
        (["name=a/b"], "name"),
        (["name=.hidden"], "name"),
        (["optimizer.lrr=1"], "did you mean `lr`"),
        (["loss=mse"], "mse"),
        (["training.batch_size=1000"], "larger than the training part"),
        (["data.split.valid=0.001", "data.num_examples=50"], "validation part is empty"),
        (["device=cuda:99"], "cuda:99"),
        (["device=gpu"], "device"),
    ],
)
def test_user_errors_come_before_the_run_directory(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        next(train(write_config(tmp_path), overrides, tmp_path / "runs"))
    assert error.value.exit_code == 2
    assert not (tmp_path / "runs").exists()


def test_a_name_from_a_file_stays_in_its_folder(tmp_path: Path) -> None:
    text = SMALL.replace("name: small\n", "")
    run = finish(train(write_config(tmp_path, text, "..a b$(x).yaml"), [], tmp_path / "runs"))
    assert run.parent == tmp_path / "runs"
    assert "-train-a-b--x--" in run.name


def test_nothing_is_written_beside_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finish(train(write_config(tmp_path), [], Path("out")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "small.yaml"]
    assert len(list((tmp_path / "out").iterdir())) == 1
