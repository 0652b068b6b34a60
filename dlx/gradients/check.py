"""Tells a wrong gradient from a right one, parameter tensor by parameter tensor.

A tensor's gradient a is compared with the difference quotients n of its entries. Entries whose error rounding explains
are equal; of the others

    relative error of the tensor   |a - n| / (|a| + |n|)    below 1e-7 ok, below 1e-5 suspicious, else wrong
    relative error of an entry     |a - n| / max(|a|, |n|)  below 1e-6 ok, below 1e-3 suspicious, else wrong

Along a direction u, where there are too many entries, the error is measured in units of |a| / sqrt(size), which is what
a'u is for a direction that does not know a: below 1e-6 ok, below 1e-5 suspicious, else wrong.

Source:
    The thresholds are measured: right gradients stay two decades below, the mildest faults lie as far above
    (tests/gradients/test_check.py). The relative errors are those of the CS231n notes on gradient checks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dlx.gradients.reference import Reference, TensorReference

Verdict = Literal["ok", "suspicious", "wrong", "unverified"]
VERDICTS: tuple[Verdict, ...] = ("ok", "suspicious", "unverified", "wrong")
"""From good to bad."""
TENSOR_BOUNDS, ENTRY_BOUNDS, DIRECTION_BOUNDS = (1e-7, 1e-5), (1e-6, 1e-3), (1e-6, 1e-5)
"""Relative errors from which a gradient is suspicious, and wrong."""
MAX_CROSSED = 0.2
"""Share of the entries of a tensor that kinks may hide; with more of them it is not verified."""
PROPORTIONAL = 1e-3
"""How far two gradients may be from multiples of each other to be called that."""
MOSTLY = 0.1
"""What a constant factor may leave of an error that it is to explain."""


@dataclass(frozen=True)
class TensorCheck:
    """How the gradient of one tensor compares with differences.

    Attributes:
        name: Of the parameter.
        shape: Its shape.
        num_entries: Entries that it has.
        num_checked: Entries that were compared.
        num_crossed: Entries that were not, because a kink lies within their step.
        num_zero: Entries compared where gradient and difference are both zero, but for rounding.
        num_directions: Directions along which it was compared, too.
        norm: Length of the gradient over the entries compared.
        absolute_error: Largest |a - n|.
        relative_error: |a - n| / (|a| + |n|) over the entries compared; None where all of them are zero.
        floor: Largest error that is taken for rounding.
        worst: Index of the entry with the largest error beyond rounding (the largest error, if there is none), its
            gradient, its difference and their ratio; None where nothing was compared.
        meaning: What a ratio as this usually means, or None.
        verdict: Of the whole.
        is_rounding: Whether it is ok although the relative error is larger than that: rounding explains it.
    """

    name: str
    shape: tuple[int, ...]
    num_entries: int
    num_checked: int
    num_crossed: int
    num_zero: int
    num_directions: int
    norm: float
    absolute_error: float
    relative_error: float | None
    floor: float
    worst: tuple[tuple[int, ...], float, float, float | None] | None
    meaning: str | None
    verdict: Verdict
    is_rounding: bool


def check(gradient: Mapping[str, Tensor], reference: Reference, num_examples: int) -> list[TensorCheck]:
    """Judge a gradient.

    Args:
        gradient: By the name of the tensor, in its shape.
        reference: What it is compared with.
        num_examples: B; a factor of it is recognised.
    """
    return [check_tensor(name, gradient[name], each, num_examples) for name, each in reference.items()]


def check_tensor(name: str, gradient: Tensor, reference: TensorReference, num_examples: int) -> TensorCheck:
    """Judge the gradient of one tensor; as ``check``."""
    kept = ~reference.crossed
    flat = gradient.reshape(-1)
    a, n, allowed = flat[reference.entries][kept], reference.values[kept], reference.allowed[kept]
    error = torch.where(torch.isfinite(a), (a - n).abs(), math.inf)
    size = torch.maximum(a.abs(), n.abs())
    beyond = torch.where(error > allowed, error, 0.0)
    total = float(a.norm() + n.norm())
    place = int(torch.argmax(beyond if beyond.any() else error)) if len(a) else None
    along = _along_directions(flat, reference)
    judged = [
        _grade(float(beyond.norm()) / total if total else 0.0, TENSOR_BOUNDS),
        _grade(float((beyond / size.clamp(min=1e-300)).max()) if len(a) else 0.0, ENTRY_BOUNDS),
        _grade(along, DIRECTION_BOUNDS),
    ]
    is_zero = (a.abs() <= allowed) & (n.abs() <= allowed)
    num_crossed = int(reference.crossed.sum())
    if num_crossed > MAX_CROSSED * len(reference.entries):
        judged.append("unverified")
    verdict = max(judged, key=VERDICTS.index)
    worst = None
    if place is not None:
        index = torch.unravel_index(reference.entries[kept][place], reference.shape)
        ratio = float(a[place] / n[place]) if abs(float(n[place])) > float(allowed[place]) else None
        worst = tuple(int(each) for each in index), float(a[place]), float(n[place]), ratio
    is_bad = verdict in ("suspicious", "wrong")
    relative_error = None if is_zero.all() else float(error.norm()) / total
    return TensorCheck(
        name=name,
        shape=reference.shape,
        num_entries=math.prod(reference.shape),
        num_checked=len(a),
        num_crossed=num_crossed,
        num_zero=int(is_zero.sum()),
        num_directions=len(reference.directions),
        norm=float(a.norm()),
        absolute_error=float(error.max()) if len(a) else 0.0,
        relative_error=relative_error,
        floor=float(allowed.max()) if len(a) else 0.0,
        worst=worst,
        meaning=_meaning(a, n, worst, num_examples) if is_bad else None,
        verdict=verdict,
        is_rounding=verdict == "ok" and (relative_error or 0.0) >= TENSOR_BOUNDS[0],
    )


def worst_verdict(checks: Sequence[TensorCheck]) -> Verdict:
    """Give the worst of several verdicts."""
    return max((each.verdict for each in checks), key=VERDICTS.index, default="ok")


def _along_directions(gradient: Tensor, reference: TensorReference) -> float:
    """Give the largest error along a direction beyond rounding, in units of |a| / sqrt(size)."""
    if reference.along is None:
        return 0.0
    kept = ~reference.along.crossed
    error = (reference.directions @ gradient - reference.along.values).abs()[kept]
    unit = float(gradient.norm()) / math.sqrt(len(gradient))
    beyond = torch.where(error > reference.along.floor[kept], error, 0.0)
    if not beyond.any():
        return 0.0
    return float(beyond.max()) / unit if unit else math.inf


def _grade(error: float, bounds: tuple[float, float]) -> Verdict:
    suspicious, wrong = bounds
    if math.isnan(error) or error >= wrong:
        return "wrong"
    return "suspicious" if error >= suspicious else "ok"


def _meaning(
    a: Tensor, n: Tensor, worst: tuple[tuple[int, ...], float, float, float | None] | None, num_examples: int
) -> str | None:
    """Say what usually lies behind a gradient that is a multiple of the right one, or else behind its worst entry."""
    if len(a) and not torch.isfinite(a).all():
        return "not finite: a division by 0, a logarithm or root of 0, or an overflow in the backward pass"
    square = float(n @ n)
    factor = float(a @ n) / square if square else None
    if factor is not None:
        rest, off = float((a - factor * n).norm()), float((a - n).norm())
        if off <= PROPORTIONAL * float(n.norm()):
            return _nearly_right(factor if rest <= MOSTLY * off else None)
        if rest <= PROPORTIONAL * float(n.norm()):
            return name_factor(factor, num_examples) or f"{factor:.4g} times the difference: a wrong constant factor"
    ratio = worst[3] if worst else None
    known = None if ratio is None else name_factor(ratio, num_examples)
    return f"in the worst entry: {known}" if known else None


def _nearly_right(factor: float | None) -> str:
    """Say what lies behind a gradient that is right to a small share, and a multiple of the right one or none."""
    if factor is None:
        return (
            "nearly right, and off by no constant factor: a part in lower precision (float32), an approximation, or a "
            "small term left out"
        )
    return (
        f"1 {'+' if factor > 1 else '-'} {abs(factor - 1):.1g} times: nearly right, and off by a constant factor, such "
        "as a constant with too few digits, or an epsilon that only one of value and derivative has"
    )


def name_factor(factor: float, num_examples: int) -> str | None:
    """Say what a gradient that is this many times the right one usually means; None if it is nobody's usual mistake."""
    usual = {
        0.0: "0 times: it is not computed (a detached branch, `.data`, `no_grad`, or a backward that returns None)",
        -1.0: "-1 times: the sign is wrong",
        2.0: "2 times: a factor 2 too many (the derivative of a square with its 2 twice, or a term added twice)",
        0.5: "1/2 times: a factor 2 is missing (the derivative of a square)",
        float(num_examples): f"{num_examples} times, the number of examples: a sum where there should be a mean",
        1 / num_examples: f"1/{num_examples} times, by the number of examples: a mean taken twice",
    }
    for value, text in usual.items():
        if value != 1 and abs(factor - value) <= PROPORTIONAL * max(abs(value), 1e-3):
            return text
    return None
