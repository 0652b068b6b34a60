"""How fast descent closes in, against eigenvalues by numpy and the numbers of the theory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dlx.core.definition import Optimizer
from dlx.curvature.rates import best_descent, best_heavy_ball, shrinking, steps_per_digit
from dlx.optimizers.adam import Adam
from dlx.optimizers.momentum import Momentum
from dlx.optimizers.nesterov import Nesterov
from dlx.optimizers.sgd import SGD

CURVATURES = [1.0, 3.0, 10.0]


def linear_step(rule: Optimizer, curvature: float) -> np.ndarray:
    """One step on curvature x**2 / 2 as a matrix on (x, v), column by column from the rule's formula."""
    columns = []
    for x, v in ((1.0, 0.0), (0.0, 1.0)):
        momentum = getattr(rule, "momentum", 0.0)
        at = x + momentum * v if isinstance(rule, Nesterov) else x
        velocity = momentum * v - rule.lr * curvature * at
        columns.append([x + velocity, velocity])
    return np.array(columns).T


@pytest.mark.parametrize(
    "rule",
    [SGD(lr=0.15), SGD(lr=0.3), Momentum(lr=0.05, momentum=0.5), Momentum(lr=0.4, momentum=0.9), Momentum(momentum=0.0),
     Nesterov(lr=0.05, momentum=0.5), Nesterov(lr=0.2, momentum=0.9)],
)  # fmt: skip
def test_the_factor_is_the_spectral_radius_of_a_step(rule: Optimizer) -> None:
    radii = [np.abs(np.linalg.eigvals(linear_step(rule, curvature))).max() for curvature in CURVATURES]
    assert shrinking(rule, CURVATURES) == pytest.approx(
        max(radii), rel=1e-7
    )  # double roots are known to half the digits


def test_rules_that_are_not_linear() -> None:
    assert shrinking(Adam(), CURVATURES) is None


def test_limits_of_stability() -> None:
    for share, is_stable in ((0.999, True), (1.001, False)):
        assert (shrinking(SGD(lr=0.2 * share), CURVATURES) < 1) == is_stable
        assert (shrinking(Momentum(lr=0.2 * 1.9 * share, momentum=0.9), CURVATURES) < 1) == is_stable


def test_the_best_settings_at_condition_10() -> None:
    descent, ball = best_descent(1, 10), best_heavy_ball(1, 10)
    assert (descent.lr, descent.factor) == pytest.approx((0.181818181818, 0.818181818182), rel=1e-11)
    assert (ball.lr, ball.momentum) == pytest.approx((0.23088615702, 0.269873863612), rel=1e-11)
    assert ball.factor == pytest.approx(0.519493853296, rel=1e-11)


def test_no_other_settings_are_better() -> None:
    descent, ball = best_descent(1, 10), best_heavy_ball(1, 10)
    assert shrinking(SGD(lr=descent.lr), [1, 10]) == pytest.approx(descent.factor)
    for change in (0.97, 1.03):
        assert shrinking(SGD(lr=descent.lr * change), [1, 10]) > descent.factor
    for lr, momentum in itertools.product((0.97, 1, 1.03), repeat=2):
        factor = shrinking(Momentum(lr=ball.lr * lr, momentum=ball.momentum * momentum), [1, 10])
        assert factor > ball.factor or (lr, momentum) == (1, 1)


def test_steps_for_a_digit() -> None:
    assert steps_per_digit(0.1) == pytest.approx(1)
    assert 0.8 ** steps_per_digit(0.8) == pytest.approx(0.1)
    assert steps_per_digit(1.0) == steps_per_digit(1.5) == np.inf
    assert steps_per_digit(0.0) == 0
