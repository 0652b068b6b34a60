"""The command: on surfaces whose curvature is known, and on models against numpy, scipy and torch."""

from __future__ import annotations

import json
import signal
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.runs import small_run, status, write_config
from plugin_files import WRONG_GRADIENTS
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor
from torch.autograd.functional import hessian

from dlx.commands.curvature import curvature, has_kinks
from dlx.commands.resume import resume
from dlx.commands.subject import load_subject
from dlx.commands.train import train
from dlx.core.definition import Activation
from dlx.core.errors import ConfigError, DivergedError, RunError, RunInterruptedError, UsageError
from dlx.core.records import AnalysisProgress, AnalysisStarted, Finished
from dlx.core.registry import registered
from dlx.tracking.checkpoints import load_tensors

ROSENBROCK = Path("configs/rosenbrock.yaml")
FILES = {
    "run.json", "config.input.yaml", "config.resolved.yaml", "environment.json", "result.json", "report.md",
    "figures/spectrum.png", "figures/steps.png",
}  # fmt: skip
LINEAR = """\
data: {name: diabetes, split: {valid: 0, test: 0.2}}
model: linear
loss: mse
optimizer: least_squares
training: {epochs: 1, batch_size: full, early_stopping: null}
dtype: float64
device: cpu
"""


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.curvature_figures.draw_curvature", lambda *_: [])


def look(path: Path, folder: Path, *overrides: str) -> dict[str, Any]:
    first, *_, last = curvature(path, overrides, folder / "looks")
    assert isinstance(first, AnalysisStarted)
    assert isinstance(last, Finished)
    return last.result


def ends(result: dict[str, Any]) -> list[float]:
    return [result["spectrum"][end]["value"] for end in ("lowest", "highest")]


def test_a_complete_run(tmp_path: Path) -> None:
    *_, last = curvature(ROSENBROCK, ["start=[1, 1]", "name=valley"], tmp_path)
    assert isinstance(last, Finished)
    run, result = last.run_dir, last.result
    found = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert found - {".lock"} == FILES - {"figures/steps.png"}, "the gradient is 0, so there is no step"
    assert (status(run), json.loads((run / "result.json").read_text())["status"]) == ("done", "done")
    assert ends(result) == pytest.approx([0.399360767488, 1001.60063923], rel=1e-11)
    assert (result["value"], result["gradient_norm"], result["steps"]) == (0, 0, None)
    assert result["point"]["kind"] == "minimum"
    again = look(run, tmp_path)
    assert again["spectrum"] == result["spectrum"], "a run of a surface is read as its config"


def test_the_steps_at_the_usual_start(tmp_path: Path) -> None:
    *_, last = curvature(ROSENBROCK, [], tmp_path)
    assert isinstance(last, Finished)
    found = {path.relative_to(last.run_dir).as_posix() for path in last.run_dir.rglob("*") if path.is_file()}
    assert found - {".lock"} == FILES
    result = last.result
    assert (result["value"], result["gradient_norm"]) == pytest.approx((24.2, np.hypot(215.6, 88)))
    assert {mark["name"] for mark in result["steps"]["marks"]} == {"eps*", "2 / lambda_max", "lr 0.001", "lr 0.1"}
    for name in ("figures/spectrum.png", "figures/steps.png"):
        assert (last.run_dir / name).read_bytes().startswith(b"\x89PNG")
        assert f"({name})" in (last.run_dir / "report.md").read_text()


@pytest.mark.usefixtures("no_drawing")
@pytest.mark.parametrize("condition", [1.0, 25.0, 1e6])
def test_bowls_dense_and_by_lanczos(condition: float, tmp_path: Path) -> None:
    bowl = write_config(
        tmp_path, f"surface: {{name: quadratic, condition: {condition}, angle: 30, num_variables: 60}}\n"
    )
    dense = look(bowl, tmp_path)
    assert ends(dense) == pytest.approx([1, condition], rel=1e-8)
    assert dense["spectrum"]["trace"] == pytest.approx(sum(condition ** (i / 59) for i in range(60)))
    assert dense["point"]["shape"] == "minimum"
    assert dense["steps"]["reliable_to"] == dense["steps"]["sizes"][-1], "the model is exact"
    lanczos = look(bowl, tmp_path, "curvature.dense=0", "curvature.tolerance=1e-6", "curvature.max_steps=60")
    assert lanczos["spectrum"]["method"] == "lanczos"
    assert ends(lanczos) == pytest.approx(ends(dense), rel=1e-5)
    low, high = (lanczos["directions"]["curvature"][end] for end in ("lowest", "highest"))
    assert 1 - 1e-9 <= low <= high <= condition * (1 + 1e-9)


