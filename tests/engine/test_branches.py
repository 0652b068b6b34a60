"""Which side of its kinks a computation is on, for every way to write one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn import functional

from dlx.engine.branches import Branches

other = torch.tensor([0.5, -0.5, 2.0, 0.0])
KINKED: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "torch.relu": (torch.relu, 0.0),
    "F.relu": (functional.relu, 0.0),
    "nn.ReLU in place": (nn.ReLU(inplace=True), 0.0),
    "Tensor.relu": (lambda x: x.relu(), 0.0),
    "F.relu6": (functional.relu6, 6.0),
    "F.leaky_relu": (functional.leaky_relu, 0.0),
    "F.elu": (functional.elu, 0.0),
    "F.selu": (functional.selu, 0.0),
    "F.hardtanh": (functional.hardtanh, -1.0),
    "F.hardtanh with bounds": (lambda x: functional.hardtanh(x, -2.0, 3.0), 3.0),
    "F.hardswish": (functional.hardswish, 3.0),
    "F.hardsigmoid": (functional.hardsigmoid, -3.0),
    "F.softshrink": (functional.softshrink, 0.5),
    "F.threshold": (lambda x: functional.threshold(x, 0.25, 0.0), 0.25),
    "abs": (torch.abs, 0.0),
    "Tensor.abs": (lambda x: x.abs(), 0.0),
    "clamp": (lambda x: x.clamp(min=1.5), 1.5),
    "torch.clamp": (lambda x: torch.clamp(x, -1.0, 2.5), 2.5),
    "clamp_min": (lambda x: x.clamp_min(1.5), 1.5),
    "clamp_max": (lambda x: x.clamp_max(-1.5), -1.5),
    "comparison": (lambda x: torch.where(x > 0.75, x, 0 * x), 0.75),
    "method": (lambda x: torch.where(x.le(0.75), x, 0 * x), 0.75),
    "maximum": (lambda x: torch.maximum(x, other), 0.5),
    "minimum": (lambda x: torch.minimum(x, other), 0.5),
    "max of two": (lambda x: torch.max(x, other), 0.5),
    "sign": (torch.sign, 0.0),
    "F.l1_loss": (lambda x: functional.l1_loss(x, other), 0.5),
    "F.smooth_l1_loss": (lambda x: functional.smooth_l1_loss(x, other), 1.5),
    "F.huber_loss": (lambda x: functional.huber_loss(x, other, delta=0.25), 0.75),
    "amax": (lambda x: x.amax(-1), 2.0),
    "max over all": (lambda x: x.max(), 2.0),
    "max along a dimension": (lambda x: x.max(-1).values, 2.0),
    "median": (lambda x: x.median(-1).values, 1.0),
    "topk": (lambda x: x.topk(1).values, 2.0),
    "F.max_pool1d": (lambda x: functional.max_pool1d(x[None], 4), 2.0),
}
SMOOTH = {
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "sum": torch.sum,
}


def pattern(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    branches = Branches()
    with branches:
        function(x.clone())
    return branches.pattern(x)


def beside(kink: float) -> tuple[Tensor, Tensor]:
    """Points on both sides of a kink of the first entry, others far from it."""
    at = torch.tensor([kink, 1.0, 2.0, 0.1])
    step = torch.tensor([1e-3, 0.0, 0.0, 0.0])
    return at - step, at + step


@pytest.mark.parametrize("name", KINKED)
def test_a_kink_changes_the_pattern(name: str) -> None:
    function, kink = KINKED[name]
    below, above = beside(kink)
    assert not torch.equal(pattern(function, below), pattern(function, above))
    far = below + 100
    assert torch.equal(pattern(function, far), pattern(function, far + 1e-3))


@pytest.mark.parametrize("name", [name for name in KINKED if "in place" not in name])
def test_each_row_has_its_own_pattern_under_vmap(name: str) -> None:
    function, kink = KINKED[name]
    rows = torch.stack(beside(kink))
    found = vmap(lambda x: pattern(function, x))(rows)
    torch.testing.assert_close(found, torch.stack([pattern(function, row) for row in rows]))


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_functions_have_no_branches(name: str) -> None:
    assert pattern(SMOOTH[name], torch.randn(4)).numel() == 0
