"""What is replayed is what ran: same bits, fresh inputs, constants by reference, eager where recording cannot be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from dlx.engine.replay import Replay

Function = Callable[..., tuple[Tensor, ...]]


def calls_of(function: Function, *inputs: Tensor, fixed: tuple[Tensor, ...] = ()) -> tuple[Replay, list[int]]:
    """Replay a function, counting how often it runs itself."""
    count: list[int] = []

    def counted(*args: Tensor) -> tuple[Tensor, ...]:
        count.append(1)
        return function(*args)

    replay = Replay(counted, fixed)
    for _ in range(2):
        replay(*inputs)
    return replay, count


@torch.enable_grad()
def gradient(theta: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    leaf = theta.detach().requires_grad_()
    value = torch.tanh(x @ leaf.view(-1, 4, 3)).softmax(-1).square().sum()
    return value.detach(), *torch.autograd.grad(value, leaf)


def test_equals_eager_on_new_inputs_and_changed_constants() -> None:
    torch.manual_seed(0)
    theta = torch.randn(2, 12)
    replay, count = calls_of(gradient, theta, torch.randn(2, 5, 4), fixed=(theta,))
    for _ in range(3):
        x = torch.randn(2, 5, 4)
        theta.add_(0.1)
        assert all(torch.equal(a, b) for a, b in zip(replay(theta, x), gradient(theta, x), strict=True))
    assert len(count) == 2, "eager once, recorded once, then replayed"


def test_another_matrix_than_the_fixed_one_is_an_input() -> None:
    torch.manual_seed(0)
    theta, x = torch.randn(2, 12), torch.randn(2, 5, 4)
    replay, _ = calls_of(gradient, theta, x, fixed=(theta,))
    for _ in range(3):
        other = torch.randn(2, 12)
        assert all(torch.equal(a, b) for a, b in zip(replay(other, x), gradient(other, x), strict=True))


def test_records_again_for_another_shape() -> None:
    replay, count = calls_of(lambda x: (x * x.shape[0],), torch.ones(2, 3))
    assert replay(torch.ones(4, 3))[0].sum() == 48
    assert len(count) == 3


def test_what_reads_a_value_runs_eagerly() -> None:
    replay, count = calls_of(lambda x: (x * 2 if x.sum().item() > 0 else x * 3,), torch.ones(3))
    assert replay(-torch.ones(3))[0].tolist() == [-3, -3, -3]
    assert len(count) >= 3


def test_in_place_calls_and_several_results_are_replayed() -> None:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        y = torch.zeros_like(x)
        y.scatter_add_(1, torch.zeros_like(x, dtype=torch.int64), x)
        values, places = x.max(1)
        first, second = x.split(1)
        return y, values, places, first + 1, second

    replay, count = calls_of(function, torch.ones(2, 3))
    x = torch.arange(6.0).view(2, 3)
    assert all(torch.equal(a, b) for a, b in zip(replay(x), function(x), strict=True))
    assert len(count) == 2


def test_equal_calls_are_made_once_unless_a_result_is_changed_in_place() -> None:
    def pure(x: Tensor) -> tuple[Tensor, ...]:
        return x.exp() + 1, x.exp() + 2

    def mutating(x: Tensor) -> tuple[Tensor, ...]:
        y, z = x.exp(), x.exp()
        z.add_(1)
        return y, z

    for function in (pure, mutating):
        replay, count = calls_of(function, torch.zeros(2))
        x = torch.ones(2)
        assert all(torch.equal(a, b) for a, b in zip(replay(x), function(x), strict=True))
        assert len(count) <= 3


def test_a_number_times_the_scalar_of_a_member_is_a_constant() -> None:
    def function(x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        return (torch.func.vmap(lambda x, h: x * (2 / h))(x, h),)

    replay, count = calls_of(function, torch.ones(2, 3), torch.ones(2))
    assert replay(torch.ones(2, 3), torch.tensor([4.0, 0.5]))[0].tolist() == [[0.5] * 3, [4.0] * 3]
    assert len(count) == 2


def test_chance_is_not_recorded() -> None:
    replay, _ = calls_of(lambda x: (x + torch.rand(3),), torch.zeros(3))
    assert not torch.equal(replay(torch.zeros(3))[0], replay(torch.zeros(3))[0])


def test_results_are_not_shared_between_calls() -> None:
    replay, _ = calls_of(lambda x: (x + 1,), torch.zeros(3))
    one = replay(torch.zeros(3))[0]
    one.add_(5)
    assert replay(torch.zeros(3))[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e-8])
def test_numbers_that_have_no_literal(value: float) -> None:
    replay, _ = calls_of(lambda x: (torch.where(x > 0, x, value),), torch.ones(2))
    assert torch.equal(replay(-torch.ones(2))[0].nan_to_num(), torch.full((2,), value).nan_to_num())


CONSTANT = torch.arange(12.0).view(3, 4) / 10


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (torch.relu(x @ CONSTANT).neg() + 1,),  # every call after the first may write over its argument
        lambda x: (torch.relu(x), torch.exp(x)),  # an input is not the recording's own
        lambda x: (torch.relu(CONSTANT) * x.sum(), torch.exp(CONSTANT)),  # nor is a constant
        lambda x: ((y := x @ CONSTANT).neg(), y.exp()),  # read again
        lambda x: ((y := x @ CONSTANT), y.neg()),  # a result
        lambda x: ((y := x @ CONSTANT)[0], y.neg()),  # a result is a part of it
        lambda x: ((row := (y := x @ CONSTANT)[0]).exp(), y.neg() + row),  # a view of it is read later
        lambda x: (y := x @ CONSTANT, y.mT * y.mT)[1:],  # twice in one call
        lambda x: ((x @ CONSTANT).sum(0) + x @ CONSTANT,),  # the result is larger
        lambda x: ((x @ CONSTANT) > 1,),  # the result is of another dtype
        lambda x: ((x @ CONSTANT).exp().mT[0], (x @ CONSTANT).exp().neg()),  # made once, read under two names
    ],
)
def test_writing_over_what_nobody_reads_again_changes_nothing(function: Function) -> None:
    replay, count = calls_of(function, torch.ones(5, 3))
    for seed in range(3):
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed))
        before, constant = x.clone(), CONSTANT.clone()
        assert all(torch.equal(a, b) for a, b in zip(replay(x), function(x), strict=True))
        assert torch.equal(x, before)
        assert torch.equal(CONSTANT, constant)
    assert len(count) == 2, "eager once, recorded once, then replayed"


def test_elementwise_calls_take_no_memory_of_their_own() -> None:
    replay, _ = calls_of(lambda x: (torch.relu(x @ CONSTANT).mT.neg(),), torch.ones(5, 3))
    with profile(activities=[ProfilerActivity.CPU]) as found:
        replay(torch.ones(5, 3))
    names = {event.name for event in found.events() or ()}
    assert {"aten::relu_", "aten::neg_"} <= names
