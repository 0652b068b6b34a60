"""In what order: the batches of an epoch for every member of a population.

A member's batches depend on its own plan alone (seed, repeat, fold, training examples, batch size). Its last batch is
padded to the full size with its own first example at weight 0, and a member with fewer steps than its company rests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlx.core.seeding import stream
from dlx.data.splits import Indices


@dataclass(frozen=True)
class Order:
    """What fixes the order of a member's examples: its training examples and the key of its stream.

    Attributes:
        train: Indices of the training examples.
        key: What its stream is keyed by: (seed, repeat, fold) or more.
    """

    train: Indices
    key: tuple[int, ...]


def num_steps(num_train: int, batch_size: int) -> int:
    """Count the steps of an epoch."""
    return -(-num_train // batch_size)


class BatchPlan:
    """The batches of every epoch for M members, with as many steps S as the longest member needs.

    Args:
        orders: One order per member.
        batch_size: Examples per batch, B.

    Attributes:
        active: Whether a member has this step at all, [S, M].
    """

    def __init__(self, orders: Sequence[Order], batch_size: int) -> None:
        self._orders, self._batch_size = orders, batch_size
        sizes = np.array([len(order.train) for order in orders])
        self._total = num_steps(int(sizes.max()), batch_size)
        first = np.arange(self._total)[:, None] * batch_size
        self._count = np.clip(sizes - first, 0, batch_size)
        self.active = self._count > 0

    @property
    def weights(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Weight of each place, [S, M, B], the same in every epoch; those of a batch with examples sum to 1."""
        return (np.arange(self._batch_size) < self._count[..., None]) / np.maximum(self._count, 1)[..., None]

    def draw(self, epoch: int) -> Indices:
        """Draw the example of each place in an epoch, [S, M, B]."""
        drawn: dict[tuple[int, ...], Indices] = {}
        steps = np.empty((self._total, len(self._orders), self._batch_size), dtype=np.int64)
        for row, order in enumerate(self._orders):
            identity = (*order.key, id(order.train))
            if identity not in drawn:
                drawn[identity] = self._draw(order, epoch)
            steps[:, row] = drawn[identity]
        return steps

    def _draw(self, order: Order, epoch: int) -> Indices:
        """Draw the example of each place of one member, [S, B]."""
        padded, size = np.empty(self._total * self._batch_size, dtype=np.int64), len(order.train)
        padded[:size] = stream("order", *order.key, epoch).permutation(order.train)
        padded[size:] = padded[(size - 1) // self._batch_size * self._batch_size]
        return padded.reshape(self._total, self._batch_size)
