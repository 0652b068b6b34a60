"""Races on surfaces: against theory and single paths; each path is what it is alone."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch

from dlx.core.definition import Optimizer
from dlx.core.records import AnalysisProgress, Cell
from dlx.core.registry import registered
from dlx.core.surface import Surface
from dlx.curvature.paths import Floats, descend, walk
from dlx.curvature.race import Crowd, cells_of, draw_starts, quantile, race, rates_between, sweep
from dlx.optimizers.adagrad import AdaGrad
from dlx.optimizers.adam import Adam
from dlx.optimizers.evolution import Evolution
from dlx.optimizers.momentum import Momentum
from dlx.optimizers.newton import Newton
from dlx.optimizers.rmsprop import RMSProp
from dlx.optimizers.sgd import SGD
from dlx.surfaces.bounded_saddle import BoundedSaddle
from dlx.surfaces.himmelblau import Himmelblau
from dlx.surfaces.quadratic import Quadratic
from dlx.surfaces.rastrigin import Rastrigin
from dlx.surfaces.rosenbrock import Rosenbrock
from dlx.surfaces.saddle import Saddle


def outcome(work: Generator[AnalysisProgress, None, Any]) -> Any:
    """What a work gives in the end; its shares rise on the way."""
    shares = []
    while True:
        try:
            shares.append(next(work).share)
        except StopIteration as stop:
            assert shares == sorted(shares)
            return stop.value


def raced(surface: Surface, rule: Optimizer, starts: list[tuple[float, ...]], num_steps: int) -> Crowd:
    crowd: Crowd = outcome(race(surface, rule, torch.tensor(starts, dtype=torch.float64), num_steps, 0))
    return crowd


def all_points(
    surface: Surface, rules: list[Optimizer], starts: torch.Tensor, num_steps: int, cells: list[Cell]
) -> torch.Tensor:
    return torch.stack([theta.clone() for theta in descend(surface, rules, starts.clone(), num_steps, cells)])


SLOW = ("torch", "cma_es")
RULES = [name for name, rule in registered(Optimizer).items() if not rule.needs_outputs]
SURFACES = [Rosenbrock(), Rastrigin(), Saddle(), Quadratic(num_variables=5, angle=30.0)]


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in RULES]
)
def test_a_path_is_the_same_alone_and_in_company(name: str, surface: Surface) -> None:
    rule = registered(Optimizer)[name](**({"class": "NAdam"} if name == "torch" else {}))
    starts, cells = draw_starts(surface, surface.start, 20, 1), cells_of(0, 21)
    whole = all_points(surface, [rule] * 21, starts, 6, cells)
    for rows in ([0], [20], [7, 3, 11], list(range(17))):
        part = all_points(surface, [rule] * len(rows), starts[rows], 6, [cells[row] for row in rows])
        same = (part.view(torch.int64) == whole[:, rows].view(torch.int64)) | (part.isnan() & whole[:, rows].isnan())
        assert same.all(), rows


def test_many_rates_are_as_each_alone() -> None:
    starts, rates = draw_starts(Rosenbrock(), (-1.2, 1.0), 4, 0), [1e-4, 1e-3, 3e-3, 1.0]
    swept = outcome(sweep(Rosenbrock(), Momentum(momentum=0.5), rates, starts, 30, 0))
    assert swept.shape == (4, 5)
    for row, lr in zip(swept, rates, strict=True):
        paths = [walk(Rosenbrock(), Momentum(lr=lr, momentum=0.5), start.tolist(), 30, Cell(0)) for start in starts]
        assert row.tolist() == [math.inf if path.is_diverged else path.values[-1] for path in paths]


def test_a_race_is_its_paths() -> None:
    surface, starts = Himmelblau(), draw_starts(Himmelblau(), (0.0, 0.0), 4, 0)
    for rule in (SGD(lr=0.01), Evolution(candidates=5), SGD(lr=0.05)):
        crowd = outcome(race(surface, rule, starts, 20, 3))
        for number, start in enumerate(starts):
            path = walk(surface, rule, start.tolist(), 20, Cell(3, repeat=number))
            assert crowd.ends.points[number].tolist() == path.points[-1].tolist()
            assert (crowd.ends.fates[number] == "diverged") == path.is_diverged
            assert np.isposinf(crowd.values[len(path.values) :, number]).all()
            minimum = path.nearest(surface.minima)[0]
            step = path.arrival(surface.minima.points[minimum])
            assert crowd.ends.arrivals[number] == (math.inf if step is None else step)
            assert (crowd.ends.fates[number] == f"minimum {minimum + 1}") == (step is not None)
        assert crowd.path.points.tolist() == walk(surface, rule, (0.0, 0.0), 20, Cell(3)).points.tolist()


def distances(points: Floats) -> Floats:
    return np.hypot(*points.T)


def test_descent_at_its_best_rate() -> None:
    path = walk(Quadratic(condition=10), SGD(lr=2 / 11), (1.0, 1.0), 60, Cell(0))
    np.testing.assert_allclose(distances(path.points[1:]) / distances(path.points[:-1]), 0.818181818182, rtol=1e-9)


def test_descent_at_and_above_its_limit() -> None:
    at = walk(Quadratic(condition=10), SGD(lr=0.2), (1.0, 1.0), 40, Cell(0)).points[:, 1]
    np.testing.assert_allclose(at, (-1.0) ** np.arange(41), rtol=1e-12)
    above = walk(Quadratic(condition=10), SGD(lr=0.21), (1.0, 1.0), 40, Cell(0)).points[:, 1]
    np.testing.assert_allclose(above, (-1.1) ** np.arange(41), rtol=1e-12)


def test_heavy_ball_at_its_best_settings() -> None:
    """Both roots are one there, so the distance is (a + b k) factor**k."""
    rule = Momentum(lr=0.23088615702, momentum=0.269873863612)
    found = np.log(distances(walk(Quadratic(condition=10), rule, (1.0, 1.0), 600, Cell(0)).points))
    factor = math.exp((found[600] - found[200] - math.log(600 / 200)) / 400)
    assert factor == pytest.approx(0.519493853296, rel=1e-4)


def test_a_sweep_shows_the_limits() -> None:
    """Below its limit every path goes down, above it up; momentum's limit is (1 + momentum) times as high."""
    surface, starts = Quadratic(condition=10), draw_starts(Quadratic(condition=10), (1.0, 1.0), 8, 0)
    first = surface.value(starts).numpy()
    for rule, limit in ((SGD(), 0.2), (Momentum(momentum=0.5), 0.3)):
        below, above = outcome(sweep(surface, rule, [0.98 * limit, 1.02 * limit], starts, 400, 0))
        assert (below < first).all()
        assert (above > first).all()


