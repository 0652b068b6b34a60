"""Paths of data: relative to the config, absolute in what is resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlx.config.experiment import resolved_yaml
from dlx.config.load import load_experiment
from dlx.core.errors import ConfigError

REST = "model: linear\nloss: mse\n"


def path_in(config: Path, *overrides: str) -> str:
    return load_experiment(config, overrides).experiment.data.model_dump()["path"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("t.csv", "t.csv"), ("./sub/../t.csv", "t.csv"), ("../t.csv", "../t.csv"), ("2024", "2024"), ("1e3", "1e3")],
)
def test_relative_to_the_config(written: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = tmp_path / "x.yaml"
    config.write_text(f"data: {{name: csv, path: {written}, target: y}}\n{REST}")
    assert path_in(config) == str((tmp_path / expected).resolve())
    assert path_in(config, "data.path=other.csv") == str(tmp_path / "other.csv")


def test_a_resolved_config_reads_the_same_file_anywhere(tmp_path: Path) -> None:
    config = tmp_path / "x.yaml"
    config.write_text(f"data: {{name: csv, path: t.csv, target: y}}\n{REST}")
    moved = tmp_path / "runs" / "config.resolved.yaml"
    moved.parent.mkdir()
    moved.write_text(resolved_yaml(load_experiment(config).experiment))
    assert path_in(moved) == str(tmp_path / "t.csv")


@pytest.mark.parametrize("path", ["[a, b]", '""', "{a: 1}"])
def test_what_is_no_path(path: str, tmp_path: Path) -> None:
    config = tmp_path / "x.yaml"
    config.write_text(f"data: {{name: csv, path: {path}, target: y}}\n{REST}")
    with pytest.raises(ConfigError, match=r"x\.yaml:1:25"):
        load_experiment(config)


def test_what_a_table_needs(tmp_path: Path) -> None:
    config = tmp_path / "x.yaml"
    config.write_text(f"data: csv\n{REST}")
    with pytest.raises(ConfigError, match=r"`path`[\s\S]*`target`"):
        load_experiment(config)
