"""``dlx gradcheck`` from config to run directory: what it says of right gradients, and of wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gradients.nets import Squares
from plugin_files import OLD_STYLE, QUADRATIC, WRONG_GRADIENTS, with_line
from torch import Tensor, nn

from dlx.commands import gradcheck as module
from dlx.commands.gradcheck import gradcheck
from dlx.commands.resume import resume
from dlx.commands.train import train
from dlx.core.errors import CheckError, RunError, UsageError
from dlx.core.records import AnalysisProgress, AnalysisStarted, Finished
from dlx.losses.cross_entropy import CrossEntropy
from dlx.losses.mse import MeanSquaredError
from dlx.models.mlp import MLP
from dlx.reporting import v_curve
from dlx.reporting.gradcheck_tables import gradcheck_sentences

CONFIG = """
data: {name: iris}
model: {name: mlp, hidden: [6], activation: tanh}
loss: cross_entropy
prior: {name: gaussian, precision: 2.0}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v_curve, "save_figure", lambda *_: None)


def run(config: Path, *overrides: str, self_test: bool = False) -> tuple[dict[str, Any], list[Any]]:
    records = list(gradcheck(config, overrides, config.parent / "runs", self_test=self_test))
    assert isinstance(records[-1], Finished)
    return records[-1].result, records


def failed(config: Path, *overrides: str) -> tuple[str, dict[str, Any]]:
    """The message of a check that fails, and its result."""
    records: list[Any] = []
    with pytest.raises(CheckError) as error:
        records.extend(gradcheck(config, overrides, config.parent / "runs"))
    return str(error.value), records[-1].result


def test_a_right_gradient(config: Path) -> None:
    result, records = run(config, self_test=True)
    assert isinstance(records[0], AnalysisStarted)
    assert any(isinstance(record, AnalysisProgress) for record in records)
    assert result["status"] == "ok"
    assert [(each["of"], each["by"], each["verdict"]) for each in result["checks"]] == [
        ("loss", "autograd", "ok"), ("prior", "autograd", "ok"), ("objective", "autograd", "ok"),
        ("objective", "by hand", "ok"),
    ]  # fmt: skip
    assert result["num_evaluations"] == 2 * result["num_parameters"] == 2 * 51
    assert all(value < 1e-13 for each in result["agreement"].values() for value in each.values())
    assert {each["outcome"] for each in result["self_test"]["faults"]} == {"caught"}
    assert result["v_curve"]["truncation_slope"] == pytest.approx(2, abs=0.15)


def test_the_same_result_again(config: Path) -> None:
    assert run(config)[0] == run(config)[0]


def test_a_trained_run_is_checked_at_its_best_weights(config: Path) -> None:
    *_, trained = train(config, ["training.epochs=3"], config.parent / "runs")
    result, records = run(trained.run_dir)  # without a burn-in, which is for initial weights
    assert result["value"] == run(trained.run_dir, "gradcheck.burn_in=0")[0]["value"]
    assert "without burn-in" in records[0].facts["batch"]
    assert "best.safetensors" in records[0].facts["weights"]
    assert result["status"] == "ok"
    assert result["value"] != run(config, "gradcheck.burn_in=0")[0]["value"]


def build_with_squares(model: MLP, spec: Any, build: Any = MLP.build) -> nn.Module:
    """An MLP whose activation has a wrong backward."""
    layers = list(build(model, spec))
    return nn.Sequential(layers[0], Squares(), *layers[2:])


def test_a_users_wrong_backward_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLP, "build", build_with_squares)
    text, result = failed(config)
    assert "wrong in 0.weight, 0.bias" in text
    assert "a factor 2 is missing" in text
    assert "module 1 (Squares)" in text
    assert result["status"] == "wrong"
    verdicts = {each["name"]: each["verdict"] for each in result["checks"][0]["tensors"]}
    assert verdicts == {"0.weight": "wrong", "0.bias": "wrong", "2.weight": "ok", "2.bias": "ok"}
    assert result["agreement"] == {}  # hands do not know such a layer
    assert result["v_curve"] is None
    text = " ".join(gradcheck_sentences(result))
    assert "BatchNorm), not `Squares`" in text
    assert "no error against the step is measured" in text
    assert "## Step" not in (next(config.parent.glob("runs/*")) / "report.md").read_text()


