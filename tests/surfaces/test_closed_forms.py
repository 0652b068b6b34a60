"""Numbers that are known of the surfaces: stationary points and eigenvalues, computed elsewhere."""

from __future__ import annotations

import math

import pytest
import torch

from dlx.core.surface import Surface
from dlx.engine.analytic import AnalyticSurface
from dlx.surfaces.beale import Beale
from dlx.surfaces.bounded_saddle import BoundedSaddle
from dlx.surfaces.himmelblau import Himmelblau
from dlx.surfaces.quadratic import Quadratic
from dlx.surfaces.rastrigin import Rastrigin
from dlx.surfaces.rosenbrock import Rosenbrock
from dlx.surfaces.saddle import Saddle

POINTS = [
    (Rosenbrock(), (1, 1), 0.0, (0.399360767488, 1001.60063923)),
    (Beale(), (3, 0.5), 0.0, (0.301463646522, 48.9797863535)),
    (Himmelblau(), (3, 2), 0.0, (25.7157287525, 82.2842712475)),
    (Himmelblau(), (-0.270844590667, -0.92303855648), 181.616521523, None),
    (Himmelblau(), (3.38515418361, 0.0738518798377), 13.3119, None),
    (Himmelblau(), (0.0866775045554, 2.88425470117), 67.7192, None),
    (Himmelblau(), (-3.07302575076, -0.081353044288), 104.0152, None),
    (Himmelblau(), (-0.127961346731, -1.95371498024), 178.3372, None),
    (Saddle(), (0, 0), 0.0, (-2, 2)),
    (BoundedSaddle(), (0, 0), 0.0, (-1, 1)),
    (BoundedSaddle(), (0, 1), -0.25, (1, 2)),
    (BoundedSaddle(), (0, -1), -0.25, (1, 2)),
    (Rastrigin(), (0, 0), 0.0, (2 + 40 * math.pi**2,) * 2),
]


@pytest.mark.parametrize(("surface", "point", "value", "eigenvalues"), POINTS)
def test_stationary_points(
    surface: Surface, point: tuple[float, float], value: float, eigenvalues: tuple[float, float] | None
) -> None:
    at = AnalyticSurface(surface, torch.tensor(point, dtype=torch.float64))
    found, gradient = at.gradient(at.theta)
    assert found == pytest.approx(value, abs=1e-4)
    assert float(gradient.abs().max()) < 1e-8
    if eigenvalues is not None:
        hessian = at.hessian_times(at.theta, torch.eye(2, dtype=torch.float64))
        assert torch.linalg.eigvalsh(hessian).tolist() == pytest.approx(eigenvalues, rel=1e-11)


def test_starting_points() -> None:
    at = AnalyticSurface(Rosenbrock(), torch.tensor(Rosenbrock().start, dtype=torch.float64))
    value, gradient = at.gradient(at.theta)
    assert value == pytest.approx(24.2)
    assert gradient.tolist() == pytest.approx([-215.6, -88])
    assert float(Beale().value(torch.tensor(Beale().start))) == float(Beale().value(torch.zeros(2))) == 14.203125


@pytest.mark.parametrize("condition", [1.0, 10.0, 1e6])
@pytest.mark.parametrize("angle", [0.0, 30.0, -123.0])
@pytest.mark.parametrize("num_variables", [2, 3, 10])
def test_a_quadratic_has_the_curvatures_it_is_asked_for(condition: float, angle: float, num_variables: int) -> None:
    surface = Quadratic(condition=condition, angle=angle, num_variables=num_variables)
    at = AnalyticSurface(surface, torch.ones(num_variables, dtype=torch.float64))
    hessian = at.hessian_times(at.theta, torch.eye(num_variables, dtype=torch.float64))
    wanted = [condition ** (i / (num_variables - 1)) for i in range(num_variables)]
    assert torch.linalg.eigvalsh(hessian).tolist() == pytest.approx(wanted, rel=1e-9)
    assert at.value(at.theta) == pytest.approx(0.5 * float(at.theta @ hessian @ at.theta))
    if angle == 0:
        assert torch.equal(hessian, torch.diag(hessian.diag()))


def test_a_turned_bowl_is_long_in_the_direction_of_the_angle() -> None:
    at = AnalyticSurface(Quadratic(condition=100.0, angle=30.0), torch.zeros(2, dtype=torch.float64))
    along = torch.tensor([math.cos(math.pi / 6), math.sin(math.pi / 6)], dtype=torch.float64)
    torch.testing.assert_close(at.hessian_times(at.theta, along[None])[0], along)
