"""The command line: its flags, what it prints where, and the exit code of every end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from commands.runs import SMALL, small_run, status, write_config
from commands.searches import SMALL as SEARCH
from plugin_files import ABSOLUTE, QUADRATIC, with_line, write_plugin

from dlx import __version__
from dlx.cli.app import app

DLX = str(Path(sys.executable).with_name("dlx"))
HEAVY = ["torch", "sklearn", "scipy", "numpy", "matplotlib", "yaml", "safetensors"]
DIABETES = SMALL.replace("two_moons, num_examples: 80", "diabetes").replace("binary_cross_entropy", "mse")


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("train", {"--device", "--runs-dir", "--name", "--plugin", "--quiet", "--json"}),
        ("cv", {"--cell", "--device", "--runs-dir", "--name", "--plugin", "--quiet", "--json"}),
        (
            "compare-optimizers",
            {"--cell", "--device", "--runs-dir", "--name", "--plugin", "--quiet", "--json"},
        ),
        ("gradcheck", {"--self-test", "--device", "--runs-dir", "--name", "--plugin", "--quiet", "--json"}),
        ("resume", {"--plugin", "--quiet", "--json"}),
        ("inspect", {"--device", "--plugin", "--json"}),
        ("curvature", {"--device", "--runs-dir", "--name", "--plugin", "--quiet", "--json"}),
        ("landscape", {"--device", "--runs-dir", "--name", "--plugin", "--quiet", "--json"}),
        ("evaluate", {"--split", "--device", "--plugin", "--json"}),
        ("predict", {"--out", "--split", "--device", "--plugin"}),
        ("config", {"--plugin"}),
        ("init", {"--target", "--out"}),
        ("schema", {"--plugin"}),
        ("list", {"--plugin"}),
        ("describe", {"--plugin"}),
    ],
)
def test_the_flags_are_frozen(command: str, flags: set[str]) -> None:
    group: Any = typer.main.get_command(app)
    assert set(group.commands) == {
        "train", "cv", "gradcheck", "curvature", "landscape", "resume", "inspect", "config", "schema", "list",
        "describe", "compare-optimizers", "init", "runs", "evaluate", "predict",
    }  # fmt: skip
    options = {
        name
        for parameter in group.commands[command].params
        if parameter.param_type_name == "option"
        for name in [*parameter.opts, *parameter.secondary_opts]
    }
    assert options == flags
    own = {name for parameter in group.params for name in parameter.opts}
    assert own == {"--version", "--install-completion", "--show-completion"}


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"]])
def test_help_is_light(words: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["dlx", *{words}]
from dlx.cli.app import main
try:
    main()
finally:
    print("heavy:", *sorted(sys.modules.keys() & {HEAVY}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"
    assert done.stderr == ""


def test_help_version_and_nothing(dlx: Any) -> None:
    assert dlx("--version") == (0, f"dlx {__version__}\n", "")
    help_text = dlx("--help")
    assert help_text.code == 0
    assert "Exit codes: 0 done, 1 internal error, 2 usage or config" in " ".join(help_text.out.split())
    assert dlx().code == 2
    assert dlx("--frobnicate").code == dlx("frobnicate").code == dlx("train").code == 2
    assert dlx("train", "small.yaml", "--epochs", "3").code == 2


def test_train_and_resume(dlx: Any, tmp_path: Path) -> None:
    done = dlx("train", "small.yaml", "seeds=2", "--runs-dir", "out", "--name", "mine", "--device", "cpu")
    assert done.code == 0
    (run,) = (tmp_path / "out").iterdir()
    assert "-train-mine-" in run.name
    assert "test accuracy" in done.out
    assert f"run directory  out/{run.name}" in done.out
    assert "epoch 4/4" in done.err
    assert not (tmp_path / "runs").exists()
    again = dlx("resume", f"out/{run.name}")
    assert (again.code, again.out) == (3, "")
    assert f"dlx resume out/{run.name} training.epochs=8" in again.err
    more = dlx("resume", f"out/{run.name}", "training.epochs=6", "--json")
    assert (more.code, more.err) == (0, f"run directory  out/{run.name}\n")
    assert json.loads(more.out)["members"][0]["last_epoch"] == 6
    refused = dlx("resume", f"out/{run.name}", "optimizer.lr=1")
    assert (refused.code, refused.out) == (2, "")
    assert "may only have more training.epochs" in refused.err


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The config of a small search, without figures."""
    monkeypatch.setattr("dlx.reporting.search_figures.draw_search_pictures", lambda *_: [])
    monkeypatch.setattr("dlx.reporting.figures.learning_curve", lambda *_: None)
    monkeypatch.setattr("dlx.reporting.gallery.draw_pictures", lambda *_: [])
    return write_config(tmp_path, SEARCH, "search.yaml").name


