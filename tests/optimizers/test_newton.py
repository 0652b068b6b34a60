"""Newton's method against closed forms, published iterates and its own warnings."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from experiments import make_members, train
from objectives import Smooth, rosenbrock
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from dlx.core.definition import Loss, Optimizer
from dlx.core.records import Cell
from dlx.core.registry import registered
from dlx.optimizers.newton import Newton

ROSENBROCK = [4.73188432527, 1411.84517931, 0.0559655168339, 0.313189076116, 1.85273971329e-11, 3.4e-20, 0.0]
"""Values after each pure step from (-1.2, 1)."""


def run(rule: Optimizer, function: Callable, start: list[float], steps: int, stack: Callable) -> tuple[Any, ...]:
    theta = torch.tensor([start] * 2, dtype=torch.float64)
    state, h, objective, path = rule.init(theta), stack([rule] * 2), Smooth(function), []
    for _ in range(steps):
        rule.step(theta, state, h, objective)
        path.append(theta[0].clone())
    return torch.stack(path), {name: float(each[0]) for name, each in rule.diagnostics(state).items()}


def quadratic(x: Tensor) -> Tensor:
    hessian = torch.tensor([[3.0, 1.0, 0.5], [1.0, 20.0, 0.1], [0.5, 0.1, 1.0]], dtype=torch.float64)
    return 0.5 * x @ hessian @ x - x @ torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)


def saddle(x: Tensor) -> Tensor:
    """Minima at (0, +-1), a saddle at the origin."""
    return 0.5 * x[0] ** 2 + 0.25 * x[1] ** 4 - 0.5 * x[1] ** 2


def test_one_step_solves_a_quadratic(stack: Callable) -> None:
    path, _ = run(Newton(damping=0.0), quadratic, [5.0, -4.0, 3.0], 1, stack)
    with mpmath.workdps(40):
        hessian = mpmath.matrix([["3", "1", "0.5"], ["1", "20", mpmath.mpf(0.1)], ["0.5", mpmath.mpf(0.1), "1"]])
        minimum = mpmath.lu_solve(hessian, mpmath.matrix([1, -2, 3]))
    np.testing.assert_allclose(path[0], [float(x) for x in minimum], rtol=1e-12)


def test_follows_the_known_iterates_on_rosenbrock(stack: Callable) -> None:
    path, told = run(Newton(damping=0.0, safeguard=False), rosenbrock, [-1.2, 1.0], 7, stack)
    values = [float(rosenbrock(x)) for x in path]
    np.testing.assert_allclose(values[:5], ROSENBROCK[:5], rtol=1e-9, atol=1e-18)
    assert values[5] < 1e-19
    assert values[6] < 1e-25
    assert told["indefinite"] == 0
    guarded, _ = run(Newton(damping=0.0), rosenbrock, [-1.2, 1.0], 7, stack)
    assert torch.equal(path, guarded), "where nothing is indefinite the safeguard changes nothing"


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_without_safeguard_it_is_drawn_to_the_saddle(damping: float, stack: Callable) -> None:
    start = [1.0, 0.1]
    free, told = run(Newton(damping=0.0, safeguard=False), saddle, start, 8, stack)
    assert free[-1].abs().max() < 1e-12
    assert told["indefinite"] == told["steps"] == 8
    safe, told = run(Newton(damping=damping), saddle, start, 60, stack)
    torch.testing.assert_close(safe[-1], torch.tensor([0.0, 1.0], dtype=torch.float64), atol=1e-6, rtol=0)
    assert 0 < told["indefinite"] < 10
    assert told["shift"] == damping


def test_the_safeguarded_step_goes_down_with_newtons_length(stack: Callable) -> None:
    # H = diag(1, -0.97), so the shift is 1.94: the second eigenvalue becomes 0.97.
    path, _ = run(Newton(damping=0.0), saddle, [1.0, 0.1], 1, stack)
    gradient = np.array([1.0, 0.1**3 - 0.1])
    np.testing.assert_allclose(path[0], np.array([1.0, 0.1]) - gradient / [1 + 1.94, 0.97], rtol=1e-12)


def test_a_singular_hessian_is_no_division_by_zero(stack: Callable) -> None:
    path, told = run(Newton(damping=0.0), lambda x: (x[0] + x[1]) ** 2, [3.0, 1.0], 1, stack)
    assert path.isfinite().all()
    assert abs(float(path[0].sum())) < 1e-9
    assert told["indefinite"] == 0


def test_remark_counts_the_indefinite_steps() -> None:
    remark = Newton(damping=0.0).remark({"steps": 40.0, "indefinite": 12.0, "shift": 0.25})
    assert remark == "the Hessian was indefinite at 12 of 40 steps, the last step was damped by 0.25"


def test_a_row_that_is_not_finite_becomes_nan_alone(stack: Callable) -> None:
    theta = torch.tensor([[1.0, 2.0], [float("nan"), 1.0]], dtype=torch.float64)
    rule = Newton(damping=0.0)
    rule.step(theta, rule.init(theta), stack([rule] * 2), Smooth(lambda x: (x**4).sum()))
    assert theta[0].isfinite().all()
    assert theta[1].isnan().all()


@pytest.mark.parametrize("name", registered(Loss))
def test_refuses_losses_without_curvature(name: str) -> None:
    loss = registered(Loss)[name]()
    reason = Newton(damping=0.0).mismatch(None, loss, None, None)  # type: ignore[arg-type]
    assert (reason is not None) == (name == "mae")


@pytest.mark.parametrize("rule", ["newton", "gauss_newton"])
def test_trains_softmax_regression_to_the_optimum(rule: str) -> None:
    members, examples = make_members(
        [Cell(0)],
        model="linear",
        optimizer=rule,
        prior={"name": "gaussian", "precision": 1.0},
        training={"epochs": 200, "batch_size": 54},
        dtype="float64",
    )
    ((last, _, epochs),) = train(members, examples).values()
    (member,) = members
    inputs = (examples.inputs - member.input_scale.shift) / member.input_scale.scale
    train_part = member.parts.train
    peer = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000).fit(inputs[train_part], examples.targets[train_part])
    weight = last[:15].reshape(3, 5)
    np.testing.assert_allclose(weight, peer.coef_, atol=1e-6)
    told = epochs[-1].diagnostics
    assert told["steps"] == 200
    assert told.get("indefinite", 0) == 0


def test_gauss_newton_needs_no_safeguard_where_newton_does(stack: Callable) -> None:
    members, examples = make_members([Cell(seed) for seed in range(3)], optimizer="gauss_newton", loss="mse")
    told = [epochs[-1].diagnostics for _, _, epochs in train(members, examples).values()]
    assert all(each["shift"] < 0.2 for each in told)
    members, examples = make_members([Cell(seed) for seed in range(3)], optimizer="newton", loss="mse")
    told = [epochs[-1].diagnostics for _, _, epochs in train(members, examples).values()]
    assert any(each["indefinite"] for each in told)