def test_a_broken_loss_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("data: diabetes\nmodel: {name: mlp, hidden: [4], activation: tanh}\nloss: mse\n")

    def value(self: Any, outputs: Tensor, targets: Tensor, h: Any) -> Tensor:
        error = outputs - targets
        return (error * error.detach()).mean(-1)

    monkeypatch.setattr(MeanSquaredError, "value", value)
    text, result = failed(config)
    assert "a factor 2 is missing" in text
    assert "the loss `mse`" in text
    by_hand = next(each for each in result["checks"] if each["by"] == "by hand")
    assert by_hand["verdict"] == "ok"  # the derivative that the loss carries is right: its backward is not


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: iris\nmodel: sine_net\nloss: cross_entropy\n", ["0.weight, 0.bias; it is 2 times", "module 1 (Sine)"]),
        ("data: diabetes\nmodel: linear\nloss: broken\n", ["weight, bias; it is 1/2 times", "the loss `broken`"]),
    ],
)
def test_faults_of_a_plugin_are_found(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "own.py").write_text(WRONG_GRADIENTS)
    path = tmp_path / "own.yaml"
    path.write_text(text + "plugins: [own.py]\n")
    message, _ = failed(path)
    for each in words:
        assert each in message


def test_a_run_of_a_plugin_is_checked_when_the_plugin_is_named(tmp_path: Path) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text(QUADRATIC)
    path = tmp_path / "own.yaml"
    path.write_text("data: iris\nmodel: quadratic\nloss: cross_entropy\nplugins: [own.py]\n")
    *_, trained = train(path, ["training.epochs=1"], tmp_path / "runs")
    *_, last = gradcheck(trained.run_dir, [], tmp_path / "runs", [plugin])
    assert last.result["status"] == "ok"
    with pytest.raises(UsageError, match="only recorded"):
        list(gradcheck(trained.run_dir, [], tmp_path / "runs"))


def test_a_backward_that_torch_refuses(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        QUADRATIC.replace("hidden = hidden * hidden", "hidden = torch.tanh(hidden); hidden += 1")
    )
    path = tmp_path / "own.yaml"
    path.write_text("data: iris\nmodel: quadratic\nloss: cross_entropy\nplugins: [own.py]\n")
    with pytest.raises(CheckError, match="autograd cannot go back"):
        list(gradcheck(path, ["gradcheck.burn_in=0"], tmp_path / "runs"))


def test_a_wrong_derivative_of_a_definition_is_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.models.activations.Tanh.derivative", lambda self, x: 1 - torch.tanh(x))
    text, result = failed(config)
    assert "(by hand) is wrong in 0.weight, 0.bias" in text
    assert "training is unaffected: look at `Tanh.derivative` of the activation `tanh`" in text
    assert result["first_wrong"] is None
    assert " ".join(gradcheck_sentences(result)).count("training is unaffected") == 1


def test_a_wrong_derivative_of_a_loss_reaches_the_rules_that_use_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = CrossEntropy.derivative
    monkeypatch.setattr(CrossEntropy, "derivative", lambda *args: 1.5 * right(*args))
    text, _ = failed(config, "prior=null")
    assert "1.5 times the difference: a wrong constant factor" in text
    assert "unaffected, but for the rule `gauss_newton`: look at `CrossEntropy.derivative` of the loss" in text


def test_a_laplace_prior_does_not_bend_the_error_against_the_step(config: Path) -> None:
    result, _ = run(config, "prior={name: laplace, rate: 1.0}", "model.hidden=[16]")
    assert result["v_curve"]["truncation_slope"] == pytest.approx(2, abs=0.1)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(with_line(OLD_STYLE))
    path = tmp_path / "own.yaml"
    noisy = "training: {input_noise: 0.1, weight_noise: 0.02}\n"
    path.write_text(f"data: iris\nmodel: quadratic\nloss: cross_entropy\nplugins: [own.py]\n{noisy}")
    result, (first, *_) = run(path, "gradcheck.batch_size=1000", self_test=True)
    assert first.facts["noise"] == "left out: 0.1 on inputs and 0.02 on weights"
    assert first.facts["members"].startswith("evaluated one by one: vmap cannot run it")
    assert "(gradcheck.batch_size=1000 is more than there are)" in first.facts["batch"]
    text = " ".join(gradcheck_sentences(result))
    assert "Backprop by hand is left out, and with it the planted faults: it knows rows of dlx's own layers" in text
    assert "not `Net`." in text
    assert result["v_curve"]["num_entries"] == 20


