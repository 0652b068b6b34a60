"""Weights of a run, scored again."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from commands.runs import SMALL, begin, finish, small_run, write_config
from commands.searches import small_search
from plugin_files import QUADRATIC, write_plugin
from stored import stored

from dlx.commands.evaluate import evaluate
from dlx.commands.train import train
from dlx.core.errors import CheckpointError, ConfigError, DataError, PartlyDivergedError, RunError, UsageError
from dlx.core.records import PARTS, Finished
from dlx.reporting.evaluation import evaluation_text

pytestmark = pytest.mark.usefixtures("no_pictures", "no_search_pictures")
VALUES = SMALL.replace("two_moons, num_examples: 80", "diabetes").replace("binary_cross_entropy", "mse")
CASES = {
    "one seed": (SMALL, []),
    "seeds": (SMALL, ["seeds=[3, 1]", "model={name: mlp, hidden: [4], batch_norm: true, dropout: 0.5}"]),
    "splits": (SMALL, ["seeds=2", "data.split.seed=null", "metrics=[roc_auc, nll]"]),
    "values": (VALUES, ["loss=gaussian_nll", "metrics=[rmse, nll, r2]", "training.epochs=2"]),
    "no validation": (SMALL, ["data.split.valid=0", "dtype=float64"]),
}


def result(run: Path) -> Any:
    return json.loads((run / "result.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_the_scores_of_the_training_to_the_bit(tmp_path: Path, case: str) -> None:
    text, overrides = CASES[case]
    run = small_run(tmp_path, *overrides, text=text)
    expected = result(run)
    for part in PARTS:
        if part not in expected["summary"]:
            with pytest.raises(UsageError, match=f"has no part `{part}`; there are: train, test"):
                evaluate(run, part)
            continue
        found = evaluate(run, part)
        assert [{"seed": each["seed"], part: each[part]} for each in expected["members"]] == found["members"]
        assert found["summary"] == expected["summary"][part]
        assert (found["is_same"], found["largest_difference"], found["left_out"]) == (True, 0.0, {})
    assert evaluate(run)["part"] == "test"


def test_what_is_said(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=2")
    found = evaluate(run)
    mean = found["summary"]["accuracy"]["mean"]
    lines = evaluation_text(found).splitlines()
    assert lines[0].startswith(f"best weights of {run} on its test part, 16 examples")
    assert lines[1].split() == ["seed", "loss", "accuracy"]
    assert [line.split()[0] for line in lines[2:5]] == ["0", "1", "mean"]
    assert f"{mean:.2f}" in lines[4]
    assert lines[-1] == "the same as result.json, to the last bit"


def test_other_weights_are_not_the_same(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    (run / "checkpoints" / "best.safetensors").write_bytes((run / "checkpoints" / "last.safetensors").read_bytes())
    noted = result(run)
    (member,) = noted["members"]
    member["test"]["loss"] += 0.5
    (run / "result.json").write_text(json.dumps(noted))
    found = evaluate(run)
    assert not found["is_same"]
    assert found["largest_difference"] == abs(found["members"][0]["test"]["loss"] - member["test"]["loss"])
    assert "NOT the same as result.json: scores differ by up to " in evaluation_text(found)


def test_of_a_search_what_it_trained_last(tmp_path: Path) -> None:
    run = small_search(tmp_path)
    refit = result(run)["refit"]
    found = evaluate(run)
    assert found["members"] == [{"seed": refit["seed"], "train": refit["train"]}]
    assert (found["part"], found["is_same"]) == ("train", True)
    idle = small_search(tmp_path / "idle", "cv.refit=false")
    with pytest.raises(RunError, match=f"the search did not train what it chose: dlx train {idle}/best.yaml"):
        evaluate(idle)


def test_seeds_that_diverged_are_left_out(tmp_path: Path) -> None:
    overrides = ["seeds=6", "optimizer={name: sgd, lr: 0.4}"]
    last = None
    with suppress(PartlyDivergedError):
        for record in train(write_config(tmp_path, VALUES), overrides, tmp_path / "runs"):
            last = record
    assert isinstance(last, Finished)
    assert last.result["status"] == "partly_diverged"
    found = evaluate(last.run_dir)
    diverged = [each["seed"] for each in last.result["members"] if each["stop_reason"] == "diverged"]
    assert found["left_out"] == {str(seed): "it diverged" for seed in diverged}
    assert found["summary"] == last.result["summary"]["test"]
    assert f"seed {diverged[0]} is left out: it diverged" in evaluation_text(found)


def test_a_run_that_is_not_done(tmp_path: Path) -> None:
    run = begin(train(write_config(tmp_path), ["seeds=2"], tmp_path / "runs"))
    with pytest.raises(RunError, match=f"to use: seed 0, 1: it has no best weights yet: dlx resume {run}"):
        evaluate(run)
    done = small_run(tmp_path)
    (done / "result.json").unlink()
    found = evaluate(done)
    assert found["is_same"] is None
    assert "no scores of this part to compare with" in evaluation_text(found)


def test_other_data_are_refused(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    config, file = run / "config.resolved.yaml", run / "preprocessing.json"
    text, noted = config.read_text(), json.loads(file.read_text())
    config.write_text(text.replace("noise: 0.2", "noise: 0.3"))
    with pytest.raises(DataError, match="was trained on: the scale of inputs or targets differs"):
        evaluate(run)
    config.write_text(text)
    file.write_text(json.dumps({**noted, "features": ["y", "x"]}))
    with pytest.raises(DataError, match="was trained on: features differs; restore them, or train anew"):
        evaluate(run)


def test_the_constants_are_those_of_the_run(tmp_path: Path) -> None:
    run = small_run(tmp_path, "dtype=float64")
    noted = json.loads((run / "preprocessing.json").read_text())
    before = evaluate(run)
    noted["members"][0]["inputs"]["shift"][0] += 1e-9  # as another machine may fit them
    (run / "preprocessing.json").write_text(json.dumps(noted))
    after = evaluate(run)
    assert not after["is_same"]
    assert after["members"] != before["members"]
    assert after["largest_difference"] < 1e-7


DAMAGED = ("{", "[]", "{}", '{"members": 3}', '{"members": [{"seed": 0, "inputs": 1}]}')


def test_damaged_files(tmp_path: Path) -> None:
    run = small_run(tmp_path, "training.epochs=1")
    whole = (run / "preprocessing.json").read_text()
    for text in DAMAGED:
        (run / "preprocessing.json").write_text(text)
        with pytest.raises(RunError, match=r"preprocessing\.json is damaged"):
            evaluate(run)
    (run / "preprocessing.json").write_text(whole)
    for text in ("{", "[]", '{"members": 3}', '{"members": [{}]}', '{"refit": 1}', '{"members": [{"seed": "a"}]}'):
        (run / "result.json").write_text(text)
        with pytest.raises(RunError, match=r"result\.json is damaged"):
            evaluate(run)
    (run / "result.json").unlink()
    (run / "checkpoints" / "best.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        evaluate(run)


def test_what_has_no_weights(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        evaluate(tmp_path)
    with pytest.raises(RunError, match="is the run of an analysis"):
        evaluate(stored(tmp_path, command="curvature"))
    run = small_run(tmp_path, "training.epochs=1")
    with pytest.raises(UsageError, match="has no part `tests`; known: train, valid, test"):
        evaluate(run, "tests")


def test_a_plugin_must_be_named_again(tmp_path: Path) -> None:
    own = write_plugin(tmp_path, QUADRATIC)
    run = finish(train(write_config(tmp_path), ["model=quadratic"], tmp_path / "runs", [own]))
    with pytest.raises(ConfigError, match=f"add to the command line: --plugin {own}"):
        evaluate(run)
    assert evaluate(run, plugins=[own])["is_same"]
