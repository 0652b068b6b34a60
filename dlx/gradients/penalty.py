"""Differences of the prior's part of an objective: a sum of functions of single parameters, all at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dlx.engine.branches import Branches
from dlx.engine.objective import Network
from dlx.gradients.differences import EPS, NOISE_FACTOR, Differences, steps_of
from dlx.gradients.reference import Reference, TensorReference


@torch.no_grad()
def penalty_reference(network: Network, reference: Reference) -> Reference:
    """Take differences of the prior's part where those of the loss were taken.

    Args:
        network: Its parameters are the point.
        reference: Of the loss; says which entries and directions there are.
    """
    moving = [each for each in network.module.parameters() if each.requires_grad]
    theta = torch.cat([each.reshape(-1) for each in moving])
    sizes = [each.numel() for each in moving]
    values = _differences(network.penalties, theta, steps_of(theta))
    found, start = {}, 0
    for (name, each), size in zip(reference.items(), sizes, strict=True):
        columns = start + each.entries
        along = None if each.along is None else _along(network.penalties, theta, each.directions, start)
        found[name] = TensorReference(
            shape=each.shape,
            entries=each.entries,
            values=values.values[columns],
            crossed=values.crossed[columns],
            allowed=values.floor[columns],
            directions=each.directions,
            along=along,
        )
        start += size
    return found


def _differences(penalties: Callable[[Tensor], Tensor], theta: Tensor, steps: Tensor) -> Differences:
    """Take the difference of each parameter's own penalty, [P]."""
    up, down = theta + steps, theta - steps
    ends, patterns = [], []
    for point in (up, down):
        branches = Branches()
        with branches:
            ends.append(penalties(point))
        patterns.append(branches.pattern(theta).view(-1, len(theta)))
    size = torch.maximum(ends[0].abs(), ends[1].abs())
    floor = NOISE_FACTOR * EPS * size / steps
    crossed = (patterns[0] != patterns[1]).any(0) & (size > 0)  # biases have no prior, and no kink of it
    return Differences((ends[0] - ends[1]) / (up - down), crossed, floor)


def _along(penalties: Callable[[Tensor], Tensor], theta: Tensor, directions: Tensor, start: int) -> Differences:
    """Take differences along directions of length 1 in the space of the tensor that begins at ``start``."""
    stop = start + directions.shape[1]
    step = steps_of(theta[start:stop].norm())
    found = []
    for direction in directions:
        shift = torch.zeros_like(theta)
        shift[start:stop] = step * direction
        found.append(_differences(penalties, theta, shift + torch.where(shift == 0, step, 0)))
    inside = slice(start, stop)
    values = torch.stack([(each.values[inside] * directions[k]).sum() for k, each in enumerate(found)])
    crossed = torch.stack([each.crossed[inside].any() for each in found])
    floor = torch.stack([(each.floor[inside] * directions[k].abs()).sum() for k, each in enumerate(found)])
    return Differences(values, crossed, floor)
