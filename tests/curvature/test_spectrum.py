"""Eigenvalues, trace and density against closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from curvature.functions import Form, at, drain
from torch import Tensor

from dlx.core.settings import Curvature
from dlx.curvature.lanczos import Krylov, random_directions
from dlx.curvature.spectrum import (
    DENSITY_PROBES,
    DENSITY_STEPS,
    dense_spectrum,
    probe,
    sparse_spectrum,
    start_vector,
    whole_hessian,
)
from dlx.engine.error_surface import PointFunction
from dlx.surfaces.quadratic import Quadratic
from dlx.surfaces.rosenbrock import Rosenbrock
from dlx.surfaces.saddle import Saddle

DENSE = pytest.mark.parametrize("condition", [1.0, 30.0, 1e8])


def sparse(function: PointFunction, **settings: Any) -> Any:
    chosen = Curvature(**settings)
    _, gradient = function.gradient(function.theta)
    probes = drain(probe(function, gradient, chosen))
    return drain(sparse_spectrum(function, gradient, probes, chosen))  # type: ignore[arg-type]


def test_the_valley_of_rosenbrock() -> None:
    spectrum: Any = drain(dense_spectrum(at(Rosenbrock(), 1.0, 1.0)))
    assert (spectrum.lowest.value, spectrum.highest.value) == pytest.approx((0.399360767488, 1001.60063923), rel=1e-11)
    assert spectrum.trace == pytest.approx(1002)
    assert spectrum.trace_error is None
    # The floor of the valley runs along (1, 2).
    assert abs(float(spectrum.lowest.vector @ torch.tensor([1.0, 2.0]).double())) == pytest.approx(5**0.5, rel=1e-6)


@DENSE
@pytest.mark.parametrize("angle", [0.0, 77.0])
def test_bowls_of_any_condition(condition: float, angle: float) -> None:
    surface = Quadratic(condition=condition, angle=angle, num_variables=100)
    spectrum: Any = drain(dense_spectrum(at(surface)))
    wanted = [condition ** (i / 99) for i in range(100)]
    assert spectrum.values.tolist() == pytest.approx(wanted, rel=1e-7)
    assert spectrum.count(1e-9) == {"negative": 0, "zero": 0, "positive": 100}
    assert spectrum.lowest.bound < 1e-5


def test_a_saddle_has_both_signs() -> None:
    spectrum: Any = drain(dense_spectrum(at(Saddle())))
    assert spectrum.values.tolist() == pytest.approx([-2, 2])
    assert spectrum.count(1e-12) == {"negative": 1, "zero": 0, "positive": 1}


def test_the_whole_hessian_is_torchs() -> None:
    point = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    wanted = torch.autograd.functional.hessian(Rosenbrock().value, point)
    torch.testing.assert_close(drain(whole_hessian(at(Rosenbrock(), -1.2, 1.0))), wanted)


def test_extremes_of_a_large_bowl() -> None:
    surface = Quadratic(condition=1000.0, angle=20.0, num_variables=5000)
    spectrum = sparse(at(surface), directions=400, tolerance=0.01, max_steps=300)
    assert spectrum.highest.value == pytest.approx(1000, rel=1e-2)
    assert spectrum.highest.bound <= 10
    assert spectrum.lowest.value == pytest.approx(1, rel=1e-1)
    exact = sum(1000 ** (i / 4999) for i in range(5000))
    assert abs(spectrum.trace - exact) < 4 * spectrum.trace_error
    assert spectrum.trace_error < 0.02 * exact


def test_the_tolerance_is_kept_and_products_are_counted() -> None:
    diagonal = torch.cat([torch.linspace(-1, 1, 997), torch.tensor([-4.0, 6.0, 9.0])])
    form = Form(diagonal, torch.ones(1000))
    spectrum = sparse(form, tolerance=1e-3, directions=10)
    assert abs(spectrum.highest.value - 9) <= spectrum.highest.bound <= 9e-3
    assert abs(spectrum.lowest.value + 4) <= spectrum.lowest.bound <= 4e-3
    assert form.num_products == spectrum.num_products + 10
    assert 3 < spectrum.products_of_highest < 40
    assert spectrum.num_products - DENSITY_PROBES * DENSITY_STEPS >= spectrum.products_of_highest


def test_too_few_products_are_admitted() -> None:
    spectrum = sparse(Form(torch.linspace(0.99, 1, 2000), torch.ones(2000)), max_steps=2, tolerance=1e-9)
    assert spectrum.products_of_highest is None


def test_no_direction_is_left_out_where_the_gradient_is_blind() -> None:
    """On the axis of a saddle the gradient never leaves the axis; a start with it alone would see no way down."""
    diagonal = torch.cat([torch.ones(2999), torch.tensor([-2.0])])
    theta = torch.cat([torch.ones(2999), torch.zeros(1)])
    assert sparse(Form(diagonal, theta)).lowest.value == pytest.approx(-2)


@pytest.mark.parametrize("seed", [0, 3, 6])
def test_an_outer_eigenvalue_that_the_start_hardly_sees_is_found(seed: int) -> None:
    """Its neighbour is 3 % further in and along the gradient: the bound is met there first, and it is no lie."""
    diagonal = torch.cat([torch.linspace(-0.3, 6, 2997), torch.tensor([-0.97, -1.0])])
    theta = torch.zeros(2999)
    theta[2990] = theta[2997] = 1
    form = Form(diagonal, theta)
    start = start_vector(form.gradient(form.theta)[1], seed)
    alone = Krylov(lambda v: diagonal.double() * v, start, 100)
    alone.extend()
    while not (alone.ritz().is_found(0, 0.01) and alone.ritz().is_found(-1, 0.01)):
        alone.extend()
    assert float(alone.ritz().values[0]) == pytest.approx(-0.97, abs=0.003)
    spectrum = sparse(form, seed=seed, directions=2)
    assert spectrum.lowest.value == pytest.approx(-1, abs=1e-3)
    assert spectrum.is_outermost
    assert not sparse(form, seed=seed, directions=2, max_steps=alone.size).is_outermost


@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-3])
def test_bounds_of_all_eigenvalues_hold_where_products_are_rounded(size: float) -> None:
    generator = torch.Generator().manual_seed(5)
    form = Form(torch.linspace(-1, 3, 60), torch.ones(60))
    form.error = size * torch.randn(60, 60, generator=generator).double()
    spectrum: Any = drain(dense_spectrum(form))
    for end, exact in ((spectrum.lowest, -1), (spectrum.highest, 3)):
        assert abs(end.value - exact) <= end.bound <= 60 * size + 1e-12


def test_the_density_counts_all_eigenvalues() -> None:
    diagonal = torch.cat([torch.zeros(1500), torch.full((900,), 2.0), torch.full((100,), 5.0)])
    spectrum = sparse(Form(diagonal, torch.ones(2500)))
    assert float(spectrum.counts.sum()) == pytest.approx(2500)
    for value, count in ((0, 1500), (2, 900), (5, 100)):
        near = (spectrum.values - value).abs() < 1e-6
        assert float(spectrum.counts[near].sum()) == pytest.approx(count, rel=0.2)


def test_slopes_and_bends_along_random_directions() -> None:
    diagonal = torch.linspace(-1, 5, 50)
    form = Form(diagonal, torch.ones(50))
    gradient = form.gradient(form.theta)[1]
    probes: Any = drain(probe(form, gradient, Curvature(directions=70)))
    drawn: Tensor = torch.cat(
        [random_directions(count, form.theta, "directions", 0, start) for start, count in ((0, 32), (32, 32), (64, 6))]
    )
    torch.testing.assert_close(probes.slopes, drawn @ gradient)
    torch.testing.assert_close(probes.bends, (drawn.square() * diagonal.double()).sum(1))
    assert float(probes.slopes.abs().max()) < float(gradient.norm())
    assert -1 < float(probes.bends.min()) < float(probes.bends.max()) < 5
