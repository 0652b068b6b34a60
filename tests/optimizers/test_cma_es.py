"""CMA-ES row by row is the strategy of the cmaes library that was never stopped."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from cmaes import CMA
from objectives import Smooth, rosenbrock
from torch import Tensor

from dlx.optimizers.cma_es import CMAES


def ellipsoid(x: Tensor) -> Tensor:
    return ((x - 1).square() * torch.logspace(0, 4, len(x), dtype=x.dtype)).sum()


@pytest.mark.parametrize("candidates", [None, 12])
def test_follows_the_library(candidates: int | None, stack: Callable) -> None:
    rules = [CMAES(candidates=candidates, size=0.3), CMAES(candidates=candidates, size=0.05)]
    theta = torch.tensor([[-1.0, 0.5, 2.0], [0.0, 0.1, 0.2]], dtype=torch.float64)
    peers = [
        CMA(row.numpy().copy(), rule.size, population_size=candidates) for row, rule in zip(theta, rules, strict=True)
    ]
    objective, state, h = Smooth(rosenbrock), rules[0].init(theta), stack(rules)
    for generation in range(30):
        seeds = [int(key) % 2**32 for key in objective.keys]
        rules[0].step(theta, state, h, objective)
        for row, peer in enumerate(peers):
            peer.reseed_rng(seeds[row])
            drawn = [peer.ask() for _ in range(peer.population_size)]
            peer.tell([(x, float(rosenbrock(torch.from_numpy(x)))) for x in drawn])
            np.testing.assert_allclose(theta[row], peer.mean, rtol=1e-7, atol=1e-9)
            assert state["generations"][row] == peer.generation == generation + 1
        objective.next_step()


def run(rule: CMAES, function: Callable, start: Tensor, generations: int, stack: Callable) -> tuple[Tensor, dict]:
    theta = start.repeat(2, 1)
    objective, state, h = Smooth(function), rule.init(theta), stack([rule] * 2, start.dtype)
    for _ in range(generations):
        rule.step(theta, state, h, objective)
        objective.next_step()
    return theta[0], {name: float(part[0]) for name, part in rule.diagnostics(state).items()}


def test_reaches_the_end_of_a_narrow_valley(stack: Callable) -> None:
    start = torch.zeros(8, dtype=torch.float64)
    end, told = run(CMAES(), ellipsoid, start, 400, stack)
    assert float(ellipsoid(end)) < 1e-8 * float(ellipsoid(start))
    assert CMAES().remark(told).startswith("400 generations, candidates came to a spread of ")
    assert told["size"] < 1e-3


def test_what_is_not_finite_is_last_and_raises_nothing(stack: Callable) -> None:
    end, _ = run(CMAES(size=0.5), lambda x: -x.log().sum() + x.sum(), torch.full((3,), 0.2), 60, stack)
    torch.testing.assert_close(end, torch.ones(3), rtol=0, atol=0.05)
    rule, theta = CMAES(), torch.tensor([[float("nan"), 1.0], [0.0, 0.0]])
    state = rule.init(theta)
    rule.step(theta, state, stack([rule] * 2, torch.float32), Smooth(ellipsoid))
    assert theta[0].isnan().any()
    assert theta[1].isfinite().all()
    assert state["generations"].flatten().tolist() == [0, 1]


def test_goes_on_where_nothing_is_lower(stack: Callable) -> None:
    end, told = run(CMAES(), lambda x: 0 * x.sum(), torch.zeros(2), 300, stack)
    assert end.isfinite().all() or told["size"] > 1e20


@pytest.mark.parametrize("size", [1e35, 9e29])
def test_a_row_that_cannot_move_has_no_objective(size: float, stack: Callable) -> None:
    """The library takes no such numbers: 1e35 as a size, nor the candidates that are drawn with nearly 1e30."""
    rules, theta = [CMAES(size=size), CMAES()], torch.ones(2, 3, dtype=torch.float64)
    before, state = theta.clone(), rules[0].init(theta)
    value = rules[0].step(theta, state, stack(rules), Smooth(rosenbrock))
    assert torch.equal(theta[0], before[0])
    assert not torch.equal(theta[1], before[1])
    assert value[0].isnan()
    assert value[1] == rosenbrock(before[1])