def test_no_momentum_is_descent_to_the_bit() -> None:
    starts = draw_starts(Rosenbrock(), (-1.2, 1.0), 10, 0)
    rates = [1.3e-4, 1e-3, 0.0017]
    plain, heavy = (
        outcome(sweep(Rosenbrock(), rule, rates, starts, 50, 0)) for rule in (SGD(), Momentum(momentum=0.0))
    )
    assert plain.tolist() == heavy.tolist()


@pytest.mark.parametrize(
    ("rule", "tolerance"),
    [(AdaGrad(lr=0.05e8, delta=1e8), 6e-7), (RMSProp(lr=0.05e4, delta=1e8), 6e-7),
     (Adam(lr=0.05e8, delta=1e8, rho1=0.0), 4e-7)],
)  # fmt: skip
def test_adaptive_rules_with_a_large_delta_are_descent(rule: Optimizer, tolerance: float) -> None:
    adaptive, plain = (walk(Quadratic(condition=10), each, (1.0, 1.0), 5, Cell(0)) for each in (rule, SGD(lr=0.05)))
    assert np.abs(adaptive.points / plain.points - 1).max() < tolerance
    assert (adaptive.points != plain.points).any()


def test_pure_newton_on_rosenbrock() -> None:
    path = walk(Rosenbrock(), Newton(damping=0.0, safeguard=False), (-1.2, 1.0), 7, Cell(0))
    known = [24.2, 4.73188432527, 1411.84517931, 0.0559655168339, 0.313189076116, 1.85273971329e-11]
    np.testing.assert_allclose(path.values[:6], known, rtol=1e-6)
    assert (path.values[6:] < 1e-19).all()


