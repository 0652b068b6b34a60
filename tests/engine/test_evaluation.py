"""Scores in the target's own units, against scikit-learn and scipy, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from experiments import make_members, train
from scipy import special, stats
from sklearn import metrics

from dlx.core.records import Cell
from dlx.engine import evaluation
from dlx.engine.evaluation import predict_members, score_members
from dlx.engine.feed import DeviceExamples
from dlx.engine.layout import Layout
from dlx.engine.population import initial_weights

PARTS = ("train", "valid", "test")


@pytest.mark.parametrize("num_members", [1, 3])
@pytest.mark.parametrize("chunk", [512, 7])
def test_regression_scores(num_members: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK_EXAMPLES", chunk)
    members, examples = make_members([Cell(seed) for seed in range(num_members)], loss="mse", dtype="float64")
    theta = initial_weights(members)
    data = DeviceExamples.load(examples, torch.device("cpu"), torch.float64)
    for member in members:
        torch.manual_seed(0)
        module = member.recipe.model.build(member.recipe.spec)
        row = members.index(member)
        torch.nn.utils.vector_to_parameters(theta[row], module.parameters())
        inputs = (examples.inputs - member.input_scale.shift) / member.input_scale.scale
        outputs = module(torch.from_numpy(inputs)).detach().numpy()
        predictions = outputs * member.target_scale.scale + member.target_scale.shift
        scaled = (examples.targets - member.target_scale.shift) / member.target_scale.scale
        for part, scores in score_members(members, theta, data, PARTS)[member.cell].items():
            chosen = getattr(member.parts, part)
            truth, guess = examples.targets[chosen], predictions[chosen]
            sigma = member.target_scale.scale * np.sqrt(0.5)
            expected = {
                "loss": np.mean((outputs[chosen] - scaled[chosen]) ** 2),
                "mse": metrics.mean_squared_error(truth, guess),
                "rmse": metrics.root_mean_squared_error(truth, guess),
                "mae": metrics.mean_absolute_error(truth, guess),
                "r2": metrics.r2_score(truth, guess),
                "nll": -stats.norm.logpdf(truth, guess, sigma).sum(1).mean(),
            }
            assert scores == pytest.approx(expected, rel=1e-10)


def _calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    shares, _, _ = stats.binned_statistic(-confidence, [right - confidence], "sum", 15, (-1, 0))
    return np.abs(shares).sum() / len(right)


@pytest.mark.parametrize("chunk", [512, 7])
def test_classification_scores(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK_EXAMPLES", chunk)
    members, examples = make_members([Cell(0), Cell(1)], dtype="float64")
    theta = initial_weights(members)
    data = DeviceExamples.load(examples, torch.device("cpu"), torch.float64)
    member = members[1]
    module = member.recipe.model.build(member.recipe.spec)
    torch.nn.utils.vector_to_parameters(theta[1], module.parameters())
    inputs = (examples.inputs - member.input_scale.shift) / member.input_scale.scale
    probabilities = module(torch.from_numpy(inputs)).softmax(-1).detach().numpy()[member.parts.test]
    truth = examples.targets[member.parts.test]
    scores = score_members(members, theta, data, ["test"])[member.cell]["test"]
    guess, log_loss = probabilities.argmax(1), metrics.log_loss(truth, probabilities, labels=[0, 1, 2])
    expected = {
        "loss": log_loss,
        "nll": log_loss,
        "perplexity": np.exp(log_loss),
        "accuracy": metrics.accuracy_score(truth, guess),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, guess),
        "f1": metrics.f1_score(truth, guess, average="macro"),
        "top_k": 1.0,
        "roc_auc": metrics.roc_auc_score(truth, probabilities, multi_class="ovr"),
        "calibration_error": _calibration_error(probabilities.max(1), guess == truth),
    }
    assert scores == pytest.approx(expected)


@pytest.mark.parametrize("chunk", [512, 7])
@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "binary_cross_entropy"])
def test_predictions(chunk: int, is_shared: bool, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK_EXAMPLES", chunk)
    cells, num_targets = [Cell(seed) for seed in range(3)], 2 if loss == "binary_cross_entropy" else 3
    members, _ = make_members(cells, loss=loss, dtype="float64", split={"seed": None}, num_targets=num_targets)
    theta = initial_weights(members)
    inputs = 3 + np.random.default_rng(1).normal(size=(17, 5) if is_shared else (3, 17, 5))
    found = predict_members(members, theta, inputs)
    assert found.shape == (3, 17, num_targets)
    for row, member in enumerate(members):
        module = member.recipe.model.build(member.recipe.spec)
        torch.nn.utils.vector_to_parameters(theta[row], module.parameters())
        own = inputs if is_shared else inputs[row]
        outputs = module(torch.from_numpy((own - member.input_scale.shift) / member.input_scale.scale)).detach().numpy()
        if loss == "mse":
            expected = outputs * member.target_scale.scale + member.target_scale.shift
        elif loss == "cross_entropy":
            expected = special.softmax(outputs, -1)
        else:
            expected = np.concatenate([special.expit(-outputs), special.expit(outputs)], -1)
        np.testing.assert_allclose(found[row], expected, rtol=1e-12)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_predictions_alone_and_in_company(loss: str) -> None:
    members, _ = make_members([Cell(seed) for seed in range(5)], loss=loss, hidden=(33,), split={"seed": None})
    theta = initial_weights(members)
    inputs = 3 + np.random.default_rng(1).normal(size=(5, 37, 5))
    together = predict_members(members, theta, inputs)
    for chosen in ([3], [4, 1], [2, 0, 3]):
        some = predict_members([members[number] for number in chosen], theta[chosen], inputs[chosen])
        assert some.tobytes() == together[chosen].tobytes()


def test_trained_statistics_are_what_scores_and_predictions_are_of_and_dropout_is_not() -> None:
    members, examples = make_members(
        [Cell(0), Cell(1)], dtype="float64", hidden=(6,), layers={"batch_norm": True, "dropout": 0.4}
    )
    for cell, (last, _, epochs) in train(members, examples).items():
        member = next(each for each in members if each.cell == cell)
        plain = torch.nn.Sequential(
            torch.nn.Linear(5, 6),
            torch.nn.BatchNorm1d(6),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.4),
            torch.nn.Linear(6, 3),
        ).double()
        layout = Layout.of(member.recipe.model.build(member.recipe.spec))
        named = layout.unflatten(last.unsqueeze(0))
        plain.load_state_dict({name: tensor[0] for name, tensor in named.items()})
        part = member.parts.valid
        inputs = (examples.inputs[part] - member.input_scale.shift) / member.input_scale.scale
        outputs = plain.eval()(torch.from_numpy(inputs))
        loss = torch.nn.functional.cross_entropy(outputs, torch.from_numpy(examples.targets[part]))
        assert epochs[-1].scores["valid"]["loss"] == pytest.approx(loss.item(), rel=1e-10)
        predicted = predict_members([member], last.unsqueeze(0), examples.inputs[part])
        np.testing.assert_allclose(predicted[0], special.softmax(outputs.detach().numpy(), -1), rtol=1e-10)
