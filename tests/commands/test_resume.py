"""Stopped anywhere, a run goes on to the same bits; what cannot go on is named."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.runs import SMALL, begin, crash, finish, metrics, outcome, small_run, status, weights, write_config
from safetensors.torch import save_file

from dlx.commands.resume import resume
from dlx.commands.train import train
from dlx.core.errors import CheckpointError, DivergedError, PartlyDivergedError, RunError, UsageError
from dlx.reporting.gallery import TITLES

# Seeds that stop early, one by one, so that the population is compacted between.
SEEDS = ["seeds=5", "training.epochs=12", "training.early_stopping={patience: 2}", "schedule=linear_decay"]
DIVERGING = ["loss=mse", "data=diabetes", "model=linear", "optimizer={name: sgd, lr: 1e6}"]
STATE = "checkpoints/state.safetensors"
pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut five members into two populations, on any machine."""
    monkeypatch.setattr("dlx.engine.fit.CHUNK_BYTES", (1, 1 << 22))
    monkeypatch.setattr("dlx.engine.fit.num_workers", lambda *_: 2)


def stop_and_resume(folder: Path, overrides: list[str], num_points: int, seed: int) -> None:
    """Stop at seeded records, sometimes twice, and compare with the run that was never stopped."""
    records = list(train(write_config(folder), overrides, folder / "runs"))
    expected = outcome(records[0].run_dir)  # type: ignore[union-attr]
    rng = np.random.default_rng(seed)
    for number, after in enumerate(rng.choice(len(records) - 2, num_points, replace=False).tolist()):
        run = crash(train(folder / "small.yaml", overrides, folder / "runs"), after, number % 2 == 0)
        assert status(run) == ("failed" if number % 2 == 0 else "running")
        if number % 3 == 0:
            crash(resume(run, []), int(rng.integers(12)), leaves_a_note=False)
        if status(run) != "done":
            assert finish(resume(run, [])) == run
        assert outcome(run) == expected, f"stopped after record {after}"
        assert status(run) == "done"


@pytest.mark.slow  # five seeds at once are stopped below
@pytest.mark.usefixtures("step_by_step")
def test_a_lone_seed_stopped_at_ten_points(tmp_path: Path) -> None:
    stop_and_resume(tmp_path, [], 10, seed=0)


@pytest.mark.usefixtures("step_by_step")
def test_five_seeds_stopped_at_five_points(tmp_path: Path) -> None:
    stop_and_resume(tmp_path, SEEDS, 5, seed=1)


@pytest.mark.slow
@pytest.mark.usefixtures("step_by_step", "chunks")
def test_two_populations_stopped_at_five_points(tmp_path: Path) -> None:
    stop_and_resume(tmp_path, SEEDS, 5, seed=2)


@pytest.mark.slow
@pytest.mark.usefixtures("step_by_step")
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_stopped_at_hundreds_of_points(tmp_path: Path, seed: int, optimizer: str) -> None:
    overrides = [f"seeds={1 + seed % 4}", f"optimizer={optimizer}", "training.epochs=6"]
    stop_and_resume(tmp_path, overrides, 15, seed=seed)


@pytest.mark.usefixtures("step_by_step", "chunks")
def test_a_population_that_ended_before_its_company(tmp_path: Path) -> None:
    expected = outcome(small_run(tmp_path, *SEEDS))
    ends = [
        max(line["epoch"] for line in expected["metrics"] for m in line["members"] if m["seed"] in part)
        for part in ((0, 1), (2, 3, 4))
    ]
    assert max(ends) > min(ends) + 1, "one population must end before the other"
    run = crash(train(tmp_path / "small.yaml", SEEDS, tmp_path / "runs"), 5 * min(ends) + 7)
    assert len(metrics(run)) == min(ends) + 1
    finish(resume(run, []))
    assert outcome(run) == expected


@pytest.mark.usefixtures("step_by_step")
def test_stopped_before_its_first_state(tmp_path: Path) -> None:
    expected = outcome(small_run(tmp_path))
    run = crash(train(tmp_path / "small.yaml", [], tmp_path / "runs"), 0)
    assert not (run / STATE).exists()
    finish(resume(run, []))
    assert outcome(run) == expected


