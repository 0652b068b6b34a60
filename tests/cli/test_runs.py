"""``dlx runs``, ``dlx evaluate`` and ``dlx predict`` as command lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from stored import stored, training

from dlx.cli.runs import runs_app

HEAVY = ["torch", "sklearn", "scipy", "numpy", "matplotlib", "polars", "optuna", "rich"]
OPTIONS = {
    "runs": {"--runs-dir", "--command", "--status", "--name", "--sort", "--limit", "--json"},
    "show": {"--runs-dir", "--json"},
    "compare": {"--runs-dir", "--json"},
    "diff": {"--runs-dir", "--json"},
}


@pytest.mark.parametrize("command", OPTIONS)
def test_the_flags_are_frozen(command: str) -> None:
    group: Any = typer.main.get_command(runs_app)
    assert set(group.commands) == OPTIONS.keys() - {"runs"}
    params = group.params if command == "runs" else group.commands[command].params
    options = {name for each in params if each.param_type_name == "option" for name in each.opts}
    assert options - {"--install-completion", "--show-completion"} == OPTIONS[command]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    stored(tmp_path / "runs", "1-a", result=training(0.5))
    stored(tmp_path / "runs", "2-b", result=training(0.75), status="running")
    return tmp_path


def test_nothing_heavy_is_loaded(runs: Path) -> None:
    code = f"""
import sys
from dlx.cli.app import main
for words in (["runs"], ["runs", "--sort", "accuracy", "--json"], ["runs", "show", "1"],
              ["runs", "compare", "1", "2"], ["runs", "diff", "1", "2"]):
    sys.argv = ["dlx", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
print("heavy:", *sorted(sys.modules.keys() & {HEAVY}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=runs)
    assert done.stdout.splitlines()[-1] == "heavy:"
    assert done.stderr == ""


def test_a_list(dlx: Any, runs: Path) -> None:
    (runs / "runs" / "foreign").mkdir()
    shown = dlx("runs", "--sort", "accuracy", "--limit", "1")
    assert (shown.code, shown.err) == (
        0, "warning: runs/foreign is not a run: expected a folder with a run.json\n",
    )  # fmt: skip
    assert shown.out.startswith("1 of 2 runs in runs, the best accuracy first\n")
    (found,) = json.loads(dlx("runs", "--status", "killed", "--json").out)
    assert (found["id"], found["status"], found["score"]["value"]) == ("2-b", "killed", 0.75)


def test_the_folder_stands_on_either_side(dlx: Any, runs: Path) -> None:
    (runs / "runs").rename(runs / "elsewhere")
    before = dlx("runs", "--runs-dir", "elsewhere", "show", "1", "--json")
    after = dlx("runs", "show", "1", "--json", "--runs-dir", "elsewhere")
    assert before == after
    assert json.loads(after.out)["id"] == "1-a"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--runs-dir", "missing"], 3, "cannot read missing: no such file or directory"),
        (["--sort", "f1"], 2, "no run here has a score `f1`; there are: accuracy, loss"),
        (["--status", "dead"], 2, "there is no status `dead`"),
        (["--limit", "1", "show", "1"], 2, "give the options of `show` after it"),
        (["show", "9"], 3, "there is no run `9`"),
        (["compare", "1"], 2, "nothing to be compared with"),
        (["diff", "1", "small.yaml/x"], 3, "is not a run"),
    ],
)
def test_errors_are_named(dlx: Any, runs: Path, words: list[str], code: int, message: str) -> None:
    end = dlx("runs", *words)
    assert (end.code, end.out) == (code, "")
    assert end.err.startswith("error: ")
    assert message in end.err


def test_a_reader_that_goes_away(runs: Path) -> None:
    line = f"{sys.executable} -m dlx runs show 1 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, cwd=runs)
    assert (done.returncode, done.stderr) == (0, "")


def test_evaluate_and_predict(dlx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.figures.learning_curve", lambda *_: None)
    monkeypatch.setattr("dlx.reporting.gallery.draw_pictures", lambda *_: [])
    run = dlx("train", "small.yaml", "seeds=2", "--quiet").out.strip()
    shown = dlx("evaluate", run)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.endswith("\nthe same as result.json, to the last bit\n")
    found = json.loads(dlx("evaluate", run, "--split", "valid", "--device", "cpu", "--json").out)
    noted = json.loads((tmp_path / run / "result.json").read_text())
    assert found["summary"] == noted["summary"]["valid"]
    written = dlx("predict", run, "--out", "p.csv", "--split", "test")
    assert (written.code, written.out, written.err) == (0, "2 seeds, 32 predictions: p.csv\n", "")
    assert dlx("predict", run, "--out", "-", "--split", "test").out == (tmp_path / "p.csv").read_text()
    (tmp_path / run / "checkpoints" / "seed-1" / "best.safetensors").unlink()
    partly = dlx("predict", run, "--out", "p.csv")
    assert (partly.code, partly.out) == (0, "1 seed, 80 predictions: p.csv\n")
    assert partly.err == f"warning: seed 1 is left out: it has no best weights yet: dlx resume {run}\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["evaluate", "missing"], 3, "missing is not a run"),
        (["evaluate", "small.yaml"], 3, "is not a run"),
        (["predict", ".", "--out", "p.csv"], 3, "is not a run"),
    ],
)
def test_what_cannot_be_used(dlx: Any, words: list[str], code: int, message: str) -> None:
    end = dlx(*words)
    assert (end.code, end.out) == (code, "")
    assert end.err.startswith("error: ")
    assert message in end.err
