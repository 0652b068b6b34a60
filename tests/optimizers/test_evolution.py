"""An evolution strategy against its rule written out in loops, and against the gradient."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from objectives import Smooth, rosenbrock
from pydantic import ValidationError
from torch import Tensor

from dlx.core.noise import random_normal, random_uniform, random_words, step_keys
from dlx.optimizers.evolution import Evolution
from dlx.optimizers.sgd import SGD


def sphere(x: Tensor) -> Tensor:
    return (x - 1).square().mul(torch.linspace(1, 3, len(x), dtype=x.dtype)).sum()


def generation_in_loops(
    candidates: np.ndarray, sizes: np.ndarray, theta: np.ndarray, first: float, parents: int, key: Tensor, f: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """One generation of one row, written out; only the draws are those of dlx."""
    count, num = candidates.shape
    keys = step_keys(key.view(1), torch.zeros(1, dtype=torch.int32), 4)[0]
    pairs = random_uniform(keys[0], (2, count - 1), torch.float64).numpy()
    sides = random_words(keys[1], (count - 1, num)).numpy()
    growth = random_normal(keys[2], (count - 1,), torch.float64).numpy()
    mutations = random_normal(keys[3], (count - 1, num), torch.float64).numpy()
    everyone, their_sizes = [theta.copy()], [sizes[0]]
    for child in range(count - 1):
        mother, father = (int(pairs[side, child] * parents) for side in range(2))
        genes = [candidates[mother if sides[child, p] < 0 else father, p] for p in range(num)]
        size = (sizes[mother] + sizes[father]) / 2 * np.exp(growth[child] / np.sqrt(num))
        everyone.append(np.array(genes) + first * size * mutations[child])
        their_sizes.append(size)
    order = sorted(range(count), key=lambda number: float(f(torch.from_numpy(everyone[number]))))
    return np.array(everyone)[order], np.array(their_sizes)[order]


def test_follows_the_rule_written_out(stack: Callable) -> None:
    rules = [Evolution(candidates=9, parents=3, size=0.3), Evolution(candidates=9, parents=3, size=0.05)]
    theta = torch.tensor([[-1.0, 0.5, 2.0], [0.0, 0.1, 0.2]], dtype=torch.float64)
    objective, state, h = Smooth(rosenbrock), rules[0].init(theta), stack(rules)
    for _ in range(6):
        before = {name: part.numpy().copy() for name, part in state.items()}
        start = theta.numpy().copy()
        value = rules[0].step(theta, state, h, objective)
        for row, rule in enumerate(rules):
            old = before["candidates"][row], before["sizes"][row], start[row]
            expected, sizes = generation_in_loops(*old, rule.size, 3, objective.keys[row], rosenbrock)
            np.testing.assert_allclose(state["candidates"][row], expected, rtol=1e-12)
            np.testing.assert_allclose(state["sizes"][row], sizes, rtol=1e-12)
            np.testing.assert_allclose(theta[row], expected[0], rtol=1e-12)
            np.testing.assert_allclose(value[row], rosenbrock(torch.from_numpy(start[row])), rtol=1e-12)
        objective.next_step()


def run(rule: Evolution, function: Callable, start: Tensor, generations: int, stack: Callable) -> list[float]:
    theta = start.repeat(2, 1)
    objective, state, h, values = Smooth(function), rule.init(theta), stack([rule] * 2, start.dtype), []
    for _ in range(generations):
        values.append(float(rule.step(theta, state, h, objective)[0]))
        objective.next_step()
    return [*values, float(function(theta[0]))]


def test_reaches_the_minimum_in_10_dimensions_and_never_rises(stack: Callable) -> None:
    values = run(Evolution(), sphere, torch.zeros(10, dtype=torch.float64), 250, stack)
    assert values[-1] < 1e-8 * values[0]
    assert all(later <= earlier for earlier, later in itertools.pairwise(values))


def test_falls_behind_the_gradient_in_1000_dimensions(stack: Callable) -> None:
    start, budget = torch.zeros(1000, dtype=torch.float64), 40
    values = run(Evolution(), sphere, start, budget, stack)
    rule, theta, objective = SGD(lr=0.2), start.repeat(2, 1), Smooth(sphere)
    for _ in range(budget):
        rule.step(theta, {}, stack([rule] * 2), objective)
    assert float(sphere(theta[0])) < 1e-6 * values[0]
    assert 0.1 * values[0] < values[-1] < values[0], "with 28 times as many evaluations"


def test_a_candidate_that_is_not_finite_is_not_selected(stack: Callable) -> None:
    values = run(Evolution(size=0.5), lambda x: -x.log().sum() + x.sum(), torch.full((3,), 0.2), 30, stack)
    assert np.isfinite(values).all()
    assert values[-1] == pytest.approx(3, abs=1e-2)


def test_refuses_more_parents_than_candidates() -> None:
    with pytest.raises(ValidationError, match="9 parents of 9 candidates leave nothing to select"):
        Evolution(candidates=9, parents=9)


def test_remark() -> None:
    remark = Evolution(candidates=9).remark({"generations": 40.0, "size": 0.01234})
    assert remark == "40 generations of 9 candidates, mutations came to a size of 0.0123"