def test_cv_and_resume(dlx: Any, tmp_path: Path, search: str) -> None:
    done = dlx("cv", search, "training.epochs=2", "--runs-dir", "out", "--name", "mine", "--device", "cpu")
    (run,) = (tmp_path / "out").iterdir()
    assert done.code == 0
    assert "-cv-mine-" in run.name
    assert "data           two_moons, 60 examples" in done.err
    assert f"run directory  out/{run.name}\n" in done.err
    assert "trials by held-out accuracy" in done.out
    assert "\nChosen: trial " in done.out
    assert done.out.endswith(f" over 3 folds\nrun directory  out/{run.name}\n")
    again = dlx("resume", f"out/{run.name}")
    assert (again.code, again.out) == (3, "")
    assert f"to extend it: dlx resume out/{run.name} cv.repeats=N\n" in again.err
    more = dlx("resume", f"out/{run.name}", "cv.repeats=2", "--json")
    assert (more.code, more.err) == (0, f"run directory  out/{run.name}\n")
    assert more.out == (run / "result.json").read_text()
    assert json.loads(more.out)["folds"]["repeats"] == 2
    refused = dlx("resume", f"out/{run.name}", "optimizer.lr=1")
    assert (refused.code, refused.out) == (2, "")
    assert "may only have more search.trials or cv.repeats" in refused.err


def test_cv_quietly(dlx: Any, search: str) -> None:
    code, out, err = dlx("cv", search, "--quiet")
    assert (code, err) == (0, "")
    assert (Path(out.removesuffix("\n")) / "result.json").exists()
    code, out, err = dlx("cv", search, "--quiet", "--json")
    assert (code, err, json.loads(out)["command"]) == (0, "", "cv")


def test_a_cell(dlx: Any, tmp_path: Path, search: str) -> None:
    run = dlx("cv", search, "--quiet").out.strip()
    ledger = tmp_path / run / "cells.jsonl"
    line = json.loads(ledger.read_text().splitlines()[0])
    done = dlx("cv", run, "--cell", line["id"], "--runs-dir", "alone")
    assert done.code == 0
    assert done.out.endswith(f"cell {line['id']} comes to the same bits alone as in the run\n")
    quiet = dlx("cv", run, "--cell", line["id"][:9], "--runs-dir", "alone", "--quiet")
    assert (quiet.code, quiet.out.count("\n"), quiet.err) == (0, 1, "")
    refused = dlx("cv", run, "optimizer.lr=1", "--cell", line["id"])
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == "error: a cell is repeated as it was: with --cell name its run, and nothing can be changed\n"
    ledger.write_text(ledger.read_text().replace('"best_epoch": ', '"best_epoch": 9', 1))
    differs = dlx("cv", run, "--cell", line["id"], "--runs-dir", "alone", "--quiet")
    assert differs.code == 4
    assert f"error: cell {line['id']} differs alone from what it was in the search: best_epoch: 9" in differs.err


