"""``dlx landscape``: what a run holds, and what is refused before there is one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from commands.runs import small_run, write_config
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import vector_to_parameters

from dlx.commands.landscape import landscape
from dlx.commands.resume import resume
from dlx.commands.subject import load_subject
from dlx.core.errors import CheckpointError, ConfigError, DivergedError, DlxError, RunError, UsageError
from dlx.core.records import AnalysisProgress, AnalysisStarted, Finished
from dlx.curvature.landscape import random_directions

FILE = "checkpoints/seed-1/best.safetensors"
FILES = {
    "run.json", "config.input.yaml", "config.resolved.yaml", "environment.json", "result.json", "landscape.json",
    "report.md",
}  # fmt: skip
PICTURES = {f"figures/landscape_{name}.png" for name in ("lines", "contour", "surface")}
SURFACE = (
    "surface: himmelblau\nsteps: 50\ndevice: cpu\noptimizers: [{name: sgd, lr: 0.01}, {name: sgd, lr: 1.0}, newton]\n"
)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures, which take longer than a small landscape."""
    monkeypatch.setattr("dlx.reporting.landscape_figures.draw_landscape", lambda *_: [])


def look(path: Path, folder: Path, *overrides: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the command and read result.json and landscape.json."""
    first, *progress, last = landscape(path, overrides, folder / "looks")
    assert isinstance(first, AnalysisStarted)
    assert isinstance(last, Finished)
    assert all(isinstance(each, AnalysisProgress) for each in progress)
    assert [each.share for each in progress] == sorted(each.share for each in progress)
    result, shown = (json.loads((last.run_dir / name).read_text()) for name in ("result.json", "landscape.json"))
    assert json.loads((last.run_dir / "run.json").read_text())["status"] == "done"
    return result, shown


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("trained"), "seeds=3")


def test_a_complete_run(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    *_, last = landscape(config, ["landscape.points=5"], tmp_path / "looks")
    assert isinstance(last, Finished)
    found = {path.relative_to(last.run_dir).as_posix() for path in last.run_dir.rglob("*") if path.is_file()}
    assert found - {".lock"} == FILES | PICTURES
    report = (last.run_dir / "report.md").read_text()
    for name in PICTURES:
        assert (last.run_dir / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert f"({name})" in report
    assert (last.run_dir / "config.input.yaml").read_text() == config.read_text()
    with pytest.raises(RunError, match="run of dlx landscape, which is not resumed"):
        list(resume(last.run_dir, []))


@pytest.mark.usefixtures("no_figures")
def test_points_of_a_plane_around_best_weights(trained: Path, tmp_path: Path) -> None:
    """Every point of the grid, with torch alone."""
    result, shown = look(trained, tmp_path, "landscape.points=5", "landscape.radius=0.5")
    subject = load_subject(trained, [], dtype="float32")
    named = load_file(trained / "checkpoints" / "seed-0" / "best.safetensors")
    scale = subject.member.input_scale
    x = torch.from_numpy((subject.examples.inputs[subject.train] - scale.shift) / scale.scale).float()
    y = torch.from_numpy(subject.examples.targets[subject.train]).float()
    module = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1))
    module.load_state_dict(named)
    values = np.array(shown["values"])
    theta = torch.cat([each.detach().reshape(-1) for each in module.parameters()])
    directions = random_directions(theta.double(), subject.member.recipe.layout(), 2, 0).float()
    with torch.no_grad():
        for (row, column), value in np.ndenumerate(values):
            at = [shown["axes"][0][column], shown["axes"][1][row]]
            vector_to_parameters(theta + at[0] * directions[0] + at[1] * directions[1], module.parameters())
            wanted = float(binary_cross_entropy_with_logits(module(x).squeeze(1), y))
            assert value == pytest.approx(wanted, rel=1e-5)
    centre = values[2, 2]
    assert result["marks"][0]["value"] == pytest.approx(centre, rel=1e-5)
    row, column = np.unravel_index(values.argmin(), (5, 5))
    assert result["lowest"]["at"] == pytest.approx([shown["axes"][0][column], shown["axes"][1][row]])
    assert result["lowest"]["value"] == values.min()
    assert result["highest"]["value"] == values.max()
    assert result["num_points"] == 26


@pytest.mark.usefixtures("no_figures")
def test_the_same_again_and_another_seed(trained: Path, tmp_path: Path) -> None:
    first = look(trained, tmp_path, "landscape.points=5")
    assert look(trained, tmp_path, "landscape.points=5") == first
    other = look(trained, tmp_path, "landscape.points=5", "landscape.seed=1")
    assert other[1]["values"] != first[1]["values"]
    assert other[0]["marks"][0]["value"] == first[0]["marks"][0]["value"]


@pytest.mark.usefixtures("no_figures")
def test_through_three_weights(trained: Path, tmp_path: Path) -> None:
    files = [str(trained / "checkpoints" / f"seed-{seed}" / "best.safetensors") for seed in (1, 2)]
    result, shown = look(trained, tmp_path, f"landscape.through={files}", "landscape.points=5")
    for seed, mark in enumerate(result["marks"]):
        subject = load_subject(trained, [f"seeds=[{seed}]"])
        assert mark["value"] == pytest.approx(subject.surface(subject.train).value(subject.weights), rel=1e-5)
    weights = [load_subject(trained, [f"seeds=[{seed}]"]).weights for seed in range(3)]
    for barrier, edge in zip(result["barriers"], shown["edges"], strict=True):
        ends = barrier["from"], barrier["to"]
        assert barrier["distance"] == pytest.approx(float((weights[ends[0]] - weights[ends[1]]).norm()), rel=1e-6)
        assert [edge[0], edge[-1]] == pytest.approx([result["marks"][end]["value"] for end in ends], rel=1e-5)
    assert result["num_points"] == 25 + 3 + 15


@pytest.mark.usefixtures("no_figures")
def test_through_another_run_named_relative_to_the_config(trained: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path)
    (tmp_path / "other").symlink_to(trained)
    *_, last = landscape(config, ["landscape.through=[other]", "landscape.points=5"], tmp_path / "looks")
    assert isinstance(last, Finished)
    assert len(last.result["axes"]) == 1
    assert last.result["kind"] == "through"
    resolved = yaml.safe_load((last.run_dir / "config.resolved.yaml").read_text())
    assert resolved["landscape"]["through"] == [str(trained.resolve())]


@pytest.mark.usefixtures("no_figures")
def test_the_validation_part(trained: Path, tmp_path: Path) -> None:
    result, _ = look(trained, tmp_path, "landscape={points: 3, part: valid}")
    scores = json.loads((trained / "result.json").read_text())["members"][0]["valid"]
    assert result["error"] == "valid loss"
    assert result["marks"][0]["value"] == pytest.approx(scores["loss"], rel=1e-5)


def test_numbers_that_overflow_are_holes(tmp_path: Path) -> None:
    result, shown = look(write_config(tmp_path), tmp_path, "landscape={points: 5, radius: 1e30}")
    assert result["num_not_finite"] == sum(value is None for row in shown["values"] for value in row) > 0
    assert shown["values"][2][2] == result["lowest"]["value"] is not None


def test_an_analytic_surface_with_paths(tmp_path: Path) -> None:
    result, shown = look(write_config(tmp_path, SURFACE), tmp_path, "landscape.points=21")
    x, y = np.meshgrid(*shown["axes"])
    np.testing.assert_allclose(shown["values"], (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2, rtol=1e-12)
    slow, fast, newton = result["paths"]
    assert slow["end"] == pytest.approx([3, 2], abs=1e-5)
    assert slow["minimum"] == 0
    assert 0 < slow["arrived"] < slow["steps"] == 50
    assert (fast["diverged"], fast["left_box"], fast["arrived"]) == (True, 1, None)
    assert newton["distance"] < 1e-6
    assert [len(path) for path in shown["paths"]] == [path["steps"] + 1 for path in result["paths"]]


@pytest.mark.usefixtures("no_figures")
def test_where_every_path_diverges(tmp_path: Path) -> None:
    config = write_config(tmp_path, SURFACE)
    records = landscape(config, ["optimizers=[{name: sgd, lr: 1.0}]", "landscape.points=5"], tmp_path / "looks")
    last = None
    with pytest.raises(DivergedError, match="every path diverged, 1 of 1"):
        for last in records:  # noqa: B007 - the last record is asked for after the error
            pass
    assert isinstance(last, Finished)
    unbounded = write_config(
        tmp_path, "surface: saddle\nsteps: 3000\noptimizers: [{name: sgd, lr: 1.0}]\ndevice: cpu\n"
    )
    *_, last = landscape(unbounded, ["landscape.points=5"], tmp_path / "looks")
    assert last.result["paths"][0]["diverged"], "right where there is no lowest value"


@pytest.mark.usefixtures("no_figures")
def test_a_start_at_the_minimum(tmp_path: Path) -> None:
    result, _ = look(write_config(tmp_path, SURFACE), tmp_path, "landscape.points=5", "start=[3, 2]")
    assert result["starts_at_minimum"]
    assert not look(write_config(tmp_path, SURFACE), tmp_path, "landscape.points=5")[0]["starts_at_minimum"]


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ([], False),
        (["data.split.seed=null"], False),  # of seed 0, whose split is that of the split seed 0
        (["data.split.seed=null", "seeds=[3]"], True),
        (["data.split.seed=1"], True),
        (["data.split.valid=0.3"], True),
    ],
)
def test_weights_of_another_split_are_told(trained: Path, tmp_path: Path, changes: list[str], is_told: bool) -> None:
    given = [f"landscape.through=[{trained}]", "landscape.points=3", *changes]
    result, _ = look(write_config(tmp_path), tmp_path, *given)
    assert [text.startswith("Weights 2 were trained on another split") for text in result["remarks"]] == [
        True
    ] * is_told


def test_the_run_of_an_analysis_has_no_weights(trained: Path, tmp_path: Path) -> None:
    analysis = tmp_path / "analysis"
    shutil.copytree(trained, analysis)
    facts = json.loads((analysis / "run.json").read_text())
    (analysis / "run.json").write_text(json.dumps({**facts, "command": "gradcheck"}))
    config = write_config(tmp_path)
    for path, overrides in ((analysis, []), (config, [f"landscape.through=[{analysis}]"])):
        with pytest.raises(RunError, match=r"is the run of an analysis \(dlx gradcheck\) and has no best weights"):
            list(landscape(path, overrides, tmp_path / "looks"))


@pytest.mark.parametrize(
    ("overrides", "error", "match"),
    [
        (["landscape.points=4"], ConfigError, "must be odd"),
        (["landscape.part=test"], ConfigError, "`train` or `valid`"),
        (["landscape.radius=0"], ConfigError, "greater than 0"),
        (
            ["landscape.part=valid", "data.split.valid=0", "training.early_stopping=null"],
            ConfigError,
            "no validation part",
        ),
        (["landscape.through=[nowhere]"], UsageError, "no run and no file nowhere"),
        (["landscape.through=[looks]"], RunError, "is not a run"),
        (["landscape.through=[RUN]", "model.hidden=[6]"], UsageError, "has another model"),
        (["landscape.through=[RUN]", "data.scale=minmax"], UsageError, "has another data"),
        ([f"landscape.through=[RUN/{FILE}]", "model.hidden=[6]"], CheckpointError, "another model"),
        (["landscape.through=[RUN/config.resolved.yaml]"], UsageError, "no file of weights: expected a run directory"),
        (["landscape.through=[RUN/checkpoints/state.safetensors]"], UsageError, "no file of weights"),
        (["landscape.through=[RUN, RUN]"], UsageError, "third weights lie on one line"),
        (["model.init=zeros"], UsageError, "all weights are 0"),
    ],
)  # fmt: skip
def test_what_is_refused(
    trained: Path, tmp_path: Path, overrides: list[str], error: type[DlxError], match: str
) -> None:
    (tmp_path / "looks").mkdir()
    given = [override.replace("RUN", str(trained)) for override in overrides]
    with pytest.raises(error, match=match):
        list(landscape(write_config(tmp_path), given, tmp_path / "looks"))
    assert not list((tmp_path / "looks").iterdir())


def test_sections_that_are_written_out_are_not_taken_for_others(trained: Path, tmp_path: Path) -> None:
    """`curvature.batch_size: null` is no batch size of the training."""
    config = write_config(tmp_path, (trained / "config.resolved.yaml").read_text())
    with pytest.raises(ConfigError, match="a batch of 1000 is larger"):
        load_subject(config, ["training.batch_size=1000"])
    assert load_subject(config, []).experiment.training.batch_size == 10


THINNED = """
from typing import Literal

from torch import nn

from dlx.core.definition import Model
from dlx.models.dropout import Dropout


class Thinned(Model):
    \"\"\"A network of one's own with dropout, whose layers do not ask for the dtype.\"\"\"

    name: Literal["thinned"] = "thinned"
    rate: float = 0.5

    def build(self, spec):
        width, outputs = spec.input_shape[0], spec.num_outputs
        return nn.Sequential(nn.Linear(width, 6), nn.Tanh(), Dropout(self.rate, spec.dtype), nn.Linear(6, outputs))
"""


def test_dropout_of_ones_own_model_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(THINNED)
    config = tmp_path / "small.yaml"
    config.write_text("data: iris\nmodel: thinned\nloss: cross_entropy\nplugins: [own.py]\ndevice: cpu\n")
    subject = load_subject(config, [])
    assert "dropout" in subject.facts()
    assert subject.member.recipe.obstacle is None  # it is stacked, whatever dtype it was written for
    surface = subject.surface(subject.train)
    network = surface.alone.network()
    outputs = network.module.eval()(network.inputs).detach()
    expected = torch.nn.functional.cross_entropy(outputs, network.targets)
    assert surface.value(surface.theta) == pytest.approx(float(expected), rel=1e-12)
    drawn = load_subject(config, [], draws=True)
    assert "dropout" not in drawn.facts()
    assert drawn.surface(drawn.train).value(surface.theta) != pytest.approx(float(expected), rel=1e-3)
