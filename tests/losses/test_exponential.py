"""exp that goes straight on where it is huge."""

import mpmath
import pytest
import torch

from dlx.losses.exponential import LIMIT, exponential, exponential_slopes

POINTS = [-1000.0, -50.0, -1.0, 0.0, 3.7, LIMIT - 1e-9, LIMIT, LIMIT + 1e-9, 25.0, 1000.0]


def exact(z: float) -> mpmath.mpf:
    """The function as its definition has it."""
    limit = mpmath.mpf(LIMIT)
    return mpmath.exp(z) if z <= limit else mpmath.exp(limit) * (1 + z - limit)


@pytest.mark.parametrize("z", POINTS)
def test_value_log_and_slopes(z: float) -> None:
    point = torch.tensor([z], dtype=torch.float64)
    value, log = exponential(point)
    slope, log_slope = exponential_slopes(point)
    with mpmath.workdps(500):
        assert value.item() == pytest.approx(float(exact(z)), rel=1e-14)
        assert log.item() == pytest.approx(float(mpmath.log(exact(z))), rel=1e-14, abs=1e-15)
        assert slope.item() == pytest.approx(float(mpmath.diff(exact, z, h=mpmath.mpf(10) ** -40)), rel=1e-13)
        of_log = mpmath.diff(lambda x: mpmath.log(exact(x)), z, h=mpmath.mpf(10) ** -40)
        assert log_slope.item() == pytest.approx(float(of_log), rel=1e-13)


def test_slopes_are_autograds() -> None:
    points = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    for result, slope in zip(exponential(points), exponential_slopes(points), strict=True):
        (found,) = torch.autograd.grad(result.sum(), points, retain_graph=True)
        torch.testing.assert_close(found, slope, rtol=1e-14, atol=0)


def test_finite_in_float32() -> None:
    points = torch.tensor([-3e38, -1e4, 89.0, 1e4, 1e28])
    assert all(part.isfinite().all() for part in (*exponential(points), *exponential_slopes(points)))