@pytest.mark.usefixtures("no_drawing")
def test_saddles_of_himmelblau(tmp_path: Path) -> None:
    config = write_config(tmp_path, "surface: himmelblau\n")
    for point, value in (
        ("3.385154183607021, 0.07385187983774928", 13.3119),
        ("-0.12796134673068008, -1.9537149802445763", 178.3372),
    ):
        result = look(config, tmp_path, f"start=[{point}]")
        assert result["point"]["kind"] == "saddle"
        assert result["value"] == pytest.approx(value, abs=1e-4)
        assert ends(result)[0] < 0 < ends(result)[1]
        assert result["spectrum"]["signs"] == {"negative": 1, "zero": 0, "positive": 1}


@pytest.mark.usefixtures("no_drawing", "no_pictures")
def test_a_linear_model_at_its_minimum(tmp_path: Path) -> None:
    *_, last = train(write_config(tmp_path, LINEAR), [], tmp_path / "runs")
    assert isinstance(last, Finished)
    result = look(last.run_dir, tmp_path)
    subject = load_subject(last.run_dir, [])
    inputs, scale = subject.examples.inputs[subject.train], subject.member.input_scale
    assert scale is not None
    design = np.column_stack([(inputs - scale.shift) / scale.scale, np.ones(len(inputs))])
    exact = np.linalg.eigvalsh(2 / len(design) * design.T @ design)
    assert result["spectrum"]["values"] == pytest.approx(exact.tolist(), rel=1e-9)
    assert result["point"]["kind"] == "minimum"
    some = design[np.random.default_rng(0).permutation(len(design))[:32]]
    assert result["jacobian"]["rank"] == np.linalg.matrix_rank(some)
    assert result["jacobian"]["largest_singular_value"] == pytest.approx(np.linalg.norm(some, 2))
    assert result["rates"] == []


def small_error(run: Path) -> tuple[Tensor, Any]:
    """The best weights of a small run, and its training error as a function of them, in torch alone."""
    subject = load_subject(run, [])
    tensors, _ = load_tensors(run / "checkpoints" / "best.safetensors")
    named = {name: tensors[name].double() for name in subject.member.recipe.layout().shapes}
    scale = subject.member.input_scale
    assert scale is not None
    inputs = torch.from_numpy((subject.examples.inputs[subject.train] - scale.shift) / scale.scale)
    targets = torch.from_numpy(subject.examples.targets[subject.train]).double()

    def error(theta: Tensor) -> Tensor:
        pieces = torch.split(theta, [tensor.numel() for tensor in named.values()])
        w1, b1, w2, b2 = (piece.view_as(each) for piece, each in zip(pieces, named.values(), strict=True))
        outputs = (torch.tanh(inputs @ w1.T + b1) @ w2.T + b2).squeeze(1)
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets)

    return torch.cat([tensor.flatten() for tensor in named.values()]), error


@pytest.mark.usefixtures("no_drawing", "no_pictures")
def test_a_trained_network(tmp_path: Path) -> None:
    run = small_run(tmp_path, "model.activation=tanh")
    theta, error = small_error(run)
    exact = hessian(error, theta)
    assert isinstance(exact, Tensor)
    result = look(run, tmp_path)
    assert result["value"] == pytest.approx(float(error(theta)), rel=1e-12)
    assert result["spectrum"]["values"] == pytest.approx(torch.linalg.eigvalsh(exact).tolist(), rel=1e-8, abs=1e-12)
    (gradient,) = torch.autograd.grad(error(at := theta.clone().requires_grad_()), at)
    assert result["gradient_norm"] == pytest.approx(float(gradient.norm()))
    steps = result["steps"]
    assert steps["best"] == pytest.approx(float(gradient @ gradient / (gradient @ exact @ gradient)))
    for mark in steps["marks"]:
        assert mark["measured"] == pytest.approx(float(error(theta - mark["size"] * gradient)), rel=1e-11)
    assert {mark["name"] for mark in steps["marks"]} == {"eps*", "2 / lambda_max", "lr 0.05"}
    assert result["remarks"] == []
    # The same by Lanczos's method, and by scipy's.
    lanczos = look(run, tmp_path, "curvature.dense=0")
    operator = LinearOperator(exact.shape, matvec=lambda v: exact.numpy() @ v, dtype=np.float64)
    outermost = eigsh(operator, k=2, which="BE", return_eigenvectors=False, v0=np.ones(len(theta)))
    assert ends(lanczos) == pytest.approx(sorted(outermost.tolist()), rel=0.01)
    for end, value in zip(("lowest", "highest"), ends(result), strict=True):
        assert abs(lanczos["spectrum"][end]["value"] - value) <= lanczos["spectrum"][end]["bound"] + 1e-12


