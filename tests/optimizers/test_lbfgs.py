"""L-BFGS takes the steps of torch.optim.LBFGS, row by row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from objectives import Smooth, rosenbrock
from torch import Tensor

from dlx.optimizers.lbfgs import LBFGS

GENERATOR = np.random.default_rng(0)
BASIS = np.linalg.qr(GENERATOR.normal(size=(12, 12)))[0]
MATRIX = torch.from_numpy(BASIS @ np.diag(np.geomspace(1, 200, 12)) @ BASIS.T)
LINEAR = torch.from_numpy(GENERATOR.normal(size=12))


def quadratic(x: Tensor) -> Tensor:
    return 0.5 * x @ MATRIX @ x - LINEAR @ x


def wavy(x: Tensor) -> Tensor:
    """Many minima, so that searches must go far and come back."""
    return (x.square() / 50 + (3 * x).cos()).sum() + 0.3 * (x[0] * x[1]).sin()


PROBLEMS: dict[str, tuple[Callable[[Tensor], Tensor], list[list[float]]]] = {
    "quadratic": (quadratic, [[1.0] * 12, [0.5, -3.0] * 6]),
    "rosenbrock": (rosenbrock, [[-1.2, 1.0], [2.0, -1.5], [0.0, 3.0]]),
    "rosenbrock in 10": (rosenbrock, [[-1.2, 1.0] * 5, [0.3] * 10]),
    "wavy": (wavy, [[7.0, -5.0, 2.0], [0.9, 0.1, -12.0]]),
}


def run(rule: LBFGS, function: Callable, starts: list[list[float]], steps: int, stack: Callable) -> tuple[Any, ...]:
    theta = torch.tensor(starts, dtype=torch.float64)
    state, h, path = rule.init(theta), stack([rule] * len(starts)), []
    for _ in range(steps):
        rule.step(theta, state, h, Smooth(function, len(starts)))
        path.append(theta.clone())
    return torch.stack(path, 1), rule.diagnostics(state)


def torch_path(rule: LBFGS, function: Callable, start: list[float], steps: int) -> tuple[Tensor, int]:
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    peer = torch.optim.LBFGS(
        [x], rule.lr, max_iter=1, max_eval=26, history_size=rule.history, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        peer.zero_grad()
        value = function(x)
        value.backward()
        return value

    path = []
    for _ in range(steps):
        peer.step(closure)
        path.append(x.detach().clone())
    return torch.stack(path), peer.state[x]["func_evals"]


@pytest.mark.parametrize("history", [1, 3, 10])
@pytest.mark.parametrize("lr", [1.0, 0.05])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_follows_torch(problem: str, lr: float, history: int, stack: Callable) -> None:
    function, starts = PROBLEMS[problem]
    rule = LBFGS(lr=lr, history=history)
    steps = 12  # beyond, the cubic's cancellation makes the last bit the first on a function with many minima
    paths, told = run(rule, function, starts, steps, stack)
    for row, start in enumerate(starts):
        expected, evaluations = torch_path(rule, function, start, steps)
        torch.testing.assert_close(paths[row], expected, rtol=1e-12, atol=1e-12 if problem != "wavy" else 1e-11)
        assert told["evaluations"][row] == evaluations


@pytest.mark.parametrize("problem", ["quadratic", "rosenbrock"])
def test_follows_torch_back_from_a_first_length_that_is_far_too_long(problem: str, stack: Callable) -> None:
    function, starts = PROBLEMS[problem]
    paths, _ = run(LBFGS(lr=20.0), function, starts, 5, stack)
    for row, start in enumerate(starts):
        expected, _ = torch_path(LBFGS(lr=20.0), function, start, 5)
        torch.testing.assert_close(paths[row], expected, rtol=1e-12, atol=1e-12)


def test_reaches_the_minimum_that_scipy_reaches(stack: Callable) -> None:
    start = [0.5, 0.8] * 5  # in the valley of (1, ..., 1): from elsewhere another minimum may be the nearer one
    paths, _ = run(LBFGS(), rosenbrock, [start] * 2, 120, stack)
    peer = scipy.optimize.minimize(scipy.optimize.rosen, start, jac=scipy.optimize.rosen_der, method="BFGS", tol=1e-9)
    np.testing.assert_allclose(paths[0, -1], peer.x, atol=1e-5)  # torch's smallest slope, 1e-9, leaves 3e-6


def barrier(x: Tensor) -> Tensor:
    """Finite only where every coordinate is under 1; NaN beyond."""
    return -(1 - x).log().sum() + 30 * (x - 0.9).square().sum()


def test_turns_back_where_the_objective_is_not_finite(stack: Callable) -> None:
    paths, told = run(LBFGS(lr=50.0), barrier, [[0.0, 0.5], [-3.0, 0.99]], 25, stack)
    assert paths.isfinite().all()
    grid = torch.linspace(0.5, 0.99, 400_001, dtype=torch.float64)
    lowest = grid[(-(1 - grid).log() + 30 * (grid - 0.9).square()).argmin()]
    assert (paths[:, -1] - lowest).abs().max() < 1e-5
    assert (told["steps"] > 3).all()


def test_a_row_that_starts_beyond_stays_and_says_so(stack: Callable) -> None:
    rule, theta = LBFGS(), torch.tensor([[2.0, 0.0], [0.5, 0.0]], dtype=torch.float64)
    state, h = rule.init(theta), stack([rule] * 2)
    value = rule.step(theta, state, h, Smooth(barrier))
    assert value[0].isnan()
    assert theta[0].tolist() == [2.0, 0.0]
    assert state["steps"].squeeze(1).tolist() == [0, 1]
    assert all(each[1].isfinite().all() for each in state.values())


def test_rests_at_a_minimum(stack: Callable) -> None:
    rule, theta = LBFGS(), torch.ones(2, 4, dtype=torch.float64)
    state, h = rule.init(theta), stack([rule] * 2)
    rule.step(theta, state, h, Smooth(rosenbrock))
    assert torch.equal(theta, torch.ones(2, 4, dtype=torch.float64))
    told = {name: float(each[0]) for name, each in rule.diagnostics(state).items()}
    assert rule.remark(told) == "0 steps took 1 gradients, then it rested"


def test_both_gradients_of_a_pair_are_of_one_batch(stack: Callable) -> None:
    """On quadratics that change from step to step, each pair shows the curvature of its own step's."""
    rule, theta = LBFGS(history=2), torch.ones(2, 2, dtype=torch.float64)
    state, h = rule.init(theta), stack([rule] * 2)
    for scale in (1.0, 7.0):
        diagonal = scale * torch.tensor([1.0, 3.0], dtype=torch.float64)
        rule.step(theta, state, h, Smooth(lambda x, d=diagonal: 0.5 * (d * x * x).sum() - x.sum()))  # type: ignore[misc]
        torch.testing.assert_close(state["y"][:, -1], diagonal * state["s"][:, -1])


@pytest.mark.parametrize("lr", [0.05, 0.3, 3.0])
def test_searches_of_many_kinds_take_the_turns_that_torch_takes(lr: float, stack: Callable) -> None:
    """Two steps from many places of a function with many minima meet every branch of the line search."""
    starts = np.random.default_rng(1).normal(scale=6, size=(150, 3)).tolist()
    paths, told = run(LBFGS(lr=lr), wavy, starts, 2, stack)
    peers = [torch_path(LBFGS(lr=lr), wavy, start, 2) for start in starts]
    assert told["evaluations"].tolist() == [evaluations for _, evaluations in peers]
    torch.testing.assert_close(paths, torch.stack([path for path, _ in peers]), rtol=1e-6, atol=1e-6)