def test_a_search_in_which_everything_diverges(dlx: Any, tmp_path: Path, search: str) -> None:
    write_config(tmp_path, DIABETES, "diabetes.yaml")
    end = dlx("cv", "diabetes.yaml", "optimizer={name: sgd, lr: 1e6}", "--json")
    assert (end.code, json.loads(end.out)["status"]) == (4, "diverged")
    assert "error: every trial diverged (trial 0: 5 of 5 cells diverged" in end.err


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "dlx", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dlx ")


def test_a_long_change_is_no_config(dlx: Any) -> None:
    """It is longer than the name of a file can be."""
    arms = ", ".join(f"{{name: adam, rho1: 0.{n}}}" for n in range(11, 30)) + ", adma"
    found = dlx("compare-optimizers", "small.yaml", f"compare.optimizers=[{arms}]")
    assert found.code == 2
    assert "there is no optimizer `adma`" in found.err


def test_quiet(dlx: Any) -> None:
    code, out, err = dlx("train", "small.yaml", "--quiet")
    assert (code, err) == (0, "")
    run = Path(out.removesuffix("\n"))
    assert (run / "result.json").exists()
    resumed = dlx("resume", str(run), "training.epochs=9", "--quiet")
    assert resumed == (0, out, "")


def test_json_is_the_file_and_nothing_else(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    done = subprocess.run(
        [DLX, "train", str(config), "--json"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    (run,) = (tmp_path / "runs").iterdir()
    assert done.stdout == (run / "result.json").read_text()
    assert done.stderr == f"run directory  runs/{run.name}\n"


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["--json | true", "2>&1 | head -1"])
def test_a_reader_that_goes_away_does_not_harm(tmp_path: Path, redirection: str) -> None:
    config = write_config(tmp_path)
    line = f"{DLX} train {config} {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert status(run) == "done"


def test_names_are_not_yaml(dlx: Any, tmp_path: Path) -> None:
    assert dlx("train", "small.yaml", "--name", "null", "--quiet").code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert "-train-null-" in run.name
    assert dlx("train", "small.yaml", "--name", "").code == 2


def test_config_prints_the_resolved_config(dlx: Any, tmp_path: Path) -> None:
    shown = dlx("config", "small.yaml", "optimizer.lr=1e-3")
    assert (shown.code, shown.err) == (0, "")
    assert "lr: 0.001" in shown.out
    (tmp_path / "resolved.yaml").write_text(shown.out)
    assert dlx("config", "resolved.yaml").out == shown.out
    run = small_run(tmp_path, "optimizer.lr=1e-3")
    assert (run / "config.resolved.yaml").read_text() == shown.out


def test_list_and_describe(dlx: Any) -> None:
    assert "\n  adagrad " in dlx("list", "optimizer").out
    assert dlx("describe", "adagrad").out.startswith("adagrad (optimizer)\n")
    end = dlx("describe", "adagrd")
    assert (end.code, end.out) == (2, "")
    assert end.err.startswith("error: there is no definition `adagrd`; did you mean `adagrad`?")


def test_schema(dlx: Any) -> None:
    shown = dlx("schema")
    schema = json.loads(shown.out)
    assert (shown.code, shown.err) == (0, "")
    assert {"data", "model", "loss", "training"} <= set(schema["$defs"]["Experiment"]["properties"])


def test_inspect(dlx: Any, tmp_path: Path) -> None:
    shown = dlx("inspect", "small.yaml", "seeds=2", "--device", "cpu")
    assert (shown.code, shown.err) == (0, "")
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["0", "Dense", "5", "15"] in lines
    assert ["total", "21"] in lines
    assert "initial loss on a batch" in shown.out
    assert "can it overfit one batch of 10 examples: " in shown.out
    found = json.loads(dlx("inspect", "small.yaml", "seeds=2", "--json").out)
    assert (found["num_parameters"], found["num_seeds"], found["batch_size"]) == (21, 2, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_plugins(dlx: Any, tmp_path: Path, search: str) -> None:
    own = write_plugin(tmp_path)
    assert " quadratic " not in dlx("list", "model").out
    assert "(from own.py)" in dlx("list", "model", "--plugin", "own.py").out
    assert f"From the plugin {own}" in dlx("describe", "quadratic", "--plugin", "own.py").out
    assert '"quadratic"' in dlx("schema", "--plugin", "own.py").out
    assert "name: quadratic" in dlx("config", "small.yaml", "model=quadratic", "--plugin", "own.py").out
    assert dlx("inspect", "small.yaml", "model=quadratic", "--plugin", "own.py").code == 0
    run = dlx("train", "small.yaml", "model=quadratic", "--plugin", "own.py", "--quiet").out.strip()
    refused = dlx("resume", run, "training.epochs=5")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"error: {run}/config.resolved.yaml:4:3: a plugin that is only recorded")
    assert f"add to the command line: --plugin {own} " in refused.err
    assert dlx("resume", run, "training.epochs=5", "--plugin", "own.py").code == 0
    twice = ("--plugin", str(own), "--plugin", str(write_plugin(tmp_path, ABSOLUTE, "loss.py")))
    assert dlx("config", "small.yaml", "model=quadratic", *twice).out.count("sha256: ") == 2
    wanted = ["search.space={model: [quadratic, mlp]}", "--plugin", "own.py"]
    run = dlx("cv", search, *wanted, "--quiet").out.strip()
    name = json.loads((tmp_path / run / "cells.jsonl").read_text().splitlines()[0])["id"]
    assert dlx("cv", run, "--cell", name, "--quiet").code == 2
    assert dlx("cv", run, "--cell", name, "--plugin", "own.py", "--quiet").code == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hidden = hidden @ hidden", "in `Net.forward` of this plugin: RuntimeError: "),
        ("hidden = nn.functional.nosuch(hidden)", "in `Net.forward` of this plugin: AttributeError: "),
        ("hidden = Square.apply(hidden, 1)", "in `Net.forward` of this plugin: TypeError: "),
    ],
)
@pytest.mark.parametrize("command", ["train", "gradcheck", "curvature", "inspect"])
def test_a_mistake_in_a_plugins_forward(dlx: Any, tmp_path: Path, command: str, line: str, words: str) -> None:
    text = with_line(line)
    own = write_plugin(tmp_path, text)
    number = text[: text.index(line)].count("\n") + 1
    write_config(tmp_path, SMALL.replace("{name: mlp, hidden: [5]}", "quadratic"), "own.yaml")
    end = dlx(command, "own.yaml", "--plugin", str(own))
    assert end.code == 2
    assert f"error: {own}:{number}: {words}" in end.err
    assert end.err.splitlines()[-1] == f"  {number} | {line}"


