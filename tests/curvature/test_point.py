"""What kind of point it is, at points whose kind is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from curvature.functions import Form, at, drain

from dlx.core.settings import Curvature
from dlx.core.surface import Surface
from dlx.curvature.point import classify
from dlx.curvature.spectrum import dense_spectrum, probe, sparse_spectrum
from dlx.surfaces.bounded_saddle import BoundedSaddle
from dlx.surfaces.himmelblau import Himmelblau
from dlx.surfaces.quadratic import Quadratic
from dlx.surfaces.rastrigin import Rastrigin
from dlx.surfaces.rosenbrock import Rosenbrock
from dlx.surfaces.saddle import Saddle


def kind_at(function: Any) -> Any:
    _, gradient = function.gradient(function.theta)
    return classify(function.theta, gradient, drain(dense_spectrum(function)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("surface", "point", "kind", "shape"),
    [
        (Rosenbrock(), (1, 1), "minimum", "minimum"),
        (Rosenbrock(), (1.01, 1.0201), "slope", "minimum"),  # on the floor of the valley, one hundredth away
        (Himmelblau(), (3, 2), "minimum", "minimum"),
        (Himmelblau(), (-0.2708445906673476, -0.9230385564799815), "maximum", "maximum"),
        (Himmelblau(), (3.385154183607021, 0.07385187983774928), "saddle", "saddle"),
        (Himmelblau(), (0.08667750455539636, 2.884254701174776), "saddle", "saddle"),
        (Himmelblau(), (-3.0730257507643897, -0.08135304428796751), "saddle", "saddle"),
        (Himmelblau(), (-0.12796134673068008, -1.9537149802445763), "saddle", "saddle"),
        (Himmelblau(), (0, 0), "slope", "maximum"),
        (Saddle(), (0, 0), "saddle", "saddle"),
        (Saddle(), (1, 1e-3), "slope", "saddle"),
        (BoundedSaddle(), (0, 0), "saddle", "saddle"),
        (BoundedSaddle(), (0, -1), "minimum", "minimum"),
        (Rastrigin(), (0, 0), "minimum", "minimum"),
        (Quadratic(condition=1e10, angle=30.0), (0, 0), "minimum", "minimum"),
        (Quadratic(condition=1e10), (1e-9, 0), "minimum", "minimum"),
    ],
)
def test_known_points(surface: Surface, point: tuple[float, float], kind: str, shape: str) -> None:
    found = kind_at(at(surface, *map(float, point)))
    assert (found.kind, found.shape) == (kind, shape)


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_unit_of_f_does_not_matter(factor: float) -> None:
    diagonal = torch.tensor([1.0, 3.0]) * factor
    assert kind_at(Form(diagonal, torch.tensor([1e-8, 0.0]))).kind == "minimum"
    assert kind_at(Form(diagonal, torch.tensor([1e-3, 0.0]))).kind == "slope"


@pytest.mark.parametrize("diagonal", [(0.0, 0.0), (0.0, 1.0), (-1.0, 0.0)])
def test_flat_points(diagonal: tuple[float, float]) -> None:
    assert kind_at(Form(torch.tensor(diagonal), torch.zeros(2))).kind == "flat"


def test_a_straight_slope_is_a_slope() -> None:
    found = classify(torch.zeros(2), torch.ones(2), drain(dense_spectrum(Form(torch.zeros(2), torch.zeros(2)))))  # type: ignore[arg-type]
    assert (found.kind, found.distance) == ("slope", float("inf"))


@pytest.mark.parametrize(("lowest", "kind"), [(-0.5, "saddle"), (0.5, "minimum"), (0.0, "flat")])
def test_signs_from_the_ends_alone(lowest: float, kind: str) -> None:
    form = Form(torch.cat([torch.tensor([lowest]), torch.ones(2000), torch.full((1,), 3.0)]), torch.zeros(2002))
    gradient = torch.zeros(2002).double()
    settings = Curvature(directions=2)
    probes: Any = drain(probe(form, gradient, settings))
    spectrum: Any = drain(sparse_spectrum(form, gradient, probes, settings))
    assert classify(form.theta, gradient, spectrum).kind == kind
