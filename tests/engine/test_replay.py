"""What is replayed is what ran: same bits, fresh inputs, constants by reference, eager where recording cannot be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

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
