"""Leave-one-out: a metric of all held-out predictions together, and what each example has to do with it.

A metric of one held-out example says little (an accuracy of 0 or 1) or nothing at all (R2, the area under the ROC
curve). So each metric is taken of all N predictions at once, and its spread from the jackknife: the pseudo-value of
example i is N S - (N - 1) S_i, S_i the metric without it. For a mean over examples that is the example's own score.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored
from dlx.engine.mapping import map_rows
from dlx.search.summary import Line, TrialCells

CHUNK = 64
"""Examples left out at once of a metric that gathers: its memory is this times all predictions."""


def pool(
    trial: TrialCells, targets: Mapping[tuple[int, int], Any], metrics: Sequence[Metric], is_stackable: bool = True
) -> TrialCells:
    """Put pseudo-values in the place of the test scores of a trial's cells, and pool the scores themselves.

    The predictions of one repeat and seed make a pool; scores are averaged over pools.

    Args:
        trial: Its cells hold out one example each and carry ``predictions`` [1, C] and ``nll`` [1].
        targets: Class, or values [C], of the example held out in each (repeat, fold).
        metrics: The metrics of the experiment.
        is_stackable: Whether vmap can run them.

    Returns:
        The trial with new test scores of its budget's cells and ``pooled`` set; the same if it has no cells or one
        diverged, since it has no score then.

    Source:
        Tukey (1958), "Bias and confidence in not-quite large samples"; Efron and Tibshirani (1993), "An introduction
        to the bootstrap", chapter 11.
    """
    if trial.diverged or not trial.cells:
        return trial
    pools: dict[tuple[int, int], list[Line]] = {}
    for cell in trial.cells:
        pools.setdefault((cell["repeat"], cell["seed"]), []).append(cell)
    lines, scores = [], []
    for cells in pools.values():
        score, pseudo_values = _pool_scores(cells, targets, metrics, is_stackable)
        scores.append(score)
        lines += [{**cell, "test": values} for cell, values in zip(cells, pseudo_values, strict=True)]
    pooled = {name: _mean([score[name] for score in scores]) for name in scores[0]}
    return dataclasses.replace(trial, lines=lines, pooled=pooled)


def jackknife(metric: Metric, batch: Scored, is_stackable: bool = True) -> tuple[float, Tensor]:
    """Take a metric of a batch, and its pseudo-value for each example.

    Sums that add up lose an example by a subtraction, all in O(N). A metric that gathers is computed N times over all
    predictions, O(N**2 log N).

    Args:
        metric: The metric.
        batch: N examples of weight 1, float64.
        is_stackable: Whether vmap can run the metric.

    Returns:
        The metric and the pseudo-values, [N]; not finite where undefined.
    """
    num = len(batch.weights)
    if metric.gathers:
        value = metric.compute(metric.update(batch))
        kept = 1 - torch.eye(num, dtype=batch.weights.dtype)

        def left_out(weights: Tensor) -> Tensor:
            return metric.compute(metric.update(batch._replace(weights=weights)))

        without = map_rows(left_out, is_stackable, CHUNK)(kept)
    else:
        own = map_rows(metric.update, is_stackable)(Scored(*(part.unsqueeze(1) for part in batch)))
        total = {name: each.sum(0) for name, each in own.items()}
        value = metric.compute(total)
        without = map_rows(metric.compute, is_stackable)({name: total[name] - each for name, each in own.items()})
    return value.item(), num * value - (num - 1) * without


def _pool_scores(
    cells: Sequence[Line], targets: Mapping[tuple[int, int], Any], metrics: Sequence[Metric], is_stackable: bool
) -> tuple[dict[str, float | None], list[dict[str, float | None]]]:
    """Give the scores of one pool, and those of each cell: losses as they are, pseudo-values of metrics."""
    losses = [cell["test"]["loss"] for cell in cells]
    truth = np.array([targets[cell["repeat"], cell["fold"]] for cell in cells])
    predictions, nll = (np.array([cell[name][0] for cell in cells], np.float64) for name in ("predictions", "nll"))
    batch = Scored(*map(torch.from_numpy, (predictions, truth, np.ones(len(cells)), nll)))
    scores: dict[str, float | None] = {"loss": _mean(losses)}
    columns: dict[str, list[float | None]] = {"loss": losses}
    for metric in metrics:
        value, pseudo_values = jackknife(metric, batch, is_stackable)
        scores[metric.name] = _finite(value)
        columns[metric.name] = [_finite(each) for each in pseudo_values.tolist()]
    return scores, [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.mean(numbers) if len(numbers) == len(values) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
