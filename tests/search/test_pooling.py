"""Pooled metrics and jackknife pseudo-values: per-example scores, naive loops with scikit-learn, closed forms."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from search.cells import cell, diverged, trial, verdict
from sklearn import metrics as sk

from dlx.core.definition import Metric
from dlx.core.registry import registered
from dlx.core.types import Scored, Task
from dlx.metrics.accuracy import Accuracy
from dlx.metrics.mse import MeanSquaredError
from dlx.metrics.r2 import R2
from dlx.metrics.roc_auc import RocAuc
from dlx.search.pooling import CHUNK, jackknife, pool
from dlx.search.summary import TrialCells, summarise

Array = np.ndarray[Any, Any]


def draw(task: Task, width: int, num: int = CHUNK + 7, seed: int = 0) -> Scored:
    """More examples than are left out at once."""
    rng = np.random.default_rng(seed)
    if task == "classification":
        targets = rng.permutation(np.arange(num) % width)
        predictions = rng.dirichlet(np.ones(width) + 2 * np.eye(width)[targets].sum(0) / num, size=num)
        nll = -np.log(predictions[np.arange(num), targets])
    else:
        targets = rng.normal(3, 2, size=(num, width))
        predictions = targets + rng.normal(size=(num, width))
        nll = -stats.norm.logpdf(targets, predictions).sum(-1)
    return Scored(*map(torch.from_numpy, (predictions, targets, np.ones(num), nll)))


def naive(score: Callable[..., float], *columns: Array) -> tuple[float, Array]:
    """The score and its pseudo-values, one example left out after the other."""
    num, whole = len(columns[0]), score(*columns)
    left_out = [score(*(np.delete(column, i, 0) for column in columns)) for i in range(num)]
    return whole, num * whole - (num - 1) * np.array(left_out)


MEANS: dict[str, Callable[[Scored], torch.Tensor]] = {
    "accuracy": lambda b: (b.predictions.argmax(-1) == b.targets).double(),
    "mse": lambda b: (b.predictions - b.targets).square().mean(-1),
    "mae": lambda b: (b.predictions - b.targets).abs().mean(-1),
    "nll": lambda b: b.nll,
}


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("num", [2, 200])
def test_mean_over_examples_has_their_scores_as_pseudo_values(name: str, num: int) -> None:
    metric = registered(Metric)[name]()
    batch = draw(metric.tasks[0], 3, num)
    value, pseudo_values = jackknife(metric, batch)
    expected = MEANS[name](batch)
    torch.testing.assert_close(pseudo_values, expected, rtol=0, atol=1e-12 * max(1, expected.abs().max().item()))
    assert value == pytest.approx(expected.mean().item())


def roc_auc(p: Array, y: Array) -> float:
    return sk.roc_auc_score(y, p[:, 1] if p.shape[1] == 2 else p, multi_class="ovr")


SKLEARN: dict[str, Callable[[Array, Array], float]] = {
    "r2": lambda p, y: sk.r2_score(y, p),
    "rmse": lambda p, y: sk.root_mean_squared_error(y, p),
    "f1": lambda p, y: sk.f1_score(y, p.argmax(-1), average="macro"),
    "balanced_accuracy": lambda p, y: sk.balanced_accuracy_score(y, p.argmax(-1)),
    "roc_auc": roc_auc,
}


@pytest.mark.parametrize("name", SKLEARN)
@pytest.mark.parametrize("width", [2, 3])
def test_against_a_loop_with_scikit_learn(name: str, width: int) -> None:
    metric = registered(Metric)[name]()
    batch = draw(metric.tasks[0], width)
    value, pseudo_values = jackknife(metric, batch)
    whole, expected = naive(SKLEARN[name], batch.predictions.numpy(), batch.targets.numpy())
    assert value == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(pseudo_values, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", registered(Metric))
def test_every_metric_against_a_loop(name: str) -> None:
    metric = registered(Metric)[name]()
    for task in metric.tasks:
        batch = draw(task, 6, seed=1)

        def score(*columns: Array, metric: Metric = metric) -> float:
            return metric.compute(metric.update(Scored(*map(torch.from_numpy, columns)))).item()

        value, pseudo_values = jackknife(metric, batch)
        whole, expected = naive(score, *(part.numpy() for part in batch))
        assert value == pytest.approx(whole, rel=1e-12)
        np.testing.assert_allclose(pseudo_values, expected, rtol=1e-9, atol=1e-10)


def test_vanishing_class_is_left_out_like_any_other() -> None:
    """Without its only example a class does not count, to the last bit: no rest of a subtraction keeps it."""
    probabilities = np.eye(3)[[0, 1, 1, 0, 2]] * 0.4 + 0.2
    batch = Scored(*map(torch.from_numpy, (probabilities, np.array([0, 1, 0, 1, 2]), np.ones(5), np.zeros(5))))
    _, pseudo_values = jackknife(registered(Metric)["balanced_accuracy"](), batch)
    assert pseudo_values[-1].item() == pytest.approx(5 * (0.5 + 0.5 + 1) / 3 - 4 * 0.5)


def leave_one_out(
    predictions: Array, targets: Array, losses: Array, folds: Array, number: int = 0
) -> tuple[TrialCells, dict[tuple[int, int], Any]]:
    """A trial of as many cells as examples; ``folds`` [repeats, N] says which fold holds each example out.

    Predictions are [repeats, seeds, N, C], losses [repeats, seeds, N].
    """
    lines, held_out = [], {}
    for repeat, seed, example in np.ndindex(losses.shape):
        fold, loss = int(folds[repeat, example]), float(losses[repeat, seed, example])
        held_out[repeat, fold] = targets[example]
        line = cell(number, 0.5, repeat, fold, seed, num_train=len(targets) - 1, num_valid=0, num_test=1)
        line["test"] = {"loss": loss, "accuracy": None}
        lines.append(line | {"predictions": [predictions[repeat, seed, example].tolist()], "nll": [loss]})
    return trial(number, (), lines=lines), held_out


def test_ridge_regression_left_out_one_by_one() -> None:
    """Residuals e_i / (1 - h_ii) of least squares; R2 of all of them; an error that is that of the squared ones."""
    rng = np.random.default_rng(0)
    inputs = np.column_stack([np.ones(40), rng.normal(size=(40, 3))])
    targets = inputs @ rng.normal(size=4) + rng.normal(size=40)
    hat = inputs @ np.linalg.solve(inputs.T @ inputs, inputs.T)
    residuals = (targets - hat @ targets) / (1 - np.diag(hat))
    predictions, squares = (targets - residuals)[None, None, :, None], residuals**2
    pooled = pool(
        *leave_one_out(predictions, targets[:, None], squares[None, None], np.arange(40)[None]),
        [MeanSquaredError(), R2()],
    )
    error = squares.std(ddof=1) / math.sqrt(40)
    for name in ("loss", "mse"):
        summary = summarise(pooled, name)
        assert (summary.mean, summary.se) == pytest.approx((squares.mean(), error))
    means = summarise(pooled, "loss").line("loss")["means"]["test"]
    whole, expected = naive(sk.r2_score, targets, targets - residuals)
    assert means["r2"] == {"mean": pytest.approx(whole), "se": pytest.approx(expected.std(ddof=1) / math.sqrt(40))}
    assert abs(whole - expected.mean()) > 1e-4, "the mean shown is the metric itself, not that of pseudo-values"


def test_repeats_and_seeds_are_pools_of_their_own() -> None:
    rng = np.random.default_rng(1)
    targets, folds = rng.integers(2, size=12), np.stack([rng.permutation(12) for _ in range(2)])
    predictions = rng.dirichlet(np.ones(2), size=(2, 3, 12))
    pooled = pool(*leave_one_out(predictions, targets, rng.random((2, 3, 12)), folds), [RocAuc()])
    found = [[naive(roc_auc, p, targets) for p in seeds] for seeds in predictions]
    summary = summarise(pooled, "roc_auc")
    assert summary.mean == pytest.approx(np.mean([[whole for whole, _ in seeds] for seeds in found]))
    for repeat, seeds in enumerate(found):
        mean = np.mean([pseudo_values for _, pseudo_values in seeds], axis=0)
        for example, fold in enumerate(folds[repeat]):
            assert summary.folds[repeat, int(fold)] == pytest.approx(mean[example])


def test_pooled_trials_are_judged_by_their_pseudo_values() -> None:
    """One held out and N - 1 trained on: the second term of the test is 1 / (N - 1)."""
    rng = np.random.default_rng(2)
    targets = rng.integers(2, size=50)
    rights = targets == rng.integers(2, size=(2, 50)) | targets  # errs on some of class 0 alone
    trials = []
    for number, right in enumerate(rights):
        predictions = np.eye(2)[np.where(right, targets, 1 - targets)][None, None]
        single, held_out = leave_one_out(predictions, targets, np.ones((1, 1, 50)), np.arange(50)[None], number)
        trials.append(pool(single, held_out, [Accuracy()]))
    judged = verdict(trials)
    json.dumps(judged, allow_nan=False)
    best = judged["selection"]["best"]
    d = rights[best].astype(float) - rights[1 - best]
    t = d.mean() / math.sqrt((1 / 50 + 1 / 49) * d.var(ddof=1))
    assert t > 0
    assert judged["trials"][1 - best]["difference"] == {
        "mean": pytest.approx(d.mean()),
        "p": pytest.approx(2 * stats.t(df=49).sf(t)),
        "indistinguishable": True,
    }


def test_score_that_one_example_makes() -> None:
    """Without the only positive there is no area: the area is told, its error and a test are not."""
    targets, scores = np.array([0, 0, 1, 0]), np.array([0.1, 0.6, 0.5, 0.2])
    predictions, losses, folds = np.stack([1 - scores, scores], 1)[None, None], np.ones((1, 1, 4)), np.arange(4)[None]
    trials = [pool(*leave_one_out(predictions, targets, losses, folds, number), [RocAuc()]) for number in (0, 1)]
    judged = verdict(trials, score="roc_auc")
    score = judged["trials"][0]["score"]
    assert (score["mean"], score["se"], score["folds"][2]) == (pytest.approx(2 / 3), None, None)
    assert judged["trials"][1]["difference"] == {"mean": 0, "p": None, "indistinguishable": True}


def test_score_that_is_not_there() -> None:
    predictions, targets = np.full((1, 1, 4, 2), 0.5), np.zeros(4, dtype=np.int64)
    pooled = pool(*leave_one_out(predictions, targets, np.ones((1, 1, 4)), np.arange(4)[None]), [RocAuc()])
    summary = summarise(pooled, "roc_auc")
    assert (summary.mean, summary.reason) == (None, "roc_auc of all held-out predictions is not a number")


def test_what_has_no_score_stays_as_it_is() -> None:
    broken = trial(0, (), lines=[cell(0, 0.5), diverged(0, 3, fold=1)])
    assert pool(broken, {}, [Accuracy()]) is broken
    invalid = TrialCells(1, {}, 20, 0.0, invalid="no")
    assert pool(invalid, {}, [Accuracy()]) is invalid
