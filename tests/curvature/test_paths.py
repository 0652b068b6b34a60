"""Paths down surfaces, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from dlx.core.definition import Optimizer
from dlx.core.records import Cell
from dlx.core.registry import registered
from dlx.curvature.paths import Path, walk
from dlx.optimizers.adam import Adam
from dlx.optimizers.newton import Newton
from dlx.optimizers.sgd import SGD
from dlx.surfaces.himmelblau import Himmelblau
from dlx.surfaces.rosenbrock import Rosenbrock
from dlx.surfaces.saddle import Saddle


def test_descent_on_rosenbrock_step_by_step() -> None:
    path = walk(Rosenbrock(), SGD(lr=1e-3), (-1.2, 1.0), 20, Cell(0))
    x = np.array([-1.2, 1.0])
    for point, value in zip(path.points, path.values, strict=True):
        np.testing.assert_allclose(point, x, rtol=1e-12)
        assert value == pytest.approx((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, rel=1e-12)
        slope = np.array([-2 * (1 - x[0]) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)])
        x = x - 1e-3 * slope
    assert len(path.points) == 21
    assert not path.is_diverged


def test_adams_first_step_is_its_rate() -> None:
    path = walk(Himmelblau(), Adam(lr=0.1), (0.0, 0.0), 1, Cell(0))
    np.testing.assert_allclose(np.abs(path.points[1]), 0.1, rtol=1e-6)


def test_newton_arrives_at_a_minimum() -> None:
    minima = Himmelblau().minima
    path = walk(Himmelblau(), Newton(), (3.5, 2.5), 60, Cell(0))
    number, distance = path.nearest(minima)
    assert minima.points[number] == (3.0, 2.0)
    assert distance < 1e-9
    arrival = path.arrival(minima.points[number])
    assert arrival is not None
    first = np.linalg.norm(path.points[0] - (3, 2))
    assert np.linalg.norm(path.points[arrival] - (3, 2)) <= 0.01 * first
    assert np.linalg.norm(path.points[arrival - 1] - (3, 2)) > 0.01 * first


def test_a_path_that_diverges_ends_at_its_last_finite_point() -> None:
    path = walk(Rosenbrock(), SGD(lr=1.0), (-1.2, 1.0), 200, Cell(0))
    assert path.is_diverged
    assert np.isfinite(path.points).all()
    assert len(path.points) < 20
    assert path.leaves(Rosenbrock().box) == 1
    assert path.arrival((1.0, 1.0)) is None


def test_a_path_that_starts_at_the_minimum_arrives_nowhere() -> None:
    path = walk(Rosenbrock(), SGD(lr=1e-3), (1.0, 1.0), 5, Cell(0))
    assert path.arrival((1.0, 1.0)) is None


def test_descent_leaves_a_saddle_for_ever() -> None:
    path = walk(Saddle(), SGD(lr=0.1), Saddle().start, 100, Cell(0))
    assert path.leaves(Saddle().box) is not None


def test_a_path_that_passes_by_has_not_arrived() -> None:
    points = np.array([[0.0, 0], [1, 0], [2, 0]])
    path = Path(points, np.zeros(3), False)
    assert path.arrival((1.0, 0.0)) is None
    assert path.arrival((2.0, 0.0)) == 2
    assert path.leaves([(0, 1.5), (-1, 1)]) == 2
    assert path.leaves([(0, 2), (-1, 1)]) is None


RULES = [name for name, rule in registered(Optimizer).items() if not rule.needs_outputs]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in ("torch", "cma_es") else name for name in RULES]
)
def test_every_rule_walks(name: str) -> None:
    rule = registered(Optimizer)[name]
    optimizer = rule(**({"class": "NAdam"} if name == "torch" else {}))
    path = walk(Himmelblau(), optimizer, (0.5, 0.5), 30, Cell(0))
    assert len(path.points) > 1
    assert path.values[-1] < path.values[0]