def test_batch_norm_says_whose_mean_it_takes(config: Path) -> None:
    _, (first, *_) = run(config, "model.batch_norm=true")
    assert first.facts["batch norm"].startswith("mean and variance of the examples looked at")


def test_a_function_of_chance_is_refused(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1000))
    monkeypatch.setattr("dlx.models.activations.Tanh.value", lambda self, x: torch.tanh(x) * (1 + 1e-9 * next(calls)))
    with pytest.raises(CheckError, match="not a function of the parameters"):
        list(gradcheck(config, [], config.parent / "runs"))


def test_an_objective_that_is_not_finite_is_refused(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.models.activations.Tanh.value", lambda self, x: x / 0)
    with pytest.raises(CheckError, match="objective is"):
        list(gradcheck(config, [], config.parent / "runs"))


def test_what_kinks_hide_fails_the_check(config: Path) -> None:
    text, result = failed(
        config, "model={name: mlp, hidden: [6], activation: relu, init: zeros}", "gradcheck.burn_in=0"
    )
    assert result["status"] == "unverified"
    assert "kinks hide more than a fifth" in text


def test_a_gradient_of_nothing_is_not_verified(config: Path) -> None:
    """At a minimum every gradient would pass, right or wrong."""
    text, result = failed(config, "model={name: mlp, hidden: [300], init: he}", "prior=null", "gradcheck.burn_in=3000")
    assert result["status"] == "unverified"
    assert "smaller than rounding" in text


def test_it_begins_where_training_begins(config: Path) -> None:
    """The initial weights are those of the config's own dtype; in another others would be drawn."""
    slow = ["optimizer={name: sgd, lr: 1e-12}", "training.epochs=1", "training.batch_size=full", "prior=null"]
    *_, trained = train(config, slow, config.parent / "runs")
    overrides = ["gradcheck.burn_in=0", "gradcheck.batch_size=500", "prior=null"]
    value = run(config, *overrides)[0]["value"]
    assert value == pytest.approx(trained.result["members"][0]["train"]["loss"], rel=1e-6)


def test_a_missed_fault_fails_the_self_test(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missed = [{"name": "a fault", "place": "", "tensors": (), "outcome": "missed", "smallest_error": 0.0}]
    monkeypatch.setattr(module, "_self_test", lambda *_: {"faults": missed, "sensitivity": {}})
    with pytest.raises(CheckError, match="1 planted fault was missed: a fault"):
        list(gradcheck(config, [], config.parent / "runs", self_test=True))


def test_batch_norm_of_one_example(config: Path) -> None:
    with pytest.raises(UsageError, match=r"gradcheck\.batch_size=2"):
        list(gradcheck(config, ["model.batch_norm=true", "gradcheck.batch_size=1"], config.parent / "runs"))


def test_larger_models_are_sampled(config: Path) -> None:
    result, _ = run(config, "model.hidden=[200, 60]", self_test=True)
    assert result["num_parameters"] > 10_000
    assert result["num_evaluations"] < 400
    assert result["status"] == "ok"


def test_it_is_not_resumed(config: Path) -> None:
    _, records = run(config)
    with pytest.raises(RunError, match="run it again"):
        list(resume(records[-1].run_dir, []))


@pytest.mark.parametrize("case", ["no run", "no weights", "other weights"])
def test_runs_without_fitting_weights(config: Path, case: str) -> None:
    folder = config.parent / "run"
    folder.mkdir()
    if case != "no run":
        *_, trained = train(config, ["training.epochs=1"], config.parent / "runs")
        folder = trained.run_dir
    if case == "no weights":
        (folder / "checkpoints" / "best.safetensors").unlink()
    overrides = ["model.hidden=[7]"] if case == "other weights" else []
    wanted = {"no run": "is not a run", "no weights": "no best weights of seed 0", "other weights": "another model"}
    with pytest.raises(RunError, match=wanted[case]):
        list(gradcheck(folder, overrides, config.parent / "runs"))


def test_result_holds_no_clock(config: Path) -> None:
    _, records = run(config)
    written = json.loads((records[-1].run_dir / "result.json").read_text())
    assert "seconds" not in written
    assert json.loads((records[-1].run_dir / "timing.json").read_text())["backprop"] > 0