@pytest.mark.usefixtures("step_by_step")
@pytest.mark.parametrize(
    "at", ["preprocessing", "describe_environment", "describe", "keep_epochs", "build_populations"]
)
def test_stopped_before_its_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """Wherever it was stopped once there is a config, nothing is lost: it begins again."""
    expected = outcome(small_run(tmp_path))

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"dlx.commands.train.{at}", stop)
        with pytest.raises(KeyboardInterrupt):
            finish(train(tmp_path / "small.yaml", [], tmp_path / "second"))
    (run,) = (tmp_path / "second").iterdir()
    finish(resume(run, []))
    assert outcome(run) == expected
    assert (run / "preprocessing.json").exists()


@pytest.mark.usefixtures("step_by_step")
def test_stopped_before_its_config(tmp_path: Path) -> None:
    run = crash(train(write_config(tmp_path), [], tmp_path / "runs"), 3)
    (run / "config.resolved.yaml").unlink()
    with pytest.raises(RunError, match="stopped before it began; train anew"):
        finish(resume(run, []))


@pytest.mark.usefixtures("step_by_step")
def test_a_run_that_was_moved_and_torn(tmp_path: Path) -> None:
    expected = outcome(small_run(tmp_path))
    run = crash(train(tmp_path / "small.yaml", [], tmp_path / "runs"), 13).rename(tmp_path / "moved")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "mem')
    (run / ".metrics.jsonl.0000.tmp").write_text("left by a crash")
    (tmp_path / "small.yaml").unlink()
    finish(resume(run, []))
    assert outcome(run) == expected


# More epochs


@pytest.mark.parametrize("overrides", [[], SEEDS])
def test_more_epochs_equal_an_uninterrupted_run(tmp_path: Path, overrides: list[str]) -> None:
    run = small_run(tmp_path, *overrides, "training.epochs=3")
    assert [line["epoch"] for line in metrics(run)] == [1, 2, 3]
    finish(resume(run, ["training.epochs=9"]))
    assert outcome(run) == outcome(small_run(tmp_path, *overrides, "training.epochs=9"))
    assert status(run) == "done"


@pytest.mark.usefixtures("step_by_step")
def test_more_epochs_stopped_and_resumed(tmp_path: Path) -> None:
    expected = outcome(small_run(tmp_path, "training.epochs=6"))
    for after in (0, 1, 4):
        run = small_run(tmp_path, "training.epochs=3")
        crash(resume(run, ["training.epochs=6"]), after, leaves_a_note=False)
        finish(resume(run, []))
        assert outcome(run) == expected


@pytest.mark.usefixtures("step_by_step")
def test_more_epochs_for_a_run_that_was_stopped(tmp_path: Path) -> None:
    run = crash(train(write_config(tmp_path), [], tmp_path / "runs"), 8)
    finish(resume(run, ["training.epochs=6"]))
    assert outcome(run) == outcome(small_run(tmp_path, "training.epochs=6"))


