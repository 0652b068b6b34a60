"""``dlx cv`` may be stopped anywhere: by an error, by a signal, by the end of its process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands.runs import finish, status, write_config
from commands.searches import KINDS, SMALL, cells, outcome, read, small_search, stop
from commands.test_interrupt import only_run, process, wait_until

from dlx.commands.cv import cv
from dlx.commands.resume import resume
from dlx.core.errors import RunInterruptedError
from dlx.core.records import Cell, Finished, SearchStarted

pytestmark = pytest.mark.usefixtures("no_search_pictures")


@pytest.mark.usefixtures("slice_by_slice")
@pytest.mark.parametrize("kind", KINDS)
def test_stopped_dead_again_and_again(tmp_path: Path, kind: str) -> None:
    """Each resumption is stopped, too, until one comes to the end."""
    expected = outcome(small_search(tmp_path, *KINDS[kind]))
    run, is_going = stop(cv(tmp_path / "small.yaml", KINDS[kind], tmp_path / "runs"), 4)
    times = 0
    while is_going:
        times += 1
        assert times < 100
        assert not (run / "result.json").exists()
        assert status(run) == "running"
        run, is_going = stop(resume(run, []), 4)
    assert times
    assert status(run) == "done"
    assert outcome(run) == expected


@pytest.mark.usefixtures("slice_by_slice")
def test_stopped_by_an_error(tmp_path: Path) -> None:
    expected = outcome(small_search(tmp_path))
    run, _ = stop(cv(tmp_path / "small.yaml", [], tmp_path / "runs"), 3, leaves_a_note=True)
    assert status(run) == "failed"
    first, *_ = records = list(resume(run, []))
    assert isinstance(first, SearchStarted)
    assert first.num_found is not None
    assert isinstance(records[-1], Finished)
    assert outcome(run) == expected


def as_if_killed(done: Path, run: Path) -> None:
    """Copy a search that is done and let it look as if it still ran."""
    shutil.copytree(done, run)
    (run / "run.json").write_text(json.dumps({**read(run, "run.json"), "status": "running", "stop_reason": None}))


@pytest.mark.usefixtures("slice_by_slice")
@pytest.mark.parametrize("kind", ["grid", "tpe", pytest.param("nested halving", marks=pytest.mark.slow)])
def test_killed_between_and_within_lines(tmp_path: Path, kind: str) -> None:
    """Between any two lines of cells.jsonl, in the middle of one, or of a line of trials.jsonl."""
    done = small_search(tmp_path, *KINDS[kind])
    expected = outcome(done)
    lines = (done / "cells.jsonl").read_text().splitlines(keepends=True)
    drawn = (done / "trials.jsonl").read_text().splitlines(keepends=True)
    for number, (kept, letters, told) in enumerate([(0, 0, 0), (1, 1, 0), (len(lines) // 2, 90, 1), (-1, -1, -1)]):
        run = tmp_path / f"killed-{number}"
        as_if_killed(done, run)
        for name in ("result.json", "timing.json", "trials.csv", "report.md", "best.yaml", "preprocessing.json"):
            (run / name).unlink()
        shutil.rmtree(run / "checkpoints")
        (run / "cells.jsonl").write_text("".join(lines[:kept]) + lines[kept][:letters])
        (run / "trials.jsonl").write_text("".join(drawn[:told]) + drawn[told][:30])
        finish(resume(run, []))
        assert outcome(run) == expected


@pytest.mark.parametrize(
    "missing", [["report.md"], ["report.md", "trials.csv", "timing.json"], ["report.md", "trials.csv", "result.json"]]
)
def test_killed_when_all_cells_are_there(tmp_path: Path, missing: list[str], trained: list[Cell]) -> None:
    done = small_search(tmp_path, "cv.nested=true", "cv.folds=2")
    run = tmp_path / "killed"
    as_if_killed(done, run)
    for name in missing:
        (run / name).unlink()
    trained.clear()
    finish(resume(run, []))
    assert trained == []
    assert outcome(run) == outcome(done)


@pytest.mark.usefixtures("slice_by_slice")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_any_two_records(tmp_path: Path, signum: signal.Signals) -> None:
    expected = outcome(small_search(tmp_path, *KINDS["nested"]))
    records, times = cv(tmp_path / "small.yaml", KINDS["nested"], tmp_path / "runs"), 0
    while times < 100:
        first = next(records)
        assert isinstance(first, SearchStarted)
        run = first.run_dir
        taken = [record for _, record in zip(range(6), records, strict=False)]
        if isinstance(taken[-1], Finished):
            break
        os.kill(os.getpid(), signum)
        interrupted = None
        try:
            list(records)
            break
        except RunInterruptedError as error:
            interrupted = error
        assert interrupted.exit_code == 128 + signum
        assert str(interrupted) == f"stopped after {len(cells(run))} cells, all saved; go on with: dlx resume {run}"
        assert status(run) == "interrupted"
        assert read(run, "run.json")["stop_reason"] == signum.name
        assert not (run / "result.json").exists()
        records, times = resume(run, []), times + 1
    assert times
    assert outcome(run) == expected


# As dlx, but without figures, and its state is saved often.
CODE = """
from dlx.commands import cv
from dlx.reporting import search_figures
cv.SAVE_SECONDS = 0.05
search_figures.draw_search_pictures = lambda *_: []
from dlx.cli.app import main
main()
"""
LONG = (
    "training.epochs=90",
    "training.early_stopping={patience: 30}",
    "search={method: random, trials: 6, budget: halving, factor: 3, min_epochs: 10, "
    "space: {optimizer.lr: {low: 0.001, high: 0.3, log: true}, model.hidden: [[4], [6]]}}",
    "cv.nested=true",
    "cv.folds=2",
)


def kill_at_moments(tmp_path: Path, signals: list[signal.Signals], seed: int) -> None:
    """End a search and each of its resumptions by a signal at a random moment, and let the last go on to the end."""
    config, rng = write_config(tmp_path, SMALL), np.random.default_rng(seed)
    command, run = ["cv", str(config), *LONG, "--quiet"], tmp_path

    def progress() -> tuple[int, int]:
        """Say how far it is: lines, and the time of the last saved state."""
        ledger, state = run / "cells.jsonl", run / "checkpoints" / "state.safetensors"
        return ledger.read_bytes().count(
            b"\n"
        ) if ledger.exists() else 0, state.stat().st_mtime_ns if state.exists() else 0

    for signum in signals:
        with process(sys.executable, "-c", CODE, *command, cwd=tmp_path) as running:
            wait_until(lambda: (tmp_path / "runs").exists() and any((tmp_path / "runs").iterdir()), running)
            run = only_run(tmp_path)
            before = progress()
            wait_until(lambda before=before: progress() > before, running)  # type: ignore[misc]
            time.sleep(rng.uniform(0, 0.4))
            running.send_signal(signum)
            _, err = running.communicate(timeout=120)
            assert running.returncode == {signal.SIGKILL: -signal.SIGKILL}.get(signum, 128 + signum), err
        assert status(run) == ("running" if signum == signal.SIGKILL else "interrupted")
        assert "Traceback" not in err
        if signum != signal.SIGKILL:
            assert f"all saved; go on with: dlx resume {run.relative_to(tmp_path)}" in err
        command = ["resume", str(run.relative_to(tmp_path)), "--quiet"]
    finish(resume(run, []))
    (tmp_path / "alone").mkdir()
    assert outcome(run) == outcome(small_search(tmp_path / "alone", *LONG))


@pytest.mark.slow  # two processes; within one, the tests above stop a search at every record
def test_interrupted_and_killed(tmp_path: Path) -> None:
    kill_at_moments(tmp_path, [signal.SIGINT, signal.SIGKILL], seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_killed_many_times(tmp_path: Path, seed: int) -> None:
    kill_at_moments(tmp_path, [*[signal.SIGKILL] * 4, signal.SIGTERM], seed)
