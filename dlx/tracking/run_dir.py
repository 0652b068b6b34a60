"""The folder of a run: made once, never overwritten, movable, and in one process's hands at a time."""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from dlx.core.errors import RunError, RunInterruptedError
from dlx.tracking.files import naming_failures, read_json, remove_temporaries, write_atomic, write_json

Status = Literal["running", "interrupted", "failed", "done"]


class RunDir:
    """A run's folder, locked for this process until it ends.

    Args:
        path: An existing folder.

    Raises:
        RunError: If another process works in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_running = False
        self._lock = FileLock(path / ".lock", timeout=0)
        with naming_failures("lock", path):
            try:
                self._lock.acquire()
            except Timeout:  # an OSError, too
                holder = _read_facts(path) if (path / "run.json").exists() else {}
                raise RunError(
                    f"{path} is in use by another process ({holder.get('pid', '?')} on {holder.get('host', '?')}); "
                    "wait for it to end, or stop it"
                ) from None

    @classmethod
    def create(cls, runs_dir: Path, command: str, name: str) -> RunDir:
        """Make a new run's folder, named by time, command and experiment, and note in run.json that it runs.

        Raises:
            RunError: If the folder cannot be made.
        """
        now = datetime.datetime.now().astimezone()
        while True:
            path = runs_dir / f"{now:%Y%m%d-%H%M%S}-{command}-{name}-{secrets.token_hex(2)}"
            try:
                with naming_failures("make", path):
                    runs_dir.mkdir(parents=True, exist_ok=True)
                    path.mkdir()
                    break
            except RunError as error:
                if not (isinstance(error.__cause__, FileExistsError) and path.is_dir()):
                    raise
        run = cls(path)
        write_json(path / "run.json", {"id": path.name, "command": command, "created": _iso(now), "status": "running"})
        run.begin()
        return run

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """Take hold of an existing run.

        Raises:
            RunError: If it is no run's folder, is damaged, or in use.
        """
        if not (path / "run.json").is_file():
            raise RunError(f"{path} is not a run: expected a folder with a run.json")
        _read_facts(path)
        run = cls(path)
        # A process that was killed may have left files half written; the lock says that none writes now. Other folders
        # are not ours: somebody may keep another run in this one.
        for folder in (path, path / "figures", path / "checkpoints", *path.glob("checkpoints/seed-*")):
            if not folder.is_symlink():
                remove_temporaries(folder)
        return run

    @property
    def facts(self) -> dict[str, Any]:
        """What run.json holds."""
        return _read_facts(self.path)

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Note how the run ended if it has begun and not finished, and let go of it in any case."""
        try:
            yield
        except BaseException as error:
            if self._is_running:
                with contextlib.suppress(RunError):  # a full disk takes no more notes; the error itself is told
                    if isinstance(error, RunInterruptedError):
                        self.finish("interrupted", error.signum.name)
                    else:
                        self.finish("failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            self._lock.release()

    def begin(self) -> None:
        """Note that the run goes on in this process."""
        self._is_running = True
        facts, here = self.facts, _this_process()
        if "argv" in facts:  # what began the run stays; what goes on with it is added
            here["resumed"] = [*facts.get("resumed", []), {"argv": here.pop("argv"), "started": here.pop("started")}]
        write_json(self.path / "run.json", {**facts, **here})

    def finish(self, status: Status, stop_reason: str | None) -> None:
        """Note how the run ended."""
        ended = {"status": status, "stop_reason": stop_reason, "ended": _iso(datetime.datetime.now().astimezone())}
        write_json(self.path / "run.json", {**self.facts, **ended})
        self._is_running = False

    def write(self, name: str, content: str) -> None:
        """Write a text file of the run, atomically."""
        write_atomic(self.path / name, content)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run, atomically."""
        write_json(self.path / name, value)

    def remove(self, name: str) -> None:
        """Remove a file of the run if it is there.

        Raises:
            RunError: If the operating system refuses.
        """
        with naming_failures("remove", self.path / name):
            (self.path / name).unlink(missing_ok=True)


def is_in_use(path: Path) -> bool:
    """Tell whether a process works in a run's folder; one whose lock may not be tried counts as in use."""
    try:
        if not (path / ".lock").exists():
            return False
        with FileLock(path / ".lock", timeout=0):
            return False
    except OSError:  # a Timeout, too
        return True


def _read_facts(path: Path) -> dict[str, Any]:
    facts = read_json(path / "run.json")
    if not isinstance(facts, dict) or "status" not in facts:
        raise RunError(
            f"{path / 'run.json'} is damaged: expected an object with the status of the run; restore it from a copy"
        )
    return facts


def _this_process() -> dict[str, Any]:
    return {
        "status": "running",
        "stop_reason": None,
        "started": _iso(datetime.datetime.now().astimezone()),
        "ended": None,
        "argv": sys.argv,
        "pid": os.getpid(),
        "host": socket.gethostname(),
    }


def _iso(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds")
