"""Scores of every row on a part of its data: mean loss and metrics, in padded chunks of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.utils import _pytree as pytree

from dlx.core.records import Cell, Scores
from dlx.core.types import Hyper, Scored, Sums
from dlx.data.splits import Indices
from dlx.engine.feed import DeviceExamples
from dlx.engine.population import Member, with_twin
from dlx.engine.replay import Replay
from dlx.engine.rows import Rows

CHUNK_EXAMPLES = 512
"""Examples of one member evaluated at once, at most."""


class Chunks:
    """The examples of a part for every row, cut into padded chunks, [chunks, M, E].

    Args:
        parts: Indices of each row's examples, not empty, length M.
        largest: Size of the part's largest fold in the members' plan, from which alone the shape E follows.
        device: Where the indices lie.
    """

    def __init__(self, parts: Sequence[Indices], largest: int, device: torch.device) -> None:
        num_chunks = -(-largest // CHUNK_EXAMPLES)
        shape = (len(parts), num_chunks, -(-largest // num_chunks))
        place = np.arange(shape[1] * shape[2])
        indices = np.stack([part[np.minimum(place, len(part) - 1)] for part in parts]).reshape(shape)
        is_example = np.stack([place < len(part) for part in parts]).reshape(shape)
        self.indices = torch.from_numpy(indices.swapaxes(0, 1).copy()).to(device)
        self.weights = torch.from_numpy(is_example.swapaxes(0, 1).astype(np.float64)).to(device)


class Evaluator:
    """Evaluates rows of theta.

    Args:
        rows: Members, parameters and constants.
        parts: Names of the parts to evaluate; those that are empty are left out.
    """

    def __init__(self, rows: Rows, parts: Sequence[str]) -> None:
        self._rows = rows
        self._loss_h = rows.loss_tunables()
        named = [member.parts.named() for member in rows.members]
        sizes, device = rows.members[0].sizes, rows.theta.device
        self._chunks = {
            part: Chunks([each[part] for each in named], getattr(sizes, part), device)
            for part in parts
            if part in named[0]
        }
        self._replay = Replay(self._flat_sums, fixed=(rows.theta,))

    @property
    def parts(self) -> list[str]:
        """Names of the parts that can be evaluated."""
        return list(self._chunks)

    @property
    def score_names(self) -> list[str]:
        """Names of the scores, in the order of ``scores``."""
        return ["loss", *(metric.name for metric in self._rows.recipe.metrics)]

    def scores(self, theta: Tensor, part: str) -> Tensor:
        """Score each row on its examples of a part.

        Args:
            theta: [M, P].
            part: Name of the part.

        Returns:
            The mean loss and the metrics, [1 + number of metrics, M], float64. A row of NaN stays NaN.
        """
        chunks, total = self._chunks[part], None
        for indices, weights in zip(chunks.indices, chunks.weights, strict=True):
            inputs, scaled, raw = self._rows.feed.gather(indices)
            sums = self._replay(theta, inputs, scaled, raw, weights)
            total = sums if total is None else tuple(a + b for a, b in zip(total, sums, strict=True))
        closed = vmap(self._close)(pytree.tree_unflatten(list(total or ()), self._structure))
        return torch.stack(closed)

    def _flat_sums(self, theta: Tensor, *batch: Tensor) -> tuple[Tensor, ...]:
        rows = self._rows
        sums = vmap(self._sums)(rows.layout.unflatten(theta), self._loss_h, rows.target_map, *batch)
        flat, self._structure = pytree.tree_flatten(sums)
        return tuple(flat)

    def _sums(
        self,
        parameters: dict[str, Tensor],
        h: dict[str, Tensor],
        target_map: dict[str, Tensor],
        inputs: Tensor,
        scaled: Tensor,
        raw: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor, list[Sums]]:
        """Add up one chunk of one member: weighted losses, weights, and the sums of each metric."""
        outputs, loss = functional_call(self._rows.module, parameters, (inputs,)), self._rows.recipe.loss
        losses = loss.value(outputs, scaled, Hyper(h)).double()
        nll = loss.nll(outputs, scaled, Hyper(h)).double()
        predictions, targets = loss.predict(outputs).double(), raw
        if target_map:
            # Back to the target's own units; the density of scale * y is that of y divided by the scale.
            targets = raw.double()
            predictions = predictions * target_map["scale"].double() + target_map["shift"].double()
            nll = nll + target_map["scale"].double().log().sum()
        scored = Scored(predictions, targets, weights, nll)
        metrics = self._rows.recipe.metrics
        return (losses * weights).sum(), weights.sum(), [metric.update(scored) for metric in metrics]

    def _close(self, sums: Any) -> tuple[Tensor, ...]:
        loss, weight, by_metric = sums
        closed = [metric.compute(each) for metric, each in zip(self._rows.recipe.metrics, by_metric, strict=True)]
        return loss / weight, *closed


def score_members(
    members: Sequence[Member], theta: Tensor, data: DeviceExamples, parts: Sequence[str]
) -> dict[Cell, dict[str, Scores]]:
    """Score weights of finished members, each on its own parts.

    Args:
        members: Members of one structure.
        theta: Their weights, [M, P].
        data: The examples.
        parts: Names of the parts.

    Returns:
        For each member its scores by part.
    """
    numbers = with_twin(range(len(members)))
    rows = Rows([members[number] for number in numbers], theta[numbers], data)
    evaluator = Evaluator(rows, parts)
    with torch.no_grad():
        fetched = {part: evaluator.scores(rows.theta, part).cpu().numpy() for part in evaluator.parts}
    return {
        member.cell: {
            part: dict(zip(evaluator.score_names, values[:, row].tolist(), strict=True))
            for part, values in fetched.items()
        }
        for row, member in enumerate(members)
    }
