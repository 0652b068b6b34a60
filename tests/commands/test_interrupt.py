"""Signals, and the end of a process without one: real processes, and a real SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from commands.runs import begin, finish, outcome, small_run, status, write_config

from dlx.commands.interrupt import listening
from dlx.commands.resume import resume
from dlx.commands.train import train
from dlx.core.errors import RunInterruptedError

DLX = str(Path(sys.executable).with_name("dlx"))
# As dlx, but its state is saved often, so that a process that is killed after a second has one.
SAVES_OFTEN = "from dlx.commands import train; train.CHECKPOINT_SECONDS = 0.05; from dlx.cli.app import main; main()"
FOREVER = "training.epochs=1000000"


def wait_until(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def num_lines(run: Path) -> int:
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@contextmanager
def process(*command: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def kill_at_moments(tmp_path: Path, num_kills: int, num_epochs: int, seed: int) -> None:
    """Kill a training and each of its resumptions; the last of them ends. Compare with the one that was left alone."""
    epochs = f"training.epochs={num_epochs}"
    config = write_config(tmp_path)
    rng = np.random.default_rng(seed)
    command = ["train", str(config), epochs, "--quiet"]
    for _ in range(num_kills):
        before = num_lines(only_run(tmp_path)) if (tmp_path / "runs").exists() else 0
        with process(sys.executable, "-c", SAVES_OFTEN, *command, cwd=tmp_path) as running:
            wait_until(lambda: (tmp_path / "runs").exists() and any((tmp_path / "runs").iterdir()), running)
            run = only_run(tmp_path)
            target = before + int(rng.integers(5, num_epochs // num_kills // 4))
            wait_until(lambda run=run, target=target: num_lines(run) >= target, running)  # type: ignore[misc]
            running.send_signal(signal.SIGKILL)
            assert running.wait() == -signal.SIGKILL
        assert status(run) == "running"
        command = ["resume", str(run), "--quiet"]
    assert (run / "checkpoints" / "state.safetensors").exists()
    finish(resume(run, []))
    (tmp_path / "alone").mkdir()
    assert outcome(run) == outcome(small_run(tmp_path / "alone", epochs))


@pytest.mark.slow  # test_resume.py stops trainings within one process
def test_killed_three_times(tmp_path: Path, no_pictures: None) -> None:
    kill_at_moments(tmp_path, 3, 600, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_killed_a_hundred_times(tmp_path: Path, no_pictures: None, seed: int) -> None:
    kill_at_moments(tmp_path, 10, 1500, seed)


@pytest.mark.slow
def test_sigint_then_sigterm(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with process(DLX, "train", str(config), FOREVER, cwd=tmp_path) as running:
        wait_until(lambda: (tmp_path / "runs").exists() and any((tmp_path / "runs").iterdir()), running)
        run = only_run(tmp_path)
        wait_until(lambda: num_lines(run) > 3, running)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=120)
        assert running.returncode == 130
    assert "Traceback" not in err
    assert f"all saved; go on with: dlx resume {run.relative_to(tmp_path)}" in err
    assert status(run) == "interrupted"
    assert (run / "checkpoints" / "last.safetensors").exists()
    done = num_lines(run)
    with process(DLX, "resume", str(run), cwd=tmp_path) as running:
        wait_until(lambda: num_lines(run) > done + 3, running)
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=120)
        assert running.returncode == 143
    assert f"after {done} epochs" in err
    assert status(run) == "interrupted"


@pytest.mark.slow
def test_in_use_and_ended_by_the_second_signal(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with process(DLX, "train", str(config), FOREVER, "--quiet", cwd=tmp_path) as running:
        wait_until(lambda: (tmp_path / "runs").exists() and any((tmp_path / "runs").iterdir()), running)
        run = only_run(tmp_path)
        wait_until(lambda: num_lines(run) > 0, running)
        other = subprocess.run([DLX, "resume", str(run)], capture_output=True, text=True, check=False)
        assert other.returncode == 3
        assert "in use by another process" in other.stderr
        assert str(running.pid) in other.stderr
        assert running.poll() is None
        # Both arrive before the step can end.
        for signum in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            running.send_signal(signum)
        running.communicate(timeout=120)
        assert running.returncode == -signal.SIGTERM
    assert status(run) == "running"
    assert begin(resume(run, []), 1) == run


# Within this process


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("step_by_step", "no_pictures")
def test_a_signal_between_any_two_steps(tmp_path: Path, signum: signal.Signals) -> None:
    expected = outcome(small_run(tmp_path))
    for after in (1, 4, 5, 11):
        records = train(tmp_path / "small.yaml", [], tmp_path / "runs")
        run = begin(records, after)
        os.kill(os.getpid(), signum)
        with pytest.raises(RunInterruptedError, match=r"stopped after \d epochs.* all saved") as interrupted:
            list(records)
        assert interrupted.value.exit_code == 128 + signum
        assert status(run) == "interrupted"
        assert json.loads((run / "run.json").read_text())["stop_reason"] == signum.name
        assert not (run / "result.json").exists()
        finish(resume(run, []))
        assert outcome(run) == expected


@pytest.mark.usefixtures("step_by_step", "no_pictures")
def test_a_signal_after_the_last_step_changes_nothing(tmp_path: Path) -> None:
    expected = outcome(small_run(tmp_path))
    records = train(tmp_path / "small.yaml", [], tmp_path / "runs")
    begin(records, 20)
    os.kill(os.getpid(), signal.SIGINT)
    assert outcome(finish(records)) == expected


def test_the_first_is_noted_and_the_old_handlers_come_back() -> None:
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with listening() as interrupt:
        assert interrupt.signum is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.signum == signal.SIGTERM
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT")])
def test_the_second_ends_the_process(first: str, second: str) -> None:
    code = f"""
import os, signal
from dlx.commands.interrupt import listening
with listening():
    os.kill(os.getpid(), signal.{first})
    print("goes on", flush=True)
    os.kill(os.getpid(), signal.{second})
    print("still goes on", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -getattr(signal, second)
    assert done.stdout == "goes on\n"
    assert done.stderr == ""
