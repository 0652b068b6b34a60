"""Steps along the gradient against the formulas of the quadratic, and where a cubic term breaks them."""

from __future__ import annotations

import pytest
import torch
from curvature.functions import Form, at

from dlx.curvature.steps import GradientSteps, gradient_steps
from dlx.engine.error_surface import PointFunction
from dlx.surfaces.quadratic import Quadratic
from dlx.surfaces.rosenbrock import Rosenbrock
from dlx.surfaces.saddle import Saddle


def steps(function: PointFunction, highest: float, *rates: float) -> GradientSteps:
    value, gradient = function.gradient(function.theta)
    found = gradient_steps(function, value, gradient, highest, rates)
    assert found is not None
    return found


@pytest.mark.parametrize("condition", [1.0, 10.0, 1e5])
def test_a_quadratic_is_predicted_exactly(condition: float) -> None:
    found = steps(at(Quadratic(condition=condition, angle=40.0)), condition, 0.01, 3.0)
    for size, measured in zip(found.sizes.tolist(), found.measured.tolist(), strict=True):
        assert measured == pytest.approx(found.predicted(size), rel=1e-9)
    assert found.reliable_to == float(found.sizes[-1])
    assert found.limit == 2 / condition
    assert found.best is not None
    assert found.marks["eps*"][1] <= float(found.measured.min())
    assert found.marks.keys() == {"eps*", "2 / lambda_max", "lr 0.01", "lr 3"}


def test_the_numbers_of_a_small_quadratic() -> None:
    # f = (x**2 + 10 y**2) / 2 at (1, 1): g = (1, 10), g'g = 101, g'Hg = 1001.
    found = steps(at(Quadratic(condition=10.0)), 10.0)
    assert found.value == pytest.approx(5.5)
    assert (found.squared_norm, found.bend) == pytest.approx((101, 1001))
    assert found.best == pytest.approx(101 / 1001)
    assert found.marks["eps*"] == pytest.approx((101 / 1001, 5.5 - 101**2 / 2002))


def test_the_lowest_curvature_along_the_gradient_may_be_negative() -> None:
    found = steps(at(Saddle(), 1e-3, 1.0), 2.0)
    assert found.bend < 0
    assert found.best is None
    assert found.marks.keys() == {"2 / lambda_max"}


def test_nothing_gives_a_scale() -> None:
    found = steps(Form(torch.tensor([0.0, -1.0]), torch.tensor([0.0, 3.0])), 0.0)
    assert found.marks == {}
    assert found.limit is None
    assert found.sizes[0] < 1 < found.sizes[-1]


def test_where_the_model_fails() -> None:
    # At Rosenbrock's start the third derivatives take over once eps |g| is a good part of the valley's width.
    function = at(Rosenbrock())
    found = steps(function, 1506.0)
    assert found.reliable_to is not None
    assert float(found.sizes[0]) < found.reliable_to < 10 * found.marks["eps*"][0]
    index = found.sizes.tolist().index(found.reliable_to)
    assert abs(float(found.measured[index + 1]) - found.predicted(float(found.sizes[index + 1]))) > 0.05
    near = float(found.sizes[0])
    assert float(found.measured[0]) - found.value == pytest.approx(found.predicted(near) - found.value, rel=1e-3)


def test_no_gradient_no_step() -> None:
    function = at(Quadratic(), 0.0, 0.0)
    assert gradient_steps(function, 0.0, torch.zeros(2).double(), 10.0, [0.1]) is None


def test_far_marks_give_no_endless_row() -> None:
    found = steps(at(Quadratic(condition=1e10)), 1e10, 1e30)
    assert len(found.sizes) == 12 * 12 + 1
    assert found.sizes[-1] == pytest.approx(1e31)
