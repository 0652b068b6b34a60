"""The error f(theta) of one model, on examples that stand still: what checks, curvature and landscapes look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dlx.core.noise import step_keys
from dlx.core.seeding import integer_seed
from dlx.data.splits import Indices
from dlx.engine.batch import Batch
from dlx.engine.device import num_workers
from dlx.engine.feed import DeviceExamples
from dlx.engine.layout import Layout
from dlx.engine.objective import EmpiricalRisk
from dlx.engine.population import Member
from dlx.engine.rows import Rows

CHUNK_BYTES = 1 << 21
"""Bytes of theta, or of what the layers give, in a chunk of points: more would leave the cache."""
MAX_ROWS = 1024
"""Points in a chunk at most."""

FEW_ROWS, FEW_EXAMPLES = 12, 16
"""Points in a chunk, and examples in a run, below which a call costs more than what it computes."""

CHUNKS_PER_TASK = 16
"""Chunks that a core takes at once: more would be a longer wait for news, fewer would cost more than they gain."""

Write = Callable[[Tensor, range], None]
"""Writes the points of some numbers into rows [m, P] that hold theta."""
Read = Callable[[EmpiricalRisk, Tensor], Tensor]
"""Gives what is wanted of an objective at the rows of theta, [m, ...]."""
Compute = Callable[[EmpiricalRisk, range], Tensor]
"""Gives what is wanted of the points of some numbers, [m, ...], by an objective of as many rows or more."""


def without_chance(member: Member) -> Member:
    """Give a member whose objective is one function: no noise on inputs and weights, and gradients as they are."""
    quiet = {"input_noise": 0.0, "weight_noise": 0.0, "clip_value": None, "clip_norm": None}
    training = member.recipe.training.model_copy(update=quiet)
    return dataclasses.replace(member, recipe=dataclasses.replace(member.recipe, training=training))


class PointFunction(Protocol):
    """A function f: R^P -> R around a point: the error of a model, or an analytic surface (``engine/analytic.py``)."""

    theta: Tensor

    def value(self, theta: Tensor) -> float:
        """Give f at one point, [P]."""

    def gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Give f and its gradient at one point: a number and [P]."""

    def hessian_times(self, theta: Tensor, vectors: Tensor) -> Tensor:
        """Multiply the Hessian at one point, [P], with vectors, [K, P]."""

    def values(self, points: Tensor) -> Tensor:
        """Give f at points, [K, P]: [K]."""


