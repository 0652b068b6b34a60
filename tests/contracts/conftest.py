"""Watches which aten operations run, and compares bits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Their bits depend on the number of elements (reference/engine.md, rule C). A power of 1 or 2 is a copy or a product.
UNSAFE = ("sigmoid", "silu", "softplus", "elu", "selu", "celu", "mish", "pow", "batch_norm", "hardswish")


class _Watch(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the default imports torch._dynamo: seconds

    def __init__(self) -> None:
        super().__init__()
        self.unsafe: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        word = func.name().removeprefix("aten::").split(".")[0].removesuffix("_")
        word = word.removesuffix("_backward").removeprefix("native_").removeprefix("_")
        harmless_power = word == "pow" and args[1:] in [(1,), (2,)]
        if word in UNSAFE and not harmless_power:
            self.unsafe.append(func.name())
        return func(*args, **(kwargs or {}))


@contextmanager
def _only_safe_operations() -> Iterator[None]:
    watch = _Watch()
    with watch:
        yield
    assert not watch.unsafe, f"bits depend on the number of elements: {watch.unsafe}"


@pytest.fixture
def only_safe_operations() -> Callable[[], Any]:
    return _only_safe_operations


def _same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal to the bit, signs of zero and NaN included."""
    words = {torch.float32: torch.int32, torch.float64: torch.int64}[a.dtype]
    return a.dtype == b.dtype and torch.equal(a.contiguous().view(words), b.contiguous().view(words))


@pytest.fixture
def same_bits() -> Callable[[Tensor, Tensor], bool]:
    return _same_bits
