"""Logs of one JSON object per line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlx.core.errors import RunError
from dlx.tracking.ledger import Ledger, read_ledger, rewrite_ledger

VALUES = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "name": "é\n\u2028"}, {"epoch": 3, "loss": 1e-300}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def append_all(path: Path) -> None:
    ledger = Ledger(path)
    for value in VALUES:
        ledger.append(value)
    ledger.close()


def test_what_is_appended_is_read(path: Path) -> None:
    append_all(path)
    assert read_ledger(path) == VALUES
    append_all(path)
    assert read_ledger(path) == VALUES * 2
    assert path.read_text(encoding="utf-8").count("\n") == 6


def test_every_line_is_there_at_once(path: Path) -> None:
    ledger = Ledger(path)
    for count, value in enumerate(VALUES, 1):
        ledger.append(value)
        assert read_ledger(path) == VALUES[:count]
    ledger.close()


def test_nan_becomes_null(path: Path) -> None:
    ledger = Ledger(path)
    ledger.append({"loss": float("nan"), "all": [float("inf")]})
    ledger.close()
    assert json.loads(path.read_text()) == {"loss": None, "all": [None]}


def test_a_missing_file_is_empty(path: Path) -> None:
    assert read_ledger(path) == []
    path.touch()
    assert read_ledger(path) == []


def test_a_torn_last_line_is_left_out(path: Path) -> None:
    append_all(path)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert read_ledger(path) == VALUES[:-1]


@pytest.mark.parametrize("line", [b'{"epoch": 2', b"", b"\x00\x00", b"\xff{}", b"[1]", b"3"])
def test_a_damaged_line_is_named(path: Path, line: bytes) -> None:
    path.write_bytes(b'{"epoch": 1}\n' + line + b'\n{"epoch": 3}\n')
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 2.* expected a JSON object, found"):
        read_ledger(path)


def test_rewriting(path: Path) -> None:
    append_all(path)
    rewrite_ledger(path, VALUES[:1])
    assert read_ledger(path) == VALUES[:1]
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_named() -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("this machine has no /dev/full")
    ledger = Ledger(full)
    with pytest.raises(RunError, match=r"cannot write /dev/full: no space left.*free some space"):
        ledger.append({"epoch": 1})
    with pytest.raises(
        RunError, match="cannot write /dev/full: no space left"
    ):  # what could not be written is still lost
        ledger.close()


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot open .*: is a directory"):
        Ledger(tmp_path)
