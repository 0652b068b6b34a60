"""Commands with definitions of a user's own, from the first training to a cell of a search alone."""

from __future__ import annotations

import hashlib
import re
import shlex
from pathlib import Path

import pytest
from commands.runs import SMALL, crash, finish, outcome, status, weights, write_config
from commands.searches import SMALL as SEARCH
from commands.searches import cells, read
from plugin_files import ABSOLUTE, OLD_STYLE, QUADRATIC, put_in_use, with_line, write_plugin
from safetensors.torch import load_file

from dlx.commands.catalogue import describe_definition, list_definitions
from dlx.commands.cell import repeat_cell
from dlx.commands.cv import cv
from dlx.commands.inspect import inspect
from dlx.commands.resume import resume
from dlx.commands.train import train
from dlx.core.errors import CheckpointError, ConfigError, RunError, UsageError
from dlx.core.records import Started
from dlx.reporting.inspection import inspection_text

pytestmark = pytest.mark.usefixtures("no_search_pictures", "no_pictures")
MODEL = "{name: mlp, hidden: [5]}"
OWN = f"plugins: [own.py]\n{SMALL.replace(MODEL, 'quadratic')}"
OWN_SEARCH = f"plugins: [own.py]\n{SEARCH.replace('{name: mlp, hidden: [4]}', 'quadratic')}".replace(
    "model.hidden: [[4], [6]]", "model: [quadratic, {name: quadratic, width: 2}, linear]"
)
STYLES = {"stacked": QUADRATIC, "one by one": with_line(OLD_STYLE)}
every_style = pytest.mark.parametrize("style", STYLES)


def facts_of(run: Path) -> str:
    return (run / "report.md").read_text().partition("## Scores")[0]


@every_style
def test_seeds_together_are_each_alone(tmp_path: Path, style: str) -> None:
    own = write_plugin(tmp_path, STYLES[style])
    config = write_config(tmp_path, OWN)
    run = finish(train(config, ["seeds=2"], tmp_path / "runs"))
    assert ("members: trained one by one: vmap cannot run it in " in facts_of(run)) == (style == "one by one")
    for seed in range(2):
        alone = finish(train(run / "config.resolved.yaml", [f"seeds=[{seed}]"], tmp_path / "alone", [own]))
        assert weights(alone) == {
            name.replace(f"seed-{seed}/", ""): content for name, content in weights(run).items() if f"-{seed}/" in name
        }
        assert read(alone)["members"] == [read(run)["members"][seed]]


def test_the_weights_load_in_plain_torch(tmp_path: Path) -> None:
    write_plugin(tmp_path)
    run = finish(train(write_config(tmp_path, OWN), [], tmp_path / "runs"))
    shapes = {name: tuple(each.shape) for name, each in load_file(run / "checkpoints/best.safetensors").items()}
    assert shapes == {"first.weight": (4, 2), "first.bias": (4,), "last.weight": (1, 4), "last.bias": (1,)}


@every_style
@pytest.mark.usefixtures("step_by_step")
def test_a_stopped_run_goes_on_when_its_plugin_is_named(tmp_path: Path, style: str) -> None:
    own = write_plugin(tmp_path, STYLES[style])
    config = write_config(tmp_path, OWN)
    expected = outcome(finish(train(config, [], tmp_path / "runs")))
    run = crash(train(config, [], tmp_path / "runs"), 7)
    files = sorted(run.rglob("*"))
    with pytest.raises(ConfigError, match=f"add to the command line: --plugin {own}"):
        finish(resume(run, []))
    assert sorted(run.rglob("*")) == files
    assert finish(resume(run, [], [own])) == run
    assert outcome(run) == expected
    moved = own.rename(tmp_path / "moved.py")
    longer = finish(resume(run, ["training.epochs=5"], [moved]))
    assert (longer / "config.resolved.yaml").read_text().count(str(own)) == 1, "the record stays what it was"


@pytest.mark.usefixtures("step_by_step")
def test_a_run_does_not_go_on_with_another_plugin(tmp_path: Path) -> None:
    own = write_plugin(tmp_path)
    run = crash(train(write_config(tmp_path, OWN), [], tmp_path / "runs"), 7)
    resolved = run / "config.resolved.yaml"
    write_plugin(tmp_path, f"{QUADRATIC}# changed\n")
    with pytest.raises(UsageError, match=r"but the config records own\.py of"):
        finish(resume(run, [], [own]))
    with pytest.raises(ConfigError, match="that file has changed since"):
        finish(resume(run, [f"plugins=[{own}]"]))
    # Even if the record is forged, the saved state knows the content that it is of.
    digest = re.findall(r"sha256: (\w{64})", resolved.read_text())[0]
    resolved.write_text(resolved.read_text().replace(digest, hashlib.sha256(own.read_bytes()).hexdigest()))
    with pytest.raises(CheckpointError, match="the config or the data of this run have changed"):
        finish(resume(run, [], [own]))


