"""The folder of a run: its name, its lock, its status."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlx.core.errors import RunError, RunInterruptedError
from dlx.tracking.run_dir import RunDir


def create(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "a" / "runs", "train", "iris")


def test_a_new_run(tmp_path: Path) -> None:
    run = create(tmp_path)
    assert re.fullmatch(r"\d{8}-\d{6}-train-iris-[0-9a-f]{4}", run.path.name)
    facts = run.facts
    assert (facts["id"], facts["command"], facts["status"]) == (run.path.name, "train", "running")
    assert (facts["pid"], facts["host"], facts["argv"]) == (os.getpid(), socket.gethostname(), sys.argv)
    assert facts["stop_reason"] is facts["ended"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", facts["started"])


def test_no_run_is_ever_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endings = iter(["aaaa"] * 50 + ["bbbb"])
    first = RunDir.create(tmp_path, "train", "x")
    monkeypatch.setattr("secrets.token_hex", lambda n: next(endings) if n == 2 else "temporary")
    runs = {first.path}
    for _ in range(2):
        run = RunDir.create(tmp_path, "train", "x")
        assert run.path not in runs
        runs.add(run.path)


def test_in_use(tmp_path: Path) -> None:
    run = create(tmp_path)
    with pytest.raises(RunError, match=f"in use by another process \\({os.getpid()} on {socket.gethostname()}\\)"):
        RunDir.open(run.path)
    with run.ending():
        run.finish("done", "done")
    RunDir.open(run.path)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    run = create(tmp_path)
    with run.ending():
        run.finish("done", None)
    code = "import sys; run = RunDir.open(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    code = f"from pathlib import Path; from dlx.tracking.run_dir import RunDir; {code}"
    command = [sys.executable, "-c", code, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match="in use"):
            RunDir.open(run.path)
        process.kill()
    RunDir.open(run.path)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (RuntimeError("x"), "failed", "RuntimeError: x"),
        (GeneratorExit(), "failed", "GeneratorExit: "),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt: "),
        (RunInterruptedError("saved", signal.SIGTERM), "interrupted", "SIGTERM"),
    ],
)
def test_how_a_run_ends(tmp_path: Path, error: BaseException, status: str, reason: str) -> None:
    run = create(tmp_path)
    with pytest.raises(type(error)), run.ending():
        raise error
    facts = run.facts
    assert facts["status"] == status
    assert facts["stop_reason"] == reason
    assert facts["ended"]
    again = RunDir.open(run.path)
    with again.ending():
        again.begin()
        assert (again.facts["status"], again.facts["ended"]) == ("running", None)
        again.finish("done", "done")
    assert again.facts["status"] == "done"


def test_errors_before_and_after_a_run_leave_its_status(tmp_path: Path) -> None:
    run = create(tmp_path)
    with contextlib.suppress(RuntimeError), run.ending():
        run.finish("done", "partly_diverged")
        raise RuntimeError
    again = RunDir.open(run.path)
    with pytest.raises(RuntimeError), again.ending():
        raise RuntimeError
    assert (again.facts["status"], again.facts["stop_reason"]) == ("done", "partly_diverged")


def test_an_error_is_told_even_if_the_disk_takes_no_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ZeroDivisionError), run.ending():
        raise ZeroDivisionError
    assert run.facts["status"] == "running"


@pytest.mark.parametrize("kind", ["file", "missing", "empty"])
def test_not_a_run(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "file":
        path.touch()
    elif kind == "empty":
        path.mkdir()
    with pytest.raises(RunError, match=r"x is not a run: expected a folder with a run\.json"):
        RunDir.open(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}", '{"id": "x"}'])
def test_a_damaged_run(tmp_path: Path, content: str) -> None:
    run = create(tmp_path)
    with run.ending():
        run.finish("done", None)
    (run.path / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"run\.json is damaged: expected"):
        RunDir.open(run.path)


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_run_in_use(tmp_path: Path, content: str) -> None:
    run = create(tmp_path)
    (run.path / "run.json").write_text(content)
    with pytest.raises(RunError, match=r"in use by another process|run\.json is damaged"):
        RunDir.open(run.path)
    with pytest.raises(RunError, match=r"in use by another process|run\.json is damaged"):
        RunDir(run.path)


def test_a_runs_dir_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    for runs_dir in (tmp_path / "runs", tmp_path / "runs" / "below"):
        with pytest.raises(RunError, match=r"cannot make .*runs.*: .*; choose .*--runs-dir"):
            RunDir.create(runs_dir, "train", "x")


def test_a_runs_dir_that_cannot_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/dlx-runs")  # not even root may make a folder there
        if not target.parent.is_dir():
            pytest.skip("root may write everywhere here")
    else:
        tmp_path.chmod(0o555)
        target = tmp_path / "runs"
    with pytest.raises(RunError, match=f"cannot make {target}"):
        RunDir.create(target, "train", "x")


def test_files_of_a_run(tmp_path: Path) -> None:
    run = create(tmp_path)
    run.write("a.yaml", "x: 1\n")
    run.write_json("b.json", {"c": [1.5]})
    assert (run.path / "a.yaml").read_text() == "x: 1\n"
    assert json.loads((run.path / "b.json").read_text()) == {"c": [1.5]}


def test_a_run_can_be_moved(tmp_path: Path) -> None:
    run = create(tmp_path)
    with run.ending():
        run.finish("failed", None)
    moved = run.path.rename(tmp_path / "elsewhere")
    assert RunDir.open(moved).facts["id"] == run.path.name