@pytest.mark.usefixtures("no_drawing")
def test_the_same_bytes_again(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    for folder in ("a", "b"):
        list(curvature(config, ["curvature.dense=0"], tmp_path / folder))
    first, second = (next((tmp_path / folder).iterdir()) for folder in ("a", "b"))
    for name in ("result.json", "report.md", "config.resolved.yaml"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.usefixtures("no_drawing")
def test_a_batch_and_remarks(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    first, *_, last = curvature(config, ["curvature.batch_size=7", "model.dropout=0.5"], tmp_path / "looks")
    assert isinstance(first, AnalysisStarted)
    assert isinstance(last, Finished)
    assert first.facts["examples"] == "a random 7 of 48 for training"
    assert last.result["jacobian"]["num_examples"] == 7
    kinks, dropout = last.result["remarks"]
    assert "`relu` jumps" in kinks
    assert "Dropout is left out" in dropout


@pytest.mark.usefixtures("no_drawing")
def test_a_plugin_with_a_wrong_backward_is_doubted(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(WRONG_GRADIENTS)
    path = tmp_path / "own.yaml"
    path.write_text("data: iris\nmodel: sine_net\nloss: cross_entropy\nplugins: [own.py]\n")
    result = look(path, tmp_path, "curvature.directions=2")
    assert result["doubt"] is not None
    (report,) = tmp_path.rglob("report.md")
    assert "dlx gradcheck finds where" in report.read_text()


def test_activations_with_kinks() -> None:
    kinked = {name for name, cls in registered(Activation).items() if has_kinks(cls())}
    assert {"relu", "leaky_relu"} <= kinked
    assert not kinked & {"identity", "tanh", "sigmoid", "gelu", "softplus"}


@pytest.mark.parametrize(
    ("overrides", "error", "words"),
    [
        (["curvature.batch_size=49"], ConfigError, "a batch of 49 is larger than the training part, which has 48"),
        (["curvature.directions=1"], ConfigError, "`curvature.directions` must be at least 2"),
        (["curvature.tolerance=1"], ConfigError, "`curvature.tolerance` must be less than 1"),
        (["curvature.stpes=3"], ConfigError, "unknown key `stpes` in `curvature`"),
    ],
)
def test_faults_of_a_config(tmp_path: Path, overrides: Sequence[str], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        look(write_config(tmp_path), tmp_path, *overrides)
    assert words in str(caught.value)
    assert not (tmp_path / "looks").exists()


@pytest.mark.usefixtures("no_pictures", "no_drawing")
def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        look(tmp_path, tmp_path)
    with pytest.raises(UsageError):
        look(tmp_path / "none.yaml", tmp_path)
    run = small_run(tmp_path)
    with pytest.raises(RunError, match="no best weights of seed 3"):
        look(run, tmp_path, "seeds=[3]")
    for file in (run / "checkpoints").rglob("best.safetensors"):
        file.unlink()
    with pytest.raises(RunError, match="no best weights of seed 0"):
        look(run, tmp_path)
    assert not (tmp_path / "looks").exists()


def test_where_there_is_nothing_to_see(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"rosenbrock.yaml the error is inf"):
        look(ROSENBROCK, tmp_path, "start=[1e200, 0]")
    assert not (tmp_path / "looks").exists()


@pytest.mark.usefixtures("no_drawing")
def test_an_analysis_is_not_resumed(tmp_path: Path) -> None:
    *_, last = curvature(write_config(tmp_path), [], tmp_path / "looks")
    assert isinstance(last, Finished)
    with pytest.raises(RunError, match=r"is a run of dlx curvature, which is not resumed: run it again on"):
        list(resume(last.run_dir, []))
    with pytest.raises(RunError, match="no best weights"):
        look(last.run_dir, tmp_path)


@pytest.mark.usefixtures("no_drawing")
def test_a_signal_ends_it(tmp_path: Path) -> None:
    records = curvature(write_config(tmp_path), [], tmp_path / "looks")
    first = next(records)
    assert isinstance(first, AnalysisStarted)
    assert isinstance(next(records), AnalysisProgress)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(RunInterruptedError, match="run it again"):
        next(records)
    assert status(first.run_dir) == "interrupted"


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_hessian_products_against_curvlinops(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        from curvlinops import HessianLinearOperator
    subject = load_subject(small_run(tmp_path, "model.activation=tanh", "model.hidden=[6, 4]"), [])
    surface = subject.surface(subject.train)
    module = subject.member.recipe.model.build(subject.member.recipe.spec)
    torch.nn.utils.vector_to_parameters(surface.theta, module.parameters())
    scale = subject.member.input_scale
    assert scale is not None
    inputs = torch.from_numpy((subject.examples.inputs[subject.train] - scale.shift) / scale.scale)
    targets = torch.from_numpy(subject.examples.targets[subject.train]).double()[:, None]
    parameters = [each for each in module.parameters() if each.requires_grad]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = HessianLinearOperator(module, torch.nn.BCEWithLogitsLoss(), parameters, [(inputs, targets)])
        wanted = peer @ torch.eye(len(surface.theta), dtype=torch.float64)
    found = surface.hessian_times(surface.theta, torch.eye(len(surface.theta), dtype=torch.float64))
    torch.testing.assert_close(found, wanted.detach().T, rtol=1e-9, atol=1e-13)
