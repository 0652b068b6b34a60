"""Files that are replaced whole, and failures that name their file."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlx.core.errors import RunError
from dlx.tracking.files import finite, naming_failures, read_json, remove_temporaries, write_atomic, write_json


def refuse(code: int) -> Any:
    def refusal(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return refusal


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this machine lets us have one."""
    path = tmp_path / "tiny"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system needs the rights of root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("content", ["naïve\n", b"\x00\xff"])
def test_content_is_replaced(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open"])
def test_a_full_disk_leaves_the_old(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with monkeypatch.context() as patched:
        patched.setattr(place, refuse(errno.ENOSPC))
        with pytest.raises(RunError, match=r"a\.txt: no space left.*free some space or choose another --runs-dir"):
            write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_really_full(tiny_disk: Path) -> None:
    path = tiny_disk / "a.bin"
    write_atomic(path, b"old")
    with pytest.raises(RunError, match=r"a\.bin: no space left.*free some space"):
        write_atomic(path, bytes(1 << 20))
    assert path.read_bytes() == b"old"
    assert list(tiny_disk.iterdir()) == [path]


def test_a_crash_before_the_rename_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    seen = []
    monkeypatch.setattr("os.fsync", lambda _: seen.append(path.read_text()))
    write_atomic(path, "new")
    assert seen == ["old"], "the new content must be on the disk before it takes the place of the old"


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.EACCES, "choose a --runs-dir that you may write"),
        (errno.ENOSPC, "free some space"),
        (errno.EIO, "output error"),
    ],
)
def test_failures_are_named(code: int, hint: str) -> None:
    with (
        pytest.raises(RunError, match=f"cannot write /some/where: .*{hint}"),
        naming_failures("write", Path("/some/where")),
    ):
        refuse(code)()


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), naming_failures("write", Path("a")):
        raise KeyError


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write .*gone/a\.txt: no such file"):
        write_atomic(tmp_path / "gone" / "a.txt", "x")


def test_json_has_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [float("nan"), 1.5], "b": (float("inf"), {"c": -float("inf")}), "ü": "ß"})
    assert read_json(path) == {"a": [None, 1.5], "b": [None, {"c": None}], "ü": "ß"}
    assert "ß" in path.read_text(encoding="utf-8")
    assert path.read_text().endswith("}\n")


def test_finite_keeps_all_else() -> None:
    assert finite({"a": 1, "b": "nan", "c": None, "d": True, "e": 0.1}) == {
        "a": 1,
        "b": "nan",
        "c": None,
        "d": True,
        "e": 0.1,
    }


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe\x00"])
def test_damaged_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json is damaged: expected JSON"):
        read_json(path)


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot read .*run\.json: no such file"):
        read_json(tmp_path / "run.json")
    with pytest.raises(RunError, match="is a directory"):
        read_json(tmp_path)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from dlx.tracking.files import write_atomic
os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
write_atomic(Path(sys.argv[1]) / "a.json", "new")
"""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.json").write_text("old")
    (tmp_path / "deep" / ".mine.tmp").write_text("kept")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "deep")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "deep").iterdir())) == 3
    (tmp_path / "deep" / ".x.deadbeef.tmp").mkdir()
    remove_temporaries(tmp_path)
    assert len(list((tmp_path / "deep").iterdir())) == 4, "other folders are not its own"
    remove_temporaries(tmp_path / "deep")
    (tmp_path / "deep" / ".x.deadbeef.tmp").rmdir()
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"a.json", ".mine.tmp"}
    assert (tmp_path / "deep" / "a.json").read_text() == "old"