def test_where_paths_end_on_himmelblau() -> None:
    minima = Himmelblau().minima.points
    near = [(x + 0.1, y - 0.1) for x, y in minima]
    crowd = raced(Himmelblau(), SGD(lr=0.01), [*near, (0.0, 0.0), (4.9, 4.9)], 60)
    assert crowd.ends.fates[:4] == ("minimum 1", "minimum 2", "minimum 3", "minimum 4")
    assert np.abs(crowd.ends.points[:4] - np.array(minima)).max() < 1e-4
    short = raced(Himmelblau(), SGD(lr=1e-4), [(0.0, 0.0)], 5)
    assert short.ends.fates == ("under way",)
    assert np.isposinf(short.ends.arrivals).all()
    assert raced(Himmelblau(), SGD(lr=1.0), [(4.9, 4.9)], 60).ends.fates == ("diverged",)


def test_ends_at_other_stationary_points() -> None:
    rule = Newton(damping=0.0, safeguard=False)
    crowd = raced(Himmelblau(), rule, [(-0.3, -1.0), (3.3, 0.1), (3.1, 2.1)], 20)
    assert crowd.ends.fates == ("maximum", "saddle", "minimum 1")
    np.testing.assert_allclose(crowd.ends.points[0], (-0.270844590667, -0.92303855648), atol=1e-9)
    np.testing.assert_allclose(crowd.ends.points[1], (3.38515418361, 0.0738518798377), atol=1e-9)
    assert raced(Rastrigin(), SGD(lr=0.002), [(3.3, 2.2), (0.1, 0.1)], 80).ends.fates == ("other minimum", "minimum 1")
    assert raced(BoundedSaddle(), SGD(lr=0.2), [(0.5, 0.0), (0.5, 0.1)], 80).ends.fates == ("saddle", "minimum 1")


def test_ends_where_nothing_is_lowest() -> None:
    crowd = raced(Saddle(), SGD(lr=0.1), [(1.0, 1e-3), (1.0, 0.0), (0.5, 1e-9)], 60)
    assert crowd.ends.fates == ("outside", "saddle", "saddle")  # a push of 1e-9 has grown to 6e-5 by then
    gone = raced(Saddle(), SGD(lr=10.0), [(0.0, 1.0)], 600)
    assert gone.ends.fates == ("outside",)
    assert np.isneginf(gone.ends.values).all()


def test_rates_hold_the_limits() -> None:
    rates = rates_between([0.002, 0.05], 31)
    assert len(rates) == 31
    assert rates[0] < 0.002 / 10
    assert rates[-1] >= 10
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(rates[-1] / rates[0]) / 30)
    assert rates_between([5e4], 3)[-1] > 5e4


def test_quantiles_with_infinite_values() -> None:
    values = np.array([5.0, math.inf, 1.0, 3.0, math.inf])
    assert quantile(values, 0.5) == 5
    assert quantile(values[:4], 0.5) == 4
    assert quantile(np.array([1.0, math.inf]), 0.5) == math.inf
    assert quantile(np.array([math.inf] * 4), 0.5) == math.inf
    assert quantile(np.array([7.0]), 0.25) == 7
    drawn = np.random.default_rng(0).normal(size=44)
    for share in (0.25, 0.5, 0.75):
        assert quantile(drawn, share) == pytest.approx(np.quantile(drawn, share, method="averaged_inverted_cdf"))


def test_random_starts() -> None:
    starts = draw_starts(Rosenbrock(), (5.0, 5.0), 30, 2)
    assert starts[0].tolist() == [5.0, 5.0]
    low, high = torch.tensor(Rosenbrock().box).T
    assert ((starts[1:] >= low) & (starts[1:] <= high)).all()
    assert torch.equal(draw_starts(Rosenbrock(), (5.0, 5.0), 10, 2), starts[:11])
    assert not torch.equal(draw_starts(Rosenbrock(), (5.0, 5.0), 10, 3), starts[:11])
