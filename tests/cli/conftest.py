"""Runs the command line within the process of the tests."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from commands.runs import write_config

from dlx.cli.app import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def dlx(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Any]:
    """Runs a command line in this process, in a folder of its own with a small config."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)

    def run(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["dlx", *words])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        return Outcome(code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGINT, before)
