"""What every registered metric promises: any cut of the data, padding included, gives scikit-learn's number."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from torch import Tensor
from torch.func import vmap

from dlx.core.definition import Metric
from dlx.core.registry import registered
from dlx.core.types import Scored, Sums, Task
from dlx.engine.replay import Replay
from dlx.metrics.calibration_error import CalibrationError
from dlx.metrics.top_k import TopK

NUM_EXAMPLES = 23


def mean_nll(p: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    if y.ndim == 1:
        return sk.log_loss(y, p, sample_weight=w, labels=range(p.shape[1]))
    return -np.average(stats.norm.logpdf(y, p, np.sqrt(0.5)).sum(-1), weights=w)


def calibration_error(p: np.ndarray, y: np.ndarray, w: np.ndarray, bins: int = 15) -> float:
    """Bin by bin, as Guo et al. write it."""
    confidence, right = p.max(-1), p.argmax(-1) == y
    total = 0.0
    for low, high in pairwise(np.linspace(0, 1, bins + 1)):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = np.average(right[inside], weights=w[inside]) - np.average(confidence[inside], weights=w[inside])
            total += w[inside].sum() / w.sum() * abs(gap)
    return total


def top_k(k: int) -> Callable[[np.ndarray, np.ndarray, np.ndarray], float]:
    return lambda p, y, w: sk.top_k_accuracy_score(y, p, k=k, sample_weight=w, labels=range(p.shape[1]))


def roc_auc(p: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    return sk.roc_auc_score(y, p[:, 1] if p.shape[1] == 2 else p, sample_weight=w, multi_class="ovr")


ORACLES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda p, y, w: sk.accuracy_score(y, p.argmax(-1), sample_weight=w),
    "balanced_accuracy": lambda p, y, w: sk.balanced_accuracy_score(y, p.argmax(-1), sample_weight=w),
    "calibration_error": calibration_error,
    "calibration_error bins=4": lambda p, y, w: calibration_error(p, y, w, 4),
    "f1": lambda p, y, w: sk.f1_score(y, p.argmax(-1), sample_weight=w, average="macro"),
    "mae": lambda p, y, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "mse": lambda p, y, w: sk.mean_squared_error(y, p, sample_weight=w),
    "nll": mean_nll,
    "perplexity": lambda p, y, w: np.exp(mean_nll(p, y, w)),
    "r2": lambda p, y, w: sk.r2_score(y, p, sample_weight=w),
    "rmse": lambda p, y, w: sk.root_mean_squared_error(y, p, sample_weight=w),
    "roc_auc": roc_auc,
    "top_k": top_k(5),
    "top_k k=2": top_k(2),
}
WIDTHS = {"top_k": (7,), "top_k k=2": (3, 7)}
"""Numbers of classes that a metric can tell something of, where 2 is too few."""


def spell(metric: Metric) -> str:
    settings = metric.model_dump(exclude_defaults=True)
    return " ".join([metric.name, *(f"{key}={value}" for key, value in settings.items())])


every_case = pytest.mark.parametrize(
    ("metric", "task", "width"),
    [
        pytest.param(metric, task, width, id=f"{spell(metric)}-{task}-{width}")
        for metric in (*(cls() for cls in registered(Metric).values()), CalibrationError(bins=4), TopK(k=2))
        for task in metric.tasks
        for width in (WIDTHS.get(spell(metric), (2, 4)) if task == "classification" else (1, 2))
    ],
)


def draw(task: Task, width: int, num: int = NUM_EXAMPLES, seed: int = 0, scale: float = 1.0) -> Scored:
    rng = np.random.default_rng(seed)
    if task == "classification":
        targets = rng.integers(width, size=num)
        predictions = rng.dirichlet(np.ones(width), size=num)
        nll = -np.log(predictions[np.arange(num), targets])
    else:
        targets = scale * rng.normal(size=(num, width))
        predictions = targets + scale * rng.normal(size=(num, width))
        nll = -stats.norm.logpdf(targets, predictions, np.sqrt(0.5)).sum(-1)
    return Scored(*map(torch.from_numpy, (predictions, targets, rng.uniform(0.5, 2, size=num), nll)))


def piece(batch: Scored, rows: slice) -> Scored:
    return Scored(*(part[rows] for part in batch))


def padded(batch: Scored, garbage: Scored) -> Scored:
    garbage = garbage._replace(weights=torch.zeros_like(garbage.weights))
    return Scored(*(torch.cat(parts) for parts in zip(batch, garbage, strict=True)))


def join(metric: Metric, a: Sums, b: Sums) -> Sums:
    return {name: torch.cat([a[name], b[name]]) if metric.gathers else a[name] + b[name] for name in a}


def score(metric: Metric, batches: list[Scored]) -> Tensor:
    total = metric.update(batches[0])
    for batch in batches[1:]:
        total = join(metric, total, metric.update(batch))
    return metric.compute(total)


@every_case
@pytest.mark.parametrize("equal_weights", [True, False])
def test_metric_has_an_oracle(metric: Metric, task: Task, width: int, equal_weights: bool) -> None:
    batch = draw(task, width)
    if equal_weights:
        batch = batch._replace(weights=torch.full_like(batch.weights, 1 / NUM_EXAMPLES))
    value = score(metric, [batch])
    assert value.shape == ()
    expected = ORACLES[spell(metric)](*(part.numpy() for part in batch[:3]))
    np.testing.assert_allclose(value, expected, rtol=1e-12)


@every_case
@given(cuts=st.lists(st.integers(0, NUM_EXAMPLES), max_size=8), extra=st.integers(0, 5), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_cut_gives_the_same(metric: Metric, task: Task, width: int, cuts: list[int], extra: int, seed: int) -> None:
    whole = draw(task, width, seed=seed)
    edges = [0, *sorted(cuts), NUM_EXAMPLES]
    garbage = draw(task, width, extra, seed, scale=1e8)
    batches = [padded(piece(whole, slice(*edge)), garbage) for edge in pairwise(edges)]
    torch.testing.assert_close(score(metric, batches), score(metric, [whole]), rtol=1e-11, atol=1e-13)


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vmap_over_members(metric: Metric, task: Task, width: int, dtype: torch.dtype) -> None:
    members = [draw(task, width, seed=seed) for seed in range(3)]
    members = [Scored(*(part.to(dtype) if part.is_floating_point() else part for part in each)) for each in members]
    together = vmap(metric.update)(Scored(*(torch.stack(parts) for parts in zip(*members, strict=True))))
    values = vmap(metric.compute)(together)
    assert values.shape == (3,)
    assert values.dtype == dtype
    torch.testing.assert_close(values, torch.stack([score(metric, [each]) for each in members]))


@every_case
def test_it_is_replayed(metric: Metric, task: Task, width: int) -> None:
    count: list[int] = []
    members = [draw(task, width, seed=seed) for seed in range(2)]
    batch = [torch.stack(parts) for parts in zip(*members, strict=True)]

    def evaluate(*parts: Tensor) -> tuple[Tensor, ...]:
        count.append(1)
        return (vmap(lambda *each: metric.compute(metric.update(Scored(*each))))(*parts),)

    replay = Replay(evaluate)
    for _ in range(3):
        (values,) = replay(*batch)
    assert len(count) == 2, "eager once, recorded once, then replayed"
    torch.testing.assert_close(values, torch.stack([score(metric, [each]) for each in members]))


@every_case
def test_perfect_is_best(metric: Metric, task: Task, width: int) -> None:
    batch = draw(task, width)
    truth = torch.eye(width, dtype=torch.float64)[batch.targets] if task == "classification" else batch.targets
    perfect = batch._replace(predictions=truth, nll=batch.nll - batch.nll.abs())
    difference = score(metric, [perfect]) - score(metric, [batch])
    assert difference > 0 if metric.higher_is_better else difference < 0


def test_each_has_an_oracle() -> None:
    without = registered(Metric).keys() - ORACLES.keys()
    assert not without, "add an independent computation of each to ORACLES, in this file"
