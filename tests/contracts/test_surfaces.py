"""Every registered surface: derivatives against central differences, and its minima are minima."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian as hessian_of

from dlx.core.records import Cell
from dlx.core.registry import registered
from dlx.core.surface import Surface
from dlx.engine.analytic import AnalyticSurface, SurfaceObjective

SURFACES = [cls() for cls in registered(Surface).values()]
every_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)


def points_of(surface: Surface, *shape: int) -> Tensor:
    lower, upper = torch.tensor(surface.box, dtype=torch.float64).T
    drawn = torch.rand(*shape, surface.dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return lower + drawn * (upper - lower)


@every_surface
def test_what_is_known_fits_together(surface: Surface) -> None:
    assert len(surface.start) == len(surface.box) == surface.dimension
    for at, (lower, upper) in zip(surface.start, surface.box, strict=True):
        assert lower <= at <= upper
    for point in surface.minima.points if surface.minima else ():
        for at, (lower, upper) in zip(point, surface.box, strict=True):
            assert lower <= at <= upper


@every_surface
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_of_any_batch_shape(surface: Surface, dtype: torch.dtype) -> None:
    points = points_of(surface, 3, 4).to(dtype)
    whole = surface.value(points)
    assert whole.shape == (3, 4)
    assert whole.dtype == dtype
    assert torch.equal(surface.value(points[1, 2]), whole[1, 2])
    assert surface.value(points[:0]).shape == (0, 4)
    torch.testing.assert_close(torch.func.vmap(surface.value)(points), whole, rtol=0, atol=0)


@every_surface
def test_derivatives_against_central_differences(surface: Surface) -> None:
    for point in points_of(surface, 5):
        at = AnalyticSurface(surface, point)
        eye = torch.eye(surface.dimension, dtype=torch.float64)
        step = 1e-5
        value, gradient = at.gradient(point)
        assert value == at.value(point) == float(surface.value(point))
        slopes = (at.values(point + step * eye) - at.values(point - step * eye)) / (2 * step)
        torch.testing.assert_close(gradient, slopes, rtol=1e-6, atol=1e-4)
        bends = torch.stack([(at.gradient(point + step * u)[1] - at.gradient(point - step * u)[1]) for u in eye])
        torch.testing.assert_close(at.hessian_times(point, eye), bends / (2 * step), rtol=1e-6, atol=1e-4)


@every_surface
def test_minima_are_minima(surface: Surface) -> None:
    if surface.minima is None:
        assert surface.name == "saddle"
        return
    for point in surface.minima.points:
        at = AnalyticSurface(surface, torch.tensor(point, dtype=torch.float64))
        value, gradient = at.gradient(at.theta)
        assert value == pytest.approx(surface.minima.value, abs=1e-26)
        assert float(gradient.abs().max()) < 1e-13
        hessian = at.hessian_times(at.theta, torch.eye(surface.dimension, dtype=torch.float64))
        assert float(torch.linalg.eigvalsh(hessian)[0]) > 0
        assert bool((at.values(points_of(surface, 200)) >= surface.minima.value).all())


@every_surface
def test_objective_of_rows(surface: Surface) -> None:
    points = points_of(surface, 3)
    objective = SurfaceObjective(surface, [Cell(seed) for seed in range(3)], points.device)
    value, gradient, found = objective.hessian(points)
    assert torch.equal(value, objective.value(points))
    assert torch.equal(value, objective.value_and_gradient(points)[0])
    assert torch.equal(gradient, objective.value_and_gradient(points)[1])
    for row, point in enumerate(points):
        torch.testing.assert_close(gradient[row], torch.func.grad(surface.value)(point))
        torch.testing.assert_close(found[row], hessian_of(surface.value, point))
    assert len(set(objective.keys.tolist())) == 3
    first = objective.keys
    objective.begin(1)
    assert not torch.equal(first, objective.keys)
    for ask in (objective.gauss_newton, objective.residuals):
        with pytest.raises(TypeError, match=surface.name):
            ask(points)