def test_a_mistake_in_a_plugins_build(dlx: Any, tmp_path: Path) -> None:
    own = write_plugin(tmp_path, QUADRATIC.replace("return Net(spec, self.width)", "return Net(spec, self.wdth)"))
    write_config(tmp_path, SMALL.replace("{name: mlp, hidden: [5]}", "quadratic"), "own.yaml")
    end = dlx("train", "own.yaml", "--plugin", str(own))
    assert end.code == 2
    assert "in `Quadratic.build` of this plugin: AttributeError: " in end.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("return None", "`Quadratic.build` of the model `quadratic` gives a `NoneType`; expected a torch.nn.Module"),
        ("return nn.Linear(2, 3)", "gives [2, 3] for 2 examples; expected [2, 1]: "),
        ("return nn.Flatten(0)", "gives [4] for 2 examples; expected [2, 1]: "),
        ("return nn.LSTM(2, 1)", "gives tuple for 2 examples; expected [2, 1]: "),
    ],
)
def test_a_model_that_is_none(dlx: Any, tmp_path: Path, wrong: str, words: str) -> None:
    own = write_plugin(tmp_path, QUADRATIC.replace("return Net(spec, self.width)", wrong))
    write_config(tmp_path, SMALL.replace("{name: mlp, hidden: [5]}", "quadratic"), "own.yaml")
    end = dlx("train", "own.yaml", "--plugin", str(own))
    assert end.code == 2
    assert words in end.err
    assert not (tmp_path / "runs").exists()


