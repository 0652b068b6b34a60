"""What a run ran on."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from experiments import make_examples

from dlx.tracking.provenance import describe_environment, hash_examples


def test_environment(tmp_path: Path) -> None:
    environment = describe_environment("cuda:1", 3, tmp_path)
    assert json.loads(json.dumps(environment)) == environment
    assert environment["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert environment["packages"]["dlx"] == metadata.version("dlx")
    assert environment["python"] == platform.python_version()
    assert (environment["device"], environment["threads"]) == ("cuda:1", 3)
    assert environment["mkl_cbwr"] == "AVX2", "rule A of company invariance"
    assert environment["processor"]


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert describe_environment("cpu", 1, tmp_path)["git"] is None


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("git", 5)])
def test_without_git(tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert describe_environment("cpu", 1, tmp_path)["git"] is None


def test_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, "-c", "core.hooksPath=/dev/null", "-C", str(tmp_path), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "a")
    (tmp_path / "untracked").touch()
    assert describe_environment("cpu", 1, tmp_path)["git"] == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "a").write_text("2")
    assert describe_environment("cpu", 1, tmp_path)["git"]["dirty"] is True


def test_hash_of_the_data_is_of_their_content() -> None:
    examples = make_examples("classification")
    other = examples.inputs.copy()
    other[3, 1] = np.nextafter(other[3, 1], 9)
    variants = [
        examples,
        replace(examples, inputs=other),
        replace(examples, inputs=examples.inputs.astype(np.float32)),
        replace(examples, inputs=examples.inputs.reshape(45, 10)),
        replace(examples, targets=1 - examples.targets),
        replace(examples, columns={"site": np.array(["oslo", "bonn"] * 45, dtype=object)}),
        replace(examples, columns={"site": np.array(["bonn", "oslo"] * 45, dtype=object)}),
    ]
    assert len({hash_examples(each) for each in variants}) == len(variants)
    assert hash_examples(examples) == hash_examples(make_examples("classification"))
    assert hash_examples(examples) == hash_examples(replace(examples, inputs=np.asfortranarray(examples.inputs)))
