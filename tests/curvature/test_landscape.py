"""Lines and planes through the space of parameters, against geometry and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dlx.core.errors import UsageError
from dlx.curvature.landscape import Barrier, around, doubling, grid, random_directions, through
from dlx.engine.layout import Layout

LAYOUT = Layout({"0.weight": (3, 4), "0.bias": (3,), "2.kernel": (2, 3, 5), "2.weight": (2, 1)}, {})


def weights(seed: int = 0) -> Tensor:
    return torch.randn(LAYOUT.num_parameters, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def filters(row: Tensor, name: str) -> Tensor:
    tensor = LAYOUT.unflatten(row[None])[name][0]
    return tensor.reshape(len(tensor), -1)


def test_every_filter_is_as_long_as_that_of_the_weights() -> None:
    theta = weights()
    directions = random_directions(theta, LAYOUT, 2, seed=3)
    for name in ("0.weight", "2.kernel", "2.weight"):
        for direction in directions:
            torch.testing.assert_close(filters(direction, name).norm(dim=1), filters(theta, name).norm(dim=1))
        if name != "2.weight":  # of one number each, which has no other direction
            one, other = (filters(direction, name) for direction in directions)
            torch.testing.assert_close(
                (one * other).sum(1), torch.zeros(len(one), dtype=torch.float64), atol=1e-12, rtol=0
            )
    for direction in directions:
        assert not LAYOUT.unflatten(direction[None])["0.bias"].any()


def test_directions_are_seeded_and_do_not_depend_on_scale() -> None:
    theta = weights()
    drawn = random_directions(theta, LAYOUT, 2, seed=3)
    assert torch.equal(drawn, random_directions(theta, LAYOUT, 2, seed=3))
    assert not torch.equal(drawn, random_directions(theta, LAYOUT, 2, seed=4))
    torch.testing.assert_close(random_directions(10 * theta, LAYOUT, 2, seed=3), 10 * drawn)


def test_a_filter_of_zeros_does_not_move() -> None:
    theta = weights()
    theta[:4] = 0
    direction = random_directions(theta, LAYOUT, 1, seed=0)[0]
    assert not direction[:4].any()
    assert direction[4:12].all()


def test_a_plane_around_weights() -> None:
    frame = around(weights(), LAYOUT, 5, 0.5, 0)
    np.testing.assert_allclose(frame.axes, [[-0.5, -0.25, 0, 0.25, 0.5]] * 2)
    assert frame.marks == ((0, 0),)
    assert frame.pairs == []
    assert len(frame.coordinates()) == 26


@pytest.mark.parametrize(
    ("theta", "layout", "match"),
    [
        (torch.zeros(26, dtype=torch.float64), Layout({"w": (13, 2)}, {}), "all weights are 0"),
        (torch.ones(1, dtype=torch.float64), Layout({"w": (1, 1)}, {}), "too few weights"),
        (torch.ones(2, dtype=torch.float64), Layout({"b": (2,)}, {}), "no length"),
    ],
)
def test_no_plane(theta: Tensor, layout: Layout, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        around(theta, layout, 5, 1.0, 0)


def test_a_plane_through_three_points_keeps_distances() -> None:
    points = [weights(seed) for seed in range(3)]
    frame = through(points, 7, 0.25)
    torch.testing.assert_close(frame.directions @ frame.directions.T, torch.eye(2, dtype=torch.float64))
    for point, mark in zip(points, frame.marks, strict=True):
        torch.testing.assert_close(frame.origin + torch.tensor(mark, dtype=torch.float64) @ frame.directions, point)
    room = 0.25 * max(float((a - b).norm()) for a in points for b in points)
    for number, axis in enumerate(frame.axes):
        places = [mark[number] for mark in frame.marks]
        assert axis[[0, -1]] == pytest.approx([min(places) - room, max(places) + room])
    assert frame.pairs == [(0, 1), (0, 2), (1, 2)]


def test_a_line_through_two_points() -> None:
    one, other = weights(0), weights(1)
    frame = through([one, other], 3, 1.0)
    length = float((other - one).norm())
    assert frame.axes[0] == pytest.approx([-length, length / 2, 2 * length])
    on_grid, marks, edges = frame.split(np.arange(8.0))
    assert on_grid.tolist() == [0, 1, 2]
    assert marks.tolist() == [3, 4]
    assert [edge.tolist() for edge in edges] == [[5, 6, 7]]
    np.testing.assert_allclose(frame.coordinates()[5:, 0], [0, length / 2, length], atol=1e-12)


def test_points_that_span_no_plane() -> None:
    one, other = weights(0), weights(1)
    with pytest.raises(UsageError, match="second weights are the same"):
        through([one, one.clone(), other], 5, 0.25)
    with pytest.raises(UsageError, match="third weights lie on one line"):
        through([one, other, 0.3 * one + 0.7 * other], 5, 0.25)


def test_a_grid_runs_along_its_first_axis() -> None:
    found = grid([np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0])])
    assert found.tolist() == [[1, 10], [2, 10], [3, 10], [1, 20], [2, 20], [3, 20]]


def test_where_a_parabola_doubles() -> None:
    axis = np.linspace(-2, 2, 4001)
    below, above = doubling(axis, 1 + 0.5 * axis**2 + 0.25 * axis)  # = 2 at axis = (-0.5 +- sqrt(0.25 + 8)) / 2
    root = math.sqrt(8.25)
    assert (below, above) == pytest.approx(((0.5 + root) / 2, (root - 0.5) / 2), abs=1e-6)


def test_what_does_not_double() -> None:
    axis = np.linspace(-1, 1, 5)
    assert doubling(axis, np.ones(5)) == (None, None)
    assert doubling(axis, -1 - axis**2) == (None, None), "not positive"
    assert doubling(axis, np.array([np.inf, 1, 1, np.nan, 5])) == (1.0, 0.5), "not finite is high"
    assert doubling(axis, np.array([1, 1, np.nan, 1, 5])) == (None, None)


def test_barriers() -> None:
    share = np.linspace(0, 1, 101)
    hill = Barrier.of(1 + share + 4 * 3 * share * (1 - share))  # 3 above the even rise, in the middle
    assert (hill.height, hill.at) == pytest.approx((3, 0.5))
    assert hill.highest == pytest.approx(4.5, abs=0.1)
    assert Barrier.of(1 + share - share * (1 - share)).height == 0, "a valley"
    assert Barrier.of(1 + share + 1e-6 * np.sin(20 * share)).height == 0, "rounding"
    assert Barrier.of(np.array([1.0, np.inf, 1.0])) == Barrier(None, None, None)
