"""Scores of every row on a part of its data: mean loss and metrics, in padded chunks of one shape."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils import _pytree as pytree

from dlx.core.records import Cell, Scores
from dlx.core.types import Hyper, Scored, Sums
from dlx.engine.feed import DeviceExamples
from dlx.engine.mapping import map_rows
from dlx.engine.population import Member, with_twin
from dlx.engine.replay import Replay
from dlx.engine.rows import Rows

Floats = np.ndarray[Any, np.dtype[np.float64]]
CHUNK_EXAMPLES = 512
"""Examples of one member evaluated at once, at most."""
KEPT_BYTES = 1 << 22
"""Bytes of a part that are gathered once for all evaluations, at most: more would push out what steps use."""


class Chunks:
    """The examples of a part for every row, cut into padded chunks of E examples.

    Args:
        rows: The members, of one plan.
        part: Name of the part; no row's may be empty.
    """

    def __init__(self, rows: Rows, part: str) -> None:
        parts = [getattr(member.parts, part) for member in rows.members]
        # E follows from the part's largest fold in the members' plan alone, not from who is here (rule D).
        largest = getattr(rows.members[0].sizes, part)
        num_chunks = -(-largest // CHUNK_EXAMPLES)
        place = np.arange(num_chunks * -(-largest // num_chunks)).reshape(num_chunks, 1, -1)
        sizes = np.array([len(each) for each in parts])[:, None]
        self._feed, self._num_rows = rows.feed, len(parts)
        self._is_example = torch.from_numpy(place < sizes).to(rows.weights.device)
        shared = rows.feed.is_shared and all(np.array_equal(each, parts[0]) for each in parts)
        indices = [each[np.minimum(place[:, 0], len(each) - 1)] for each in (parts[:1] if shared else parts)]
        self._indices = torch.from_numpy(np.stack(indices, 1)).to(rows.weights.device)
        is_kept = shared or self._indices.numel() * rows.feed.example_bytes <= KEPT_BYTES
        self._gathered = [self._feed.gather(chunk) for chunk in self._indices] if is_kept else None

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Give inputs [M, E, D], scaled and raw targets [M, E(, C)] and weights [M, E] of each chunk.

        Rows that share examples and scale read the same memory, gathered once.
        """
        for number, is_example in enumerate(self._is_example):
            gathered = self._gathered[number] if self._gathered else self._feed.gather(self._indices[number])
            yield *(each.expand(self._num_rows, *each.shape[1:]) for each in gathered), is_example.double()


class Evaluator:
    """Evaluates the weights of rows.

    Args:
        rows: Members, weights and constants.
        parts: Names of the parts to evaluate; those that are empty are left out.
        is_recorded: Whether it is worth recording the evaluation: for many of the same.
        has_metrics: Whether metrics are measured, too; else the loss alone.
    """

    def __init__(self, rows: Rows, parts: Sequence[str], is_recorded: bool = True, has_metrics: bool = True) -> None:
        self._rows = rows
        self._metrics = rows.recipe.metrics if has_metrics else ()
        self._loss_h = rows.loss_settings()
        self._chunks = {part: Chunks(rows, part) for part in parts if part in rows.members[0].parts.named()}
        is_recorded = is_recorded and rows.is_stackable  # as in the objective
        self._replay = Replay(self._flat_sums, fixed=(rows.weights,)) if is_recorded else self._flat_sums
        self._replay_close = Replay(self._flat_scores) if is_recorded else self._flat_scores

    @property
    def parts(self) -> list[str]:
        """Names of the parts that can be evaluated."""
        return list(self._chunks)

    @property
    def score_names(self) -> list[str]:
        """Names of the scores, in the order of ``scores``."""
        return ["loss", *(metric.name for metric in self._metrics)]

    def scores(self, weights: Tensor, part: str) -> Tensor:
        """Score each row on its examples of a part, its model in evaluation mode.

        Args:
            weights: [M, P + Q].
            part: Name of the part.

        Returns:
            The mean loss and the metrics, [1 + number of metrics, M], float64. A row of NaN stays NaN.
        """
        by_chunk = zip(*(self._replay(weights, *chunk) for chunk in self._chunks[part]), strict=True)
        total = [
            torch.cat(parts, 1) if gathers else functools.reduce(torch.add, parts)
            for gathers, parts in zip(self._gathers, by_chunk, strict=True)
        ]
        (closed,) = self._replay_close(*total)
        return closed

    def _flat_sums(self, weights: Tensor, *batch: Tensor) -> tuple[Tensor, ...]:
        rows = self._rows
        rows.module.eval()
        named = rows.layout.unflatten(weights) | rows.constants
        sums = map_rows(self._sums, rows.is_stackable)(named, self._loss_h, rows.target_map, *batch)
        flat, self._structure = pytree.tree_flatten(sums)
        metrics = zip(self._metrics, sums[-1], strict=True)
        self._gathers = [False, False, *(metric.gathers for metric, each in metrics for _ in each)]
        return tuple(flat)

    def _sums(
        self,
        named: dict[str, Tensor],
        h: dict[str, Tensor],
        target_map: dict[str, Tensor],
        inputs: Tensor,
        scaled: Tensor,
        raw: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor, list[Sums]]:
        """Add up one chunk of one member: weighted losses, weights, and the sums of each metric."""
        outputs, loss = functional_call(self._rows.module, named, (inputs,)), self._rows.recipe.loss
        losses = loss.value(outputs, scaled, Hyper(h)).double()
        if not self._metrics:
            return (losses * weights).sum(), weights.sum(), []
        nll = loss.nll(outputs, scaled, Hyper(h)).double()
        predictions, targets = loss.predict(outputs), raw
        if target_map:
            # Back to the target's own units; the density of scale * y is that of y divided by the scale.
            targets, scale = raw.double(), target_map["scale"].double()
            predictions = predictions.double() * scale + target_map["shift"].double()
            nll = nll + scale.log().sum()
        scored = Scored(predictions, targets, weights, nll)
        return (losses * weights).sum(), weights.sum(), [metric.update(scored) for metric in self._metrics]

    def _flat_scores(self, *sums: Tensor) -> tuple[Tensor]:
        close = map_rows(self._close, self._rows.is_stackable)
        return (torch.stack(close(pytree.tree_unflatten(list(sums), self._structure))),)

    def _close(self, sums: Any) -> tuple[Tensor, ...]:
        loss, weight, by_metric = sums
        closed = [metric.compute(each) for metric, each in zip(self._metrics, by_metric, strict=True)]
        return loss / weight, *closed


