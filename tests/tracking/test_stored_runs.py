"""Reading runs without taking hold of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands.runs import SMALL, write_config
from stored import CONFIG, RESOLVED, stored

from dlx.config.experiment import resolved_yaml
from dlx.config.load import load_experiment
from dlx.core.errors import RunError, UsageError
from dlx.tracking.run_dir import RunDir
from dlx.tracking.stored_runs import StoredRun, find_run, leaves, stored_runs


def test_the_newest_first_by_the_clock_not_by_the_text(tmp_path: Path) -> None:
    times = {"a": "02:30:00+02:00", "b": "02:10:00+01:00", "c": "00:20:00+00:00", "d": "no time"}
    for name, time in times.items():
        stored(tmp_path, name, created=f"2026-10-25T{time}")
    runs, faults = stored_runs(tmp_path)
    assert ([run.name for run in runs], faults) == (["b", "a", "c", "d"], [])


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    stored(tmp_path, "good")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "foreign").mkdir()
    for name, text in {"torn": '{"id"', "list": "[]", "bare": '{"status": "done"}', "odd": '{"status": 3}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    runs, faults = stored_runs(tmp_path)
    assert [run.name for run in runs] == ["good"]
    assert [fault.split(str(tmp_path))[1].split()[0] for fault in faults] == [
        "/bare/run.json", "/foreign", "/list/run.json", "/odd/run.json", "/torn/run.json",
    ]  # fmt: skip
    assert "is not a run: expected a folder with a run.json" in faults[1]
    assert all("damaged" in fault for fault in faults if "foreign" not in fault)
    with pytest.raises(RunError, match=r"cannot read .*: no such file"):
        stored_runs(tmp_path / "missing")


def test_running_is_what_a_process_holds(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "train", "x")
    with run.ending():
        assert StoredRun.read(run.path).status == "running"
        run.finish("done", "done")
    assert StoredRun.read(run.path).status == "done"
    facts = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**facts, "status": "running"}))
    assert StoredRun.read(run.path).status == "killed"
    RunDir.open(run.path)  # to look at it has not taken it


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    path = stored(tmp_path, status="running")
    before = sorted(path.iterdir())
    run = StoredRun.read(path)
    assert (run.status, run.result, run.seconds) == ("killed", None, None)
    assert run.settings()
    assert sorted(path.iterdir()) == before


def test_seconds(tmp_path: Path) -> None:
    times = {"started": "2026-11-28T10:00:00+00:00", "ended": "2026-11-28T10:00:42+00:00"}
    path = stored(tmp_path, **times)
    assert StoredRun.read(path).seconds == 42
    (path / "timing.json").write_text('{"seconds": 1.5}')
    assert StoredRun.read(path).seconds == 1.5
    (path / "timing.json").write_text('{"problems": [{"seconds": 1.5}, {"seconds": 2}]}')
    assert StoredRun.read(path).seconds == 3.5
    (path / "timing.json").write_text("[]")
    with pytest.raises(RunError, match=r"timing\.json is damaged: expected a JSON object"):
        _ = StoredRun.read(path).seconds


def test_settings_are_those_of_the_experiment(tmp_path: Path) -> None:
    loaded = load_experiment(write_config(tmp_path, SMALL), ["optimizer.lr=1e-7", "metrics=[accuracy, nll]"])
    run = StoredRun.read(stored(tmp_path, resolved=resolved_yaml(loaded.experiment)))
    found, expected = run.settings(), leaves(loaded.experiment.model_dump(mode="json"))
    assert list(found) == list(expected)
    assert (float(found["optimizer.lr"]), found["metrics"]) == (1e-7, "[accuracy, nll]")
    assert (found["training.early_stopping"], found["model.hidden"]) == ("null", "[5]")
    assert run.data_and_model == ("two_moons", "mlp [5]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RESOLVED, ("digits", "mlp [64, 32]")),
        ("data:\n  name: csv\n  path: /a/b c.csv\nmodel:\n  name: linear\n", ("csv b c.csv", "linear")),
        ("name: x\nsurface:\n  name: rosenbrock\noptimizers:\n- name: adam\n", ("rosenbrock", "")),
        ("", ("", "")),
    ],
)
def test_data_and_model(tmp_path: Path, text: str, expected: tuple[str, str]) -> None:
    assert StoredRun.read(stored(tmp_path, resolved=text)).data_and_model == expected


def test_given_is_what_config_and_command_line_name(tmp_path: Path) -> None:
    words = ["dlx", "train", "x.yaml", "training.epochs=30", "--device", "cpu", "--runs-dir=a=b", "odd={"]
    run = StoredRun.read(stored(tmp_path, argv=words))
    assert run.given() == {
        "data.name": "digits", "model.name": "mlp", "model.hidden": "[64, 32]", "loss.name": "cross_entropy",
        "optimizer.name": "adam", "training.epochs": "30", "device": "auto",
    }  # fmt: skip
    again = StoredRun.read(stored(tmp_path, "again", resumed=[{"argv": ["dlx", "resume", "r", "optimizer={lr: 1}"]}]))
    assert again.given().keys() - run.given().keys() == {"optimizer.lr"}


def test_several_problems(tmp_path: Path) -> None:
    path = stored(tmp_path, resolved=None, command="compare-optimizers")
    for name in ("01-a.b", "02-c"):
        folder = path / "problems" / name
        folder.mkdir(parents=True)
        (folder / "config.resolved.yaml").write_text(RESOLVED)
        (folder / "config.input.yaml").write_text(CONFIG)
    run = StoredRun.read(path)
    assert run.data_and_model == ("digits", "mlp [64, 32]")
    assert run.settings()["01-a.b: optimizer.lr"] == run.settings()["02-c: optimizer.lr"] == "0.001"
    assert "02-c: optimizer.name" in run.given()
    assert "02-c: optimizer.lr" not in run.given()


def test_a_damaged_config(tmp_path: Path) -> None:
    run = StoredRun.read(stored(tmp_path, resolved="data: [\n"))
    assert run.data_and_model == ("", "")
    with pytest.raises(RunError, match=r"config.resolved.yaml is damaged: expected YAML"):
        run.settings()


def test_plugins_and_surfaces(tmp_path: Path) -> None:
    plugins = "plugins:\n- path: /a/own.py\n  sha256: 0a\n"
    run = StoredRun.read(stored(tmp_path, resolved=plugins + RESOLVED))
    assert (run.plugins, run.is_on_surface) == (["/a/own.py"], False)
    surface = StoredRun.read(stored(tmp_path, "s", resolved="plugins: []\nsurface:\n  name: beale\n"))
    assert (surface.plugins, surface.is_on_surface) == ([], True)


def test_finding_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("20261128-1-train", "20261128-1-train-2", "20261128-2-cv"):
        stored(tmp_path / "runs", name)
    runs = tmp_path / "runs"
    assert find_run(runs, "20261128-2").name == "20261128-2-cv"
    assert find_run(runs, "20261128-1-train").name == "20261128-1-train"
    assert find_run(tmp_path, str(runs / "20261128-2-cv")).name == "20261128-2-cv"
    monkeypatch.chdir(runs)
    assert find_run(tmp_path, "20261128-2-cv").name == "20261128-2-cv"
    with pytest.raises(UsageError, match=r"3 runs in .* begin with `20261128`: .*; give more of the id"):
        find_run(runs, "20261128")
    for word in ("2027", ""):
        with pytest.raises(RunError, match=f"there is no run `{word}`"):
            find_run(runs, word)
    with pytest.raises(RunError, match="is not a run"):
        find_run(runs, str(tmp_path))


@pytest.mark.parametrize("odd", [{"argv": 3}, {"resumed": "x"}, {"resumed": [1, {"argv": None}, {"argv": [4]}]}])
def test_a_command_line_that_is_none(tmp_path: Path, odd: dict[str, Any]) -> None:
    assert StoredRun.read(stored(tmp_path, **odd)).given()["model.name"] == "mlp"


def test_a_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path, "mine")
    stored(tmp_path, "other")
    is_file = Path.is_file

    def refuse(path: Path) -> bool:
        if path.parent.name == "other":
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    runs, faults = stored_runs(tmp_path)
    assert [run.name for run in runs] == ["mine"]
    assert len(faults) == 1
    assert "other/run.json: permission denied" in faults[0]
