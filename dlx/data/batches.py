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
        key: (seed, repeat, fold).
    """

    train: Indices
    key: tuple[int, int, int]


@dataclass(frozen=True)
class Batches:
    """The batches of one epoch.

    Attributes:
        indices: Example of each place, [S, M, B] for S steps.
        weights: Weight of each place, [S, M, B]; those of a batch with examples sum to 1.
        active: Whether a member has this step at all, [S, M].
    """

    indices: Indices
    weights: np.ndarray[Any, np.dtype[np.float64]]
    active: np.ndarray[Any, np.dtype[np.bool_]]


def num_steps(num_train: int, batch_size: int) -> int:
    """Count the steps of an epoch."""
    return -(-num_train // batch_size)


def epoch_batches(orders: Sequence[Order], epoch: int, batch_size: int) -> Batches:
    """Draw the batches of one epoch.

    Args:
        orders: One order per member, length M.
        epoch: Number of the epoch.
        batch_size: Examples per batch, B.

    Returns:
        The batches, with as many steps S as the longest member needs.
    """
    total = max(num_steps(len(order.train), batch_size) for order in orders)
    shape = (total, len(orders), batch_size)
    indices, weights = np.empty(shape, dtype=np.int64), np.empty(shape)
    active = np.empty(shape[:2], dtype=np.bool_)
    drawn: dict[tuple[int, int, int, int], tuple[Indices, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}
    for row, order in enumerate(orders):
        identity = (*order.key, id(order.train))
        if identity not in drawn:
            drawn[identity] = _draw(order, epoch, batch_size, total)
        indices[:, row], weights[:, row], active[:, row] = drawn[identity]
    return Batches(indices, weights, active)


def _draw(order: Order, epoch: int, batch_size: int, total: int) -> tuple[Indices, Any, Any]:
    shuffled = stream("order", *order.key, epoch).permutation(order.train)
    first_of_batch = np.arange(total) * batch_size
    count = np.clip(len(shuffled) - first_of_batch, 0, batch_size)
    place = first_of_batch[:, None] + np.arange(batch_size)
    is_example = place < len(shuffled)
    padding = np.minimum(first_of_batch, len(shuffled) - 1)[:, None]
    indices = shuffled[np.where(is_example, place, padding)]
    weights = is_example / np.maximum(count, 1)[:, None]
    return indices, weights, count > 0