def test_what_resume_refuses(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    before = outcome(run)
    with pytest.raises(RunError, match=r"is done: .* dlx resume .* training.epochs=8") as refused:
        finish(resume(run, []))
    assert refused.value.exit_code == 3
    assert str(run) in str(refused.value)
    with pytest.raises(RunError, match="is done"):
        finish(resume(run, ["training.epochs=4"]))
    for override, shown in {
        "training.epochs=3": "training.epochs: 4 -> 3",
        "optimizer.lr=0.1": "optimizer.lr: 0.05 -> 0.1",
        "seeds=3": "seeds: 1 -> 3",
        "training.batch_size=5": "training.batch_size: 10 -> 5",
        "name=other": 'name: "small" -> "other"',
    }.items():
        for overrides in ([override], ["training.epochs=9", override]):
            with pytest.raises(UsageError, match=r"may only have more training\.epochs.*" + shown) as refused_change:
                finish(resume(run, [overrides[-1]]))
            assert refused_change.value.exit_code == 2
    with pytest.raises(UsageError, match="epochss"):
        finish(resume(run, ["training.epochss=9"]))
    assert outcome(run) == before
    assert status(run) == "done"


@pytest.mark.parametrize("overrides", [["training.early_stopping={patience: 1}", "training.epochs=200"], DIVERGING])
def test_more_epochs_for_nobody_are_refused_at_once(tmp_path: Path, overrides: list[str]) -> None:
    records = train(write_config(tmp_path), overrides, tmp_path / "runs")
    run = begin(records)
    with contextlib.suppress(DivergedError):
        list(records)
    for more in ([], ["training.epochs=400"]):
        with pytest.raises(RunError, match="every seed stopped early or diverged, so more epochs would change nothing"):
            finish(resume(run, more))


def test_an_extended_run_has_no_result_until_it_is_done_again(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    (run / "figures").mkdir()
    for name in ("learning_curve", *TITLES):
        (run / "figures" / f"{name}.png").touch()
    crash(resume(run, ["training.epochs=9"]), 1, leaves_a_note=False)
    for name in ("result.json", "learned.json", "timing.json", "report.md"):
        assert not (run / name).exists()
    assert list((run / "figures").iterdir()) == []
    finish(resume(run, []))
    assert json.loads((run / "result.json").read_text())["members"][0]["last_epoch"] == 9


@pytest.mark.usefixtures("step_by_step")
def test_fewer_epochs_than_were_done_are_named(tmp_path: Path) -> None:
    run = crash(train(write_config(tmp_path), [], tmp_path / "runs"), 12, leaves_a_note=False)
    config = run / "config.resolved.yaml"
    for epochs in (1, 2):
        config.write_text(config.read_text().replace("epochs: 4", f"epochs: {epochs}"))
        with pytest.raises(
            CheckpointError, match=rf"is in epoch 3, but .* training\.epochs={epochs}; set it to 3 or mo"
        ):
            finish(resume(run, []))
        config.write_text(config.read_text().replace(f"epochs: {epochs}", "epochs: 4"))
    finish(resume(run, []))


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl"])
def test_nesting_without_end_is_damage(tmp_path: Path, name: str) -> None:
    run = crash(train(write_config(tmp_path), [], tmp_path / "runs"), 1, leaves_a_note=False)
    (run / name).write_text("[" * 100_000 + "\n")
    with pytest.raises(RunError, match="damaged"):
        finish(resume(run, []))


def test_run_json_keeps_what_began_the_run(tmp_path: Path) -> None:
    run = crash(train(write_config(tmp_path), [], tmp_path / "runs"), 1)
    first = json.loads((run / "run.json").read_text())
    finish(resume(run, []))
    finish(resume(run, ["training.epochs=6"]))
    facts = json.loads((run / "run.json").read_text())
    assert (facts["argv"], facts["started"]) == (first["argv"], first["started"])
    assert [set(each) for each in facts["resumed"]] == [{"argv", "started"}] * 2


def test_diverged_runs_are_done(tmp_path: Path) -> None:
    overrides = ["optimizer={name: sgd, lr: 1e30}", "model.activation=identity"]
    records = train(write_config(tmp_path), overrides, tmp_path / "runs")
    run = begin(records)
    with pytest.raises(DivergedError):
        list(records)
    assert status(run) == "done"
    with pytest.raises(RunError, match="is done"):
        finish(resume(run, []))


# Damage


@pytest.fixture
def stopped(tmp_path: Path, step_by_step: None) -> Path:
    return crash(train(write_config(tmp_path), [], tmp_path / "runs"), 13)


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_damaged_state(stopped: Path) -> None:
    path, whole = stopped / STATE, (stopped / STATE).read_bytes()
    tampered = whole.replace(b'\\"epoch\\": 2', b'\\"epoch\\": 1')
    assert tampered != whole
    for content, message in {
        whole[:-1]: "truncated or damaged",
        whole[:100]: "truncated or damaged",
        b"": "truncated or damaged",
        b"not a checkpoint\n" * 50: "truncated or damaged",
        whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]: "does not match its checksum",
        tampered: "does not match its checksum",
        (stopped / "config.resolved.yaml").read_bytes(): "truncated or damaged",
    }.items():
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message) as error:
            finish(resume(stopped, []))
        assert str(path) in str(error.value)
        assert error.value.exit_code == 3
    assert status(stopped) == "failed", "a refusal leaves the run's own status"
    path.write_bytes(whole)
    finish(resume(stopped, []))


def test_deleting_the_state_starts_again(stopped: Path, tmp_path: Path) -> None:
    (stopped / STATE).unlink()
    finish(resume(stopped, []))
    assert outcome(stopped) == outcome(small_run(tmp_path))