class ErrorSurface:
    """The objective of one member as a function of its parameters, f: R^P -> R.

    It is that of training on a batch that is always the same: the mean loss of the examples, and the penalty of the
    prior over the number of all training examples. A model that draws (dropout) draws the same at every point, and
    what training moves beside the parameters (statistics of batch norm) stays where it is.

    Args:
        member: Whose error it is; see ``without_chance``.
        weights: What it owns, [P + Q], on the device of the data.
        data: The examples, in the dtype of the member's recipe.
        indices: Which of them, [B].
        draws: Whether dropout and the like draw, always the same; without, it is the error of the whole network.

    Attributes:
        theta: The parameters among the weights, [P].
    """

    def __init__(
        self, member: Member, weights: Tensor, data: DeviceExamples, indices: Indices, draws: bool = True
    ) -> None:
        self._member, self._weights, self._data, self._draws = member, weights, data, draws
        self._indices = torch.from_numpy(indices[None]).to(weights.device)
        self.theta = weights[: self.layout.num_parameters]

    @cached_property
    def layout(self) -> Layout:
        """Where the parameter tensors lie in theta."""
        return self._member.recipe.layout()

    @property
    def has_prior(self) -> bool:
        """Whether a prior is part of it."""
        return self._member.recipe.prior is not None

    @property
    def is_stackable(self) -> bool:
        """Whether many points run at once, as members of one population."""
        return self._member.recipe.obstacle is None

    @property
    def num_examples(self) -> int:
        """Number of examples, B."""
        return self._indices.shape[1]

    @cached_property
    def alone(self) -> EmpiricalRisk:
        """The objective of a single row."""
        return self.objective(1)

    def objective(self, num_rows: int) -> EmpiricalRisk:
        """Give f for as many points as there are rows, its step begun: the same batch for each, with one noise.

        Args:
            num_rows: M.
        """
        rows = Rows([self._member] * num_rows, self._weights.repeat(num_rows, 1), self._data)
        risk = EmpiricalRisk(rows, self._draws)
        inputs, targets, _ = rows.feed.gather(self._indices)
        weights = torch.full_like(self._indices, 1 / self.num_examples, dtype=self.theta.dtype)
        base = torch.from_numpy(np.array([integer_seed("noise", *self._member.cell.stream_key)], dtype=np.uint32))
        keys = step_keys(base.view(torch.int32), torch.zeros(1, dtype=torch.int32), risk.num_streams)
        shared = (inputs, targets, weights, keys.to(weights.device))
        risk.begin(Batch(*(each.expand(num_rows, *each.shape[1:]) for each in shared)))
        return risk

    def value(self, theta: Tensor) -> float:
        """Give f at one point, [P]."""
        return float(self.alone.value(theta[None]))

    def gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Give f and its gradient by backprop at one point: a number and [P]."""
        value, gradient = self.alone.value_and_gradient(theta[None])
        return float(value), gradient[0]

    def hessian_times(self, theta: Tensor, vectors: Tensor) -> Tensor:
        """Multiply the Hessian at one point, [P], with vectors, [K, P]."""
        return self.alone.hessian_times(theta[None], vectors.unsqueeze(1)).squeeze(1)

    def values(self, points: Tensor) -> Tensor:
        """Give f at points, [K, P]: [K]."""

        def write(rows: Tensor, numbers: range) -> None:
            rows.copy_(points[numbers.start : numbers.stop])

        return collect(self.evaluate(len(points), write), len(points))

    def jacobian(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give the outputs for the examples at one point, [B, C], and their Jacobian, [B, C, P]."""
        outputs, jacobian = self.alone.jacobian(theta[None])
        return outputs[0], jacobian[0]

    def evaluate(self, count: int, write: Write, read: Read | None = None) -> Iterator[tuple[range, Tensor]]:
        """Evaluate f at many points as members of one population, in chunks, on all cores.

        Args:
            count: Number of points, K.
            write: Writes points into the rows of a chunk, which hold theta.
            read: What is wanted at each, [m, ...]; None is the value, [m].

        Yields:
            Numbers of points and what was wanted of them, chunk by chunk, as they are done.
        """

        def compute(objective: EmpiricalRisk, numbers: range) -> Tensor:
            rows = objective.theta  # written in place: a recording of it is held by reference
            rows.copy_(self.theta)  # rows that are left over are there
            write(rows[: len(numbers)], numbers)
            return objective.value(rows) if read is None else read(objective, rows)

        yield from self.in_chunks(count, compute)

    def in_chunks(self, count: int, compute: Compute, size: int | None = None) -> Iterator[tuple[range, Tensor]]:
        """Compute something of many points, in chunks that stay in the cache, on all cores.

        Args:
            count: Number of points, K.
            compute: Does so for some of them; it may give more rows than there are points, which are cut off.
            size: Points in a chunk; None is as many as have what a layer gives for all examples in the cache.

        Yields:
            Numbers of points and what was wanted of them, chunk by chunk, as they are done.
        """
        size, threads = min(count, size or self.rows_per_chunk()), torch.get_num_threads()
        workers = num_workers(self.theta.device, threads)
        share = max(1, min(-(-count // size // workers), CHUNKS_PER_TASK)) * size
        parts = [range(start, min(start + share, count)) for start in range(0, count, share)]
        free: list[EmpiricalRisk] = []  # each keeps its recording, and one thread has it at a time

        @torch.no_grad()
        def run(part: range) -> list[tuple[range, Tensor]]:
            objective = free.pop() if free else self.objective(size)
            found = [(numbers, compute(objective, numbers)[: len(numbers)]) for numbers in _cut(part, size)]
            free.append(objective)
            return found

        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
            for future in as_completed([pool.submit(run, part) for part in parts]):
                yield from future.result()

    def rows_per_chunk(self) -> int:
        """Give the number of points of which theta and what a layer gives for all examples stay in the cache."""
        numbers = max(self.layout.num_parameters, self._width * self.num_examples, 1)
        return self._even(CHUNK_BYTES // (numbers * self.theta.itemsize), MAX_ROWS)

    def block(self) -> tuple[int, int]:
        """Give a number of points and of examples of which theta and what a layer gives stay in the cache.

        All examples, where that leaves more than a few points, and on a GPU, which needs none of it.
        """
        rows, num_examples = self.rows_per_chunk(), self.num_examples
        if rows >= FEW_ROWS or self.theta.device.type != "cpu":
            return rows, num_examples
        rows = self._even(CHUNK_BYTES // (self.layout.num_parameters * self.theta.itemsize), FEW_ROWS)
        most = max(FEW_EXAMPLES, CHUNK_BYTES // (rows * self._width * self.theta.itemsize))
        num_runs = -(-num_examples // most)
        return rows, -(-num_examples // num_runs)

    @property
    def _width(self) -> int:
        """How many numbers the widest layer gives for an example."""
        return max(shape[0] if shape else 1 for shape in self.layout.parameters.values())

    def _even(self, rows: int, most: int) -> int:
        """Give a number of rows in which points may come in pairs, at least one pair."""
        return max(2, min(rows, most) // 2 * 2)


def _cut(part: range, size: int) -> Iterator[range]:
    for start in range(part.start, part.stop, size):
        yield range(start, min(start + size, part.stop))


def collect(chunks: Iterator[tuple[range, Tensor]], count: int) -> Tensor:
    """Put what ``ErrorSurface.evaluate`` gives in the order of its points, [K, ...]."""
    found = list(chunks)
    result = found[0][1].new_empty(count, *found[0][1].shape[1:])
    for numbers, values in found:
        result[numbers.start : numbers.stop] = values
    return result
