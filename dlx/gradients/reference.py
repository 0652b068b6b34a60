"""What gradients are judged by: central differences of every parameter, or of a sample of them where there are many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dlx.engine.error_surface import ErrorSurface
from dlx.gradients.differences import Differences, Work, along_axes, along_directions, finish, steps_of

MAX_ENTRIES = 10_000
"""Parameters of which each is checked by itself; of more, a sample and directions."""
NUM_SAMPLED, NUM_DIRECTIONS = 20, 4
"""Single entries and directions of each tensor of a model with more parameters."""
SHRINK = 16
"""How much smaller the step is with which an entry is tried again whose points lie on two sides of a kink."""
AGREEMENT = 1e-8
"""Relative error from which an entry is looked at again, with half the step: its own error may be larger."""


@dataclass(frozen=True)
class TensorReference:
    """Differences of one parameter tensor.

    Attributes:
        shape: Its shape.
        entries: Which of its entries, flat, [K].
        values: Difference quotient of each, [K].
        crossed: Whether a kink lies within its step, however small it was made, [K].
        allowed: Errors that rounding, and the length of the step, explain, [K].
        directions: Directions of length 1 in the tensor's space, [L, size]; none where every entry is there.
        along: Difference quotients along them, with what is allowed; None without directions.
    """

    shape: tuple[int, ...]
    entries: Tensor
    values: Tensor
    crossed: Tensor
    allowed: Tensor
    directions: Tensor
    along: Differences | None


Reference = Mapping[str, TensorReference]


def take_reference(surface: ErrorSurface, gradient: Tensor) -> Work[Reference]:
    """Take the differences that a gradient is judged by.

    Args:
        surface: f, in float64.
        gradient: The gradient by autograd, [P]: it says which entries are sampled, and which are looked at again.

    Yields:
        Shares of the work that is done.

    Returns:
        The reference, by the name of the tensor.
    """
    columns = _columns(surface, gradient)
    steps = steps_of(surface.theta[columns])
    first = yield from along_axes(surface, columns, steps)
    found = _closer(surface, columns, steps, first, gradient[columns])
    directions = _directions(surface) if len(gradient) > MAX_ENTRIES else None
    along = None if directions is None else finish(along_directions(surface, directions, _lengths(surface)))
    return _by_tensor(surface, columns, found, directions, along)


def _columns(surface: ErrorSurface, gradient: Tensor) -> Tensor:
    """Choose the entries that are checked, in the order of theta: all, or of each tensor the extreme and some more."""
    if len(gradient) <= MAX_ENTRIES:
        return torch.arange(len(gradient), device=gradient.device)
    generator, chosen, start = torch.Generator().manual_seed(0), [], 0
    for size in surface.layout.sizes:
        sizes = gradient[start : start + size].abs()
        order = sizes.argsort(descending=True)
        order = order[sizes[order] > 0]
        third = NUM_SAMPLED // 3
        random = torch.randperm(size, generator=generator).to(order)[: NUM_SAMPLED - 2 * third]
        chosen.append(start + torch.unique(torch.cat([order[:third], order[-third:], random])))
        start += size
    return torch.cat(chosen)


def _closer(surface: ErrorSurface, columns: Tensor, steps: Tensor, first: Differences, gradient: Tensor) -> Differences:
    """Look again at entries whose step crosses a kink, with a small one, and at those that disagree, with half of it.

    What two steps differ by is a bound on what their length does; it is added to what rounding explains.
    """
    values, crossed, floor = first.values.clone(), first.crossed.clone(), first.floor.clone()
    if crossed.any():
        again = crossed.nonzero().squeeze(1)
        second = finish(along_axes(surface, columns[again], steps[again] / SHRINK))
        values[again], floor[again], crossed[again] = second.values, second.floor, second.crossed
    size = torch.maximum(values.abs(), gradient.abs())
    doubtful = ~first.crossed & ((values - gradient).abs() > floor + AGREEMENT * size)
    if doubtful.any():
        again = doubtful.nonzero().squeeze(1)
        second = finish(along_axes(surface, columns[again], steps[again] / 2))
        change = (second.values - values[again]).abs()
        values[again], floor[again] = second.values, second.floor + change
    return Differences(values, crossed, floor)


def _directions(surface: ErrorSurface) -> Tensor:
    """Draw directions of mean 0 and length 1 in the space of each tensor, [L tensors, P]."""
    generator, found, start = torch.Generator().manual_seed(1), [], 0
    for size in surface.layout.sizes:
        drawn = torch.randn(NUM_DIRECTIONS, size, dtype=torch.float64, generator=generator)
        drawn -= drawn.mean(1, keepdim=True) if size > 1 else 0
        rows = torch.zeros(NUM_DIRECTIONS, surface.layout.num_parameters, dtype=torch.float64)
        rows[:, start : start + size] = drawn / drawn.norm(dim=1, keepdim=True)
        found.append(rows)
        start += size
    return torch.cat(found).to(surface.theta)


def _lengths(surface: ErrorSurface) -> Tensor:
    """Give the step along each direction: that of a parameter of the size of its tensor's norm."""
    norms = torch.stack([part.norm() for part in torch.split(surface.theta, surface.layout.sizes)])
    return steps_of(norms).repeat_interleave(NUM_DIRECTIONS)


def _by_tensor(
    surface: ErrorSurface, columns: Tensor, found: Differences, directions: Tensor | None, along: Differences | None
) -> Reference:
    reference, start = {}, 0
    for number, (name, shape) in enumerate(surface.layout.parameters.items()):
        size = surface.layout.sizes[number]
        own = ((columns >= start) & (columns < start + size)).nonzero().squeeze(1)
        mine = slice(number * NUM_DIRECTIONS, (number + 1) * NUM_DIRECTIONS)
        reference[name] = TensorReference(
            shape=shape,
            entries=columns[own] - start,
            values=found.values[own],
            crossed=found.crossed[own],
            allowed=found.floor[own],
            directions=surface.theta.new_empty(0, size)
            if directions is None
            else directions[mine, start : start + size],
            along=None if along is None else Differences(along.values[mine], along.crossed[mine], along.floor[mine]),
        )
        start += size
    return reference


def _sum(one: Differences, other: Differences | None) -> Differences:
    if other is None:
        return one
    return Differences(one.values + other.values, one.crossed | other.crossed, one.floor + other.floor)


def with_penalty(reference: Reference, penalties: Reference) -> Reference:
    """Add the differences of the prior's part to those of the loss."""
    return {
        name: replace(
            each,
            values=each.values + penalties[name].values,
            crossed=each.crossed | penalties[name].crossed,
            allowed=each.allowed + penalties[name].allowed,
            along=each.along and _sum(each.along, penalties[name].along),
        )
        for name, each in reference.items()
    }