def test_foreign_state(stopped: Path, tmp_path: Path) -> None:
    path = stopped / STATE
    other = small_run(tmp_path, "optimizer.lr=0.04")
    shutil.copy(other / STATE, path)
    with pytest.raises(CheckpointError, match=r"belongs to another experiment: .* train anew with: dlx train"):
        finish(resume(stopped, []))
    shutil.copy(other / "checkpoints" / "best.safetensors", path)
    with pytest.raises(CheckpointError, match="belongs to another experiment"):
        finish(resume(stopped, []))
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="is not a checkpoint of dlx"):
        finish(resume(stopped, []))


@pytest.mark.parametrize("change", [("lr: 0.05", "lr: 0.06"), ("noise: 0.2", "noise: 0.3"), ("- 5", "- 6")])
def test_an_edited_config(stopped: Path, change: tuple[str, str]) -> None:
    path = stopped / "config.resolved.yaml"
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    with pytest.raises(CheckpointError, match="belongs to another experiment: the config or the data"):
        finish(resume(stopped, []))


def test_other_data(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.commands.plan.hash_examples", lambda _: "0" * 64)
    with pytest.raises(CheckpointError, match="belongs to another experiment: the config or the data"):
        finish(resume(stopped, []))


def edit(lines: list[str], kind: str) -> list[str]:
    value = json.loads(lines[0])
    if kind == "torn in the middle":
        return [lines[0][:30], *lines[1:]]
    if kind == "no object":
        return ["[1, 2]", *lines[1:]]
    if kind == "a digit":
        value["members"][0]["train"]["loss"] += 0.001
    elif kind == "no members":
        value = {"epoch": 1}
    elif kind == "odd types":
        value |= {"epoch": "one", "members": [3]}
    elif kind == "missing line":
        return lines[1:]
    elif kind == "empty":
        return []
    elif kind == "other order":
        return lines[::-1]
    return [json.dumps(value), *lines[1:]]


@pytest.mark.parametrize(
    "kind",
    ["torn in the middle", "no object", "a digit", "no members", "odd types", "missing line", "empty", "other order"],
)
def test_damaged_records(stopped: Path, kind: str) -> None:
    path = stopped / "metrics.jsonl"
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    path.write_text("".join(line + "\n" for line in edit(lines, kind)))
    with pytest.raises(RunError, match=r"metrics\.jsonl.*restore it from a copy") as error:
        finish(resume(stopped, []))
    assert error.value.exit_code == 3
    assert status(stopped) == "failed"


def test_foreign_records(stopped: Path, tmp_path: Path) -> None:
    other = small_run(tmp_path, "seeds=[7]")
    shutil.copy(other / "metrics.jsonl", stopped / "metrics.jsonl")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is damaged or of another run"):
        finish(resume(stopped, []))


@pytest.mark.parametrize(("name", "content"), [("run.json", "{"), ("run.json", "[]"), ("run.json", "{}")])
def test_damaged_run(stopped: Path, name: str, content: str) -> None:
    (stopped / name).write_text(content)
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        finish(resume(stopped, []))


def test_damaged_config(stopped: Path) -> None:
    (stopped / "config.resolved.yaml").write_text("name: [")
    with pytest.raises(UsageError, match=r"config\.resolved\.yaml"):
        finish(resume(stopped, []))


def test_not_a_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", write_config(tmp_path)):
        with pytest.raises(RunError, match="is not a run"):
            finish(resume(path, []))


def test_in_use(tmp_path: Path) -> None:
    records = train(write_config(tmp_path), [], tmp_path / "runs")
    run = begin(records)
    with pytest.raises(RunError, match="is in use by another process"):
        finish(resume(run, []))
    assert finish(records) == run, "who holds the run is not disturbed"


def test_partly_diverged_runs_can_have_more_epochs(tmp_path: Path) -> None:
    text = SMALL.replace("two_moons, num_examples: 80", "diabetes").replace("binary_cross_entropy", "mse")
    overrides = ["seeds=6", "optimizer={name: sgd, lr: 0.4}", "training.epochs=6"]

    def run_with(*more: str) -> Path:
        records = train(write_config(tmp_path, text), [*overrides, *more], tmp_path / "runs")
        run = begin(records)
        with pytest.raises(PartlyDivergedError, match=r"of 6 members diverged \(seed"):
            list(records)
        return run

    run = run_with()
    expected = outcome(run_with("training.epochs=9"))
    records: Any = resume(run, ["training.epochs=9"])
    with pytest.raises(PartlyDivergedError):
        list(records)
    assert outcome(run) == expected
    assert weights(run)
