"""Finds out on which side of its kinks every piecewise function of a computation is.

A difference quotient across a kink of relu or of an absolute error is no derivative. Two points lie on one smooth piece
if every comparison, sign and maximum on the way from theta to the loss comes out alike at both; those are noted here,
whoever wrote the module. What torch computes within one of its compound functions (a whole ``nn.TransformerEncoder``
in its fast path) is not seen.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Note = Callable[[tuple[Any, ...], Mapping[str, Any], Any], list[Tensor]]


def _above(*bounds: float) -> Note:
    """Note whether the first argument is above each bound."""
    return lambda args, kwargs, out: [args[0] > bound for bound in bounds]


def _between(low: str, high: str, default: float | None) -> Note:
    """Note whether the first argument is above bounds that are arguments themselves."""

    def note(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> list[Tensor]:
        bounds = [
            args[place] if len(args) > place else kwargs.get(name, sign * default if default is not None else None)
            for place, name, sign in ((1, low, -1), (2, high, 1))
        ]
        return [args[0] > bound for bound in bounds if bound is not None]

    return note


def _around(name: str, default: float) -> Note:
    """Note whether the first argument is above minus and plus an argument."""

    def note(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> list[Tensor]:
        bound = args[1] if len(args) > 1 else kwargs.get(name, default)
        return [args[0] > -bound, args[0] > bound]

    return note


def _difference(name: str | None, default: float = 1.0) -> Note:
    """Note the sign of the difference of two arguments, and whether it is larger than a bound, if there is one."""

    def note(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> list[Tensor]:
        other = args[1] if len(args) > 1 else kwargs["target" if "target" in kwargs else "other"]
        difference = args[0] - other
        bound = None if name is None else kwargs.get(name, default)
        return [difference > 0] if bound is None else [difference > -bound, difference > bound]

    return note


def _largest(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> list[Tensor]:
    """Note which entry a maximum, a median or a sort took, where its result tells."""
    if isinstance(out, tuple):
        return [each for each in out if isinstance(each, Tensor) and not each.is_floating_point()]
    if len(args) > 1 and isinstance(args[1], Tensor):
        return [args[0] > args[1]]
    return [args[0] == (out if out.dim() in (0, args[0].dim()) else _spread(args, kwargs, out))]


def _spread(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Tensor) -> Tensor:
    dim = args[1] if len(args) > 1 else kwargs.get("dim", -1)
    return out.unsqueeze(dim) if isinstance(dim, int) else out.expand_as(args[0])


def _pooled(name: str) -> Note:
    """Note which entry each maximum of a pooling layer is."""

    def note(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> list[Tensor]:
        given = {key: value for key, value in kwargs.items() if key != "return_indices"}
        return [getattr(functional, name)(*args, **given, return_indices=True)[1]]

    return note


def _result(args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> list[Tensor]:
    return [out]


NOTES: dict[str, Note] = {
    **dict.fromkeys(("relu", "prelu", "leaky_relu", "elu", "selu", "celu", "rrelu", "abs", "absolute"), _above(0.0)),
    "relu6": _above(0.0, 6.0),
    **dict.fromkeys(("hardswish", "hardsigmoid"), _above(-3.0, 3.0)),
    "hardtanh": _between("min_val", "max_val", 1.0),
    **dict.fromkeys(("clamp", "clip"), _between("min", "max", None)),
    "clamp_min": _between("min", "max", None),
    "clamp_max": _between("max", "min", None),
    **dict.fromkeys(("hardshrink", "softshrink"), _around("lambd", 0.5)),
    "threshold": lambda args, kwargs, out: [args[0] > (args[1] if len(args) > 1 else kwargs["threshold"])],
    "l1_loss": _difference(None),
    "smooth_l1_loss": _difference("beta"),
    "huber_loss": _difference("delta"),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin"), _largest),
    **dict.fromkeys(("max", "min", "amax", "amin", "median", "sort", "topk", "kthvalue", "argsort"), _largest),
    **{name: _pooled(name) for size in "123" for name in (f"max_pool{size}d", f"adaptive_max_pool{size}d")},
    **dict.fromkeys(("sign", "floor", "ceil", "round", "trunc", "argmax", "argmin"), _result),
    **dict.fromkeys(("gt", "lt", "ge", "le", "__gt__", "__lt__", "__ge__", "__le__"), _result),
    **dict.fromkeys(("greater", "less", "greater_equal", "less_equal"), _result),
}
"""What is noted of each function, by the name that ``torch``, ``torch.nn.functional`` and ``Tensor`` give it."""


class Branches(TorchFunctionMode):
    """Notes the branch of every piecewise function that is called while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        note = NOTES.get(name) or NOTES.get(name.strip("_"))
        if note is not None and args and isinstance(args[0], Tensor) and args[0].is_floating_point():
            # An operation in place has overwritten what it was given; such a module is noted by its result.
            was_overwritten = name.endswith("_") and not name.startswith("__")
            self._found += [out > 0] if was_overwritten else note(args, kwargs, out)
        return out

    def pattern(self, like: Tensor, rows: int | None = None) -> Tensor:
        """Give all that was noted.

        Args:
            like: Of the device where nothing was noted.
            rows: Number M of things that were computed side by side, the first axis of each of which, or of its
                pieces, they are; None is one thing.

        Returns:
            int32 [K], or [M, K]; what all of them share is left out.
        """
        if rows is None:
            pieces = [each.reshape(-1).to(torch.int32) for each in self._found]
            return torch.cat(pieces) if pieces else torch.zeros(0, dtype=torch.int32, device=like.device)
        pieces = [each.reshape(rows, -1).to(torch.int32) for each in self._found if each.numel() % rows == 0]
        return torch.cat(pieces, 1) if pieces else torch.zeros(rows, 0, dtype=torch.int32, device=like.device)

    def digest(self, like: Tensor) -> Tensor:
        """Give a number that stands for all that was noted, however much it was, int32 [1]."""
        pattern = self.pattern(like)
        return pattern.new_tensor([zlib.crc32(pattern.cpu().numpy().tobytes()) - 2**31])
