"""Proves that the check can fail: plants faults, and looks whether each is found, and in the right tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dlx.engine.objective import Network
from dlx.gradients.check import check, check_tensor
from dlx.gradients.faults import Fault, planted
from dlx.gradients.reference import Reference, TensorReference

UNCHANGED = 1e-13
"""Change of a gradient, relative to its largest entry, that is no change: a fault without effect."""
SCALES = (1e-12, 1.0)
"""Relative errors between which the smallest one that is noticed is sought."""


Outcome = Literal["caught", "missed", "no effect", "below rounding"]


@dataclass(frozen=True)
class Trial:
    """What became of a planted fault.

    Attributes:
        name: The fault.
        place: Where it was planted.
        tensors: Those whose gradient it changes.
        outcome: ``caught`` in these tensors and no other; ``missed`` in one of them, or seen in another one;
            ``no effect`` where it leaves the gradient as it is; ``below rounding`` where it is not seen in a tensor
            because it changes every entry that is compared by less than differences can tell.
        smallest_error: Least relative error of the tensors that it changes.
    """

    name: str
    place: str
    tensors: tuple[str, ...]
    outcome: Outcome
    smallest_error: float


def try_faults(network: Network, right: Mapping[str, Tensor], reference: Reference) -> list[Trial]:
    """Plant every fault that a network has room for, and judge each gradient as that of a user.

    Args:
        network: Of layers that ``backprop.is_by_hand`` knows.
        right: The right gradient, by name.
        reference: What gradients are compared with.
    """
    return [_try(fault, right, reference, len(network.inputs)) for fault in planted(network)]


def _try(fault: Fault, right: Mapping[str, Tensor], reference: Reference, num_examples: int) -> Trial:
    largest = max(float(each.abs().max()) for each in right.values())
    changed = [
        name
        for name in fault.tensors
        if float((fault.gradient[name] - right[name]).abs().max()) > UNCHANGED * max(largest, 1e-300)
    ]
    checks = check(fault.gradient, reference, num_examples)
    bad = {each.name for each in checks if each.verdict in ("suspicious", "wrong")}
    seen = {name for name in changed if _is_above_rounding(fault.gradient[name], right[name], reference[name])}
    outcome: Outcome = "no effect" if not changed else "caught" if bad == set(changed) else "missed"
    if outcome == "missed" and bad <= set(changed) and seen <= bad:
        outcome = "below rounding"
    errors = [each.relative_error or 0.0 for each in checks if each.name in changed]
    return Trial(fault.name, fault.place, tuple(changed), outcome, min(errors, default=0.0))


def _is_above_rounding(wrong: Tensor, right: Tensor, reference: TensorReference) -> bool:
    """Tell whether a fault changes an entry that is compared by more than the check takes for rounding."""
    change = (wrong - right).reshape(-1)[reference.entries].abs()
    return bool((change > reference.allowed).any())


def sensitivity(gradient: Mapping[str, Tensor], reference: Reference, num_examples: int) -> dict[str, float | None]:
    """Find the smallest relative error of each tensor that this check would have noticed, by bisection.

    Returns:
        By name, to a factor of 1.1; None where even a gradient twice too large would pass: it is all rounding.
    """
    return {name: _smallest(name, gradient[name], reference, num_examples) for name in reference}


def _smallest(name: str, gradient: Tensor, reference: Reference, num_examples: int) -> float | None:
    def is_noticed(scale: float) -> bool:
        found = check_tensor(name, gradient * (1 + scale), reference[name], num_examples)
        return found.verdict in ("suspicious", "wrong")

    low, high = SCALES
    if not is_noticed(high):
        return None
    while high / low > 1.1:
        middle = float(torch.tensor(low * high).sqrt())
        low, high = (low, middle) if is_noticed(middle) else (middle, high)
    return high