@every_style
def test_a_search_over_models_of_ones_own(tmp_path: Path, style: str) -> None:
    own = write_plugin(tmp_path, STYLES[style])
    run = finish(cv(write_config(tmp_path, OWN_SEARCH), [], tmp_path / "runs"))
    report = (run / "report.md").read_text()
    assert read(run)["status"] == "done"
    assert len(cells(run)) == 6 * 3
    assert ("members: trained one by one: vmap cannot run it in " in report) == (style == "one by one")
    line = next(line for line in cells(run) if line["values"]["model"] == {"name": "quadratic", "width": 2})
    with pytest.raises(ConfigError, match="--plugin"):
        finish(repeat_cell(run, line["id"], tmp_path / "alone"))
    finish(repeat_cell(run, line["id"], tmp_path / "alone", [own]))
    (command,) = re.findall(r"^dlx train .*config\.resolved\.yaml .*$", report, re.M)
    *_, flag, path = shlex.split(command)
    assert (flag, path) == ("--plugin", str(own))
    assert f"--plugin {own}\n" in re.findall(r"^dlx cv RUN --cell .*\n", report, re.M)[0]
    with pytest.raises(ConfigError, match="--plugin"):
        finish(train(run / "best.yaml", [], tmp_path / "alone"))
    finish(train(run / "best.yaml", [], tmp_path / "alone", [own]))


def test_a_search_is_extended_when_its_plugin_is_named(tmp_path: Path) -> None:
    own = write_plugin(tmp_path)
    one = "search.space={model.width: [2, 3]}"
    run = finish(cv(write_config(tmp_path, OWN_SEARCH), [one], tmp_path / "runs"))
    with pytest.raises(ConfigError, match="--plugin"):
        finish(resume(run, ["cv.repeats=2"]))
    assert status(run) == "done"
    finish(resume(run, ["cv.repeats=2"], [own]))
    assert len(cells(run)) == 2 * 3 * 2


def test_leave_one_out_of_what_cannot_be_stacked(tmp_path: Path) -> None:
    """Metrics of all held-out predictions together; stacked and one by one they are the same."""
    few = ["data.num_examples=12", "data.split.valid=0", "training.batch_size=4", "cv.folds=leave_one_out"]
    few += ["search.space={model.width: [2]}", "metrics=[accuracy, roc_auc]", "dtype=float64"]
    results = []
    for name, text in STYLES.items():
        folder = tmp_path / name
        folder.mkdir()
        write_plugin(folder, text)
        run = finish(cv(write_config(folder, OWN_SEARCH), [*few, "training.early_stopping=null"], folder / "runs"))
        results.append(read(run)["trials"][0]["score"]["mean"])
    assert results[0] == pytest.approx(results[1], rel=1e-9)


@every_style
def test_inspection(tmp_path: Path, style: str) -> None:
    write_plugin(tmp_path, STYLES[style])
    found = inspect(write_config(tmp_path, OWN), [])
    assert found["num_parameters"] == 2 * 4 + 4 + 4 + 1
    assert found["one_batch"]["end"] < found["one_batch"]["start"]
    assert "quadratic" in inspection_text(found)


def test_a_loss_of_ones_own_beside_the_config(tmp_path: Path) -> None:
    text = SMALL.replace("two_moons, num_examples: 80", "diabetes").replace("binary_cross_entropy", "absolute")
    text = text.replace("epochs: 4, batch_size: 10", "epochs: 1, batch_size: 64")
    own = write_plugin(tmp_path, ABSOLUTE)
    overrides = ["metrics=[mae]", "data.target_scale=none"]
    run = finish(train(write_config(tmp_path, text), overrides, tmp_path / "runs", [own]))
    (member,) = read(run)["members"]
    assert member["valid"]["loss"] == pytest.approx(member["valid"]["mae"], rel=1e-5)


def test_chance_is_refused_before_there_is_a_run(tmp_path: Path) -> None:
    write_plugin(tmp_path, with_line("hidden = nn.functional.dropout(hidden, 0.5)"))
    for command, text in ((train, OWN), (cv, OWN_SEARCH)):
        with pytest.raises(UsageError, match="draws random numbers from torch's generator"):
            finish(command(write_config(tmp_path, text), [], tmp_path / "runs"))
    search = OWN_SEARCH.replace("\nmodel: quadratic", "\nmodel: linear")
    with pytest.raises(UsageError, match="draws random numbers from torch's generator"):
        finish(cv(write_config(tmp_path, search), [], tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_what_is_said_of_a_run_names_its_plugin(tmp_path: Path) -> None:
    own = write_plugin(tmp_path)
    records = train(write_config(tmp_path, OWN), [], tmp_path / "runs")
    first = next(records)
    assert isinstance(first, Started)
    assert first.facts["plugins"] == f"--plugin {own}"
    finish(records)
    again = resume(first.run_dir, [], [own])
    with pytest.raises(RunError, match=rf"for more epochs: dlx resume .* training\.epochs=8 --plugin {own}$"):
        next(again)


def test_listed_and_described(tmp_path: Path) -> None:
    put_in_use(tmp_path)
    line = "  quadratic  Quadratic network: outputs = W_2 (W_1 inputs + b_1)**2 + b_2. (from own.py)\n"
    assert line in list_definitions("model")
    text = describe_definition("quadratic")
    assert text.startswith("quadratic (model)\n\nQuadratic network: ")
    assert f"\n\nFrom the plugin {tmp_path}/own.py\n\n" in text
    assert "  width: a whole number > 0; default 4\n      Hidden units.\n" in text
    assert "From the plugin" not in describe_definition("mlp")