def test_a_bug_of_dlx_keeps_its_traceback(dlx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.commands.train.train", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dlx("train", "small.yaml")


def test_a_broken_plugin_is_no_bug_of_dlx(dlx: Any, tmp_path: Path) -> None:
    broken = write_plugin(tmp_path, "import no_such_module\n", "broken.py")
    for words in (["list"], ["describe", "mlp"], ["schema"], ["config", "small.yaml"], ["train", "small.yaml"]):
        end = dlx(*words, "--plugin", "broken.py")
        assert (end.code, end.out) == (2, "")
        assert end.err.startswith(f"error: {broken}:1: ModuleNotFoundError: No module named 'no_such_module'; ")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "missing.yaml"], 2, "missing.yaml"),
        (["train", "."], 2, "."),
        (["train", "small.yaml", "--plugin", "missing.py"], 2, "there is no plugin"),
        (["config", "missing.yaml"], 2, "missing.yaml"),
        (["inspect", "missing.yaml"], 2, "missing.yaml"),
        (["inspect", "small.yaml", "optimizer.lrr=1"], 2, "did you mean `lr`?"),
        (["inspect", "small.yaml", "--device", "tpu"], 2, "device"),
        (["train", "small.yaml", "training.epochs=0"], 2, "must be greater than 0"),
        (["train", "small.yaml", "seeds=0"], 2, "seeds"),
        (["train", "small.yaml", "--name", "../x"], 2, "name"),
        (["train", "small.yaml", "--device", "tpu"], 2, "device"),
        (["train", "small.yaml", "--runs-dir", "small.yaml"], 3, "small.yaml"),
        (["train", "small.yaml", "--runs-dir", "/proc/x"], 3, "/proc/x"),
        (["cv", "missing.yaml"], 2, "missing.yaml"),
        (["cv", "."], 2, "."),
        (["cv", "small.yaml", "cv.folds=1"], 2, "`cv.folds` must be at least 2"),
        (["cv", "small.yaml", "--cell", "ab"], 2, "is not a search"),
        (["cv", ".", "--cell", "ab"], 2, "is not a search"),
        (["resume", "missing"], 3, "is not a run"),
        (["resume", "."], 3, "is not a run"),
        (["resume", "small.yaml"], 3, "is not a run"),
    ],
)
def test_errors_are_named(dlx: Any, tmp_path: Path, words: list[str], code: int, message: str) -> None:
    end = dlx(*words)
    assert (end.code, end.out) == (code, "")
    assert end.err.startswith("error: ")
    assert message in end.err
    assert "Traceback" not in end.err
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_cuda_without_a_gpu(dlx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    end = dlx("train", "small.yaml", "--device", "cuda")
    assert end.code == 2
    assert "the device `cuda` is not on this machine" in end.err
    assert "use --device cpu, or auto" in end.err


@pytest.mark.parametrize(
    ("lr", "code", "word"), [("1e6", 4, "every member diverged"), ("0.4", 5, "of 6 members diverged")]
)
def test_divergence(dlx: Any, tmp_path: Path, lr: str, code: int, word: str) -> None:
    write_config(tmp_path, DIABETES, "diabetes.yaml")
    end = dlx("train", "diabetes.yaml", "seeds=6", f"optimizer={{name: sgd, lr: {lr}}}", "--json")
    assert end.code == code
    assert word in end.err
    assert "a lower optimizer.lr" in end.err
    assert json.loads(end.out)["status"] == ("diverged" if code == 4 else "partly_diverged")
    (run,) = (tmp_path / "runs").iterdir()
    assert status(run) == "done"


def test_a_bug_keeps_its_traceback(dlx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("dlx.commands.train.build_populations", fail)
    with pytest.raises(ZeroDivisionError):
        dlx("train", "small.yaml")