def score_members(
    members: Sequence[Member], weights: Tensor, data: DeviceExamples, parts: Sequence[str]
) -> dict[Cell, dict[str, Scores]]:
    """Score weights of finished members, each on its own parts.

    Args:
        members: Members of one structure.
        weights: Their weights, [M, P + Q].
        data: The examples.
        parts: Names of the parts.

    Returns:
        For each member its scores by part.
    """
    numbers = with_twin(range(len(members)))
    rows = Rows([members[number] for number in numbers], weights[numbers], data)
    evaluator = Evaluator(rows, parts, is_recorded=False)
    with torch.no_grad():
        fetched = {part: evaluator.scores(rows.weights, part).cpu().numpy() for part in evaluator.parts}
    return {
        member.cell: {
            part: dict(zip(evaluator.score_names, values[:, row].tolist(), strict=True))
            for part, values in fetched.items()
        }
        for row, member in enumerate(members)
    }


def predict_members(members: Sequence[Member], weights: Tensor, inputs: Floats) -> Floats:
    """Predict with weights of finished members; what one predicts does not depend on the others.

    Args:
        members: Members of one structure.
        weights: Their weights, [M, P + Q].
        inputs: Raw inputs of each member, [M, N, *input_shape], or the same for all, [N, *input_shape]; at least one.

    Returns:
        Class probabilities, or values in the target's own units, [M, N, C].
    """
    numbers = with_twin(range(len(members)))
    shape = members[0].recipe.spec.input_shape
    is_shared, num_inputs = inputs.ndim == 1 + len(shape), inputs.shape[-1 - len(shape)]
    flat = torch.from_numpy(inputs.reshape(-1, *shape)).to(weights)
    data = DeviceExamples(flat, flat.new_zeros(len(flat), 1))
    rows = Rows([members[number] for number in numbers], weights[numbers], data)
    num_chunks = -(-num_inputs // CHUNK_EXAMPLES)
    size = -(-num_inputs // num_chunks)
    place = np.minimum(np.arange(num_chunks * size), num_inputs - 1).reshape(num_chunks, 1, size)
    first = np.array(numbers)[:, None] * (0 if is_shared else num_inputs)

    def predict(named: dict[str, Tensor], target_map: dict[str, Tensor], scaled: Tensor) -> Tensor:
        predictions = rows.recipe.loss.predict(functional_call(rows.module, named, (scaled,))).double()
        return predictions * target_map["scale"] + target_map["shift"] if target_map else predictions

    rows.module.eval()
    named = rows.layout.unflatten(rows.weights) | rows.constants
    maps = {name: each.double() for name, each in rows.target_map.items()}
    chunks = []
    with torch.no_grad():
        for indices in place:
            scaled = rows.feed.gather_inputs(torch.from_numpy(first + indices).to(weights.device))
            chunks.append(map_rows(predict, rows.is_stackable)(named, maps, scaled))
    return torch.cat(chunks, 1)[: len(members), :num_inputs].cpu().numpy()
