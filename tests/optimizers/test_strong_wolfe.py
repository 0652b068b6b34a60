"""The line search of all rows against torch's own, one function after the other."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim.lbfgs import _strong_wolfe

from dlx.optimizers.strong_wolfe import MAX_STEPS, Point, search

ROWS = 400


class Waves:
    """A function of t for each row: t**2 / 20 - a t + sum_k b_k (sin(c_k t + d_k) - sin(d_k)), going down at 0."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.b, self.c, self.d = (torch.from_numpy(rng.normal(scale=s, size=(ROWS, 4))) for s in (0.5, 2.0, 3.0))
        rise = (self.b * self.c * self.d.cos()).sum(1)
        self.a = rise.clamp(min=0) + torch.from_numpy(rng.uniform(0.01, 1.0, ROWS))

    def at(self, t: Tensor, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Values and derivatives, [M], at [M]."""
        a, b, c, d = (each[rows] for each in (self.a, self.b, self.c, self.d))
        phase = c * t.unsqueeze(1) + d
        return t * t / 20 - a * t + (b * (phase.sin() - d.sin())).sum(1), t / 10 - a + (b * c * phase.cos()).sum(1)


def ours(waves: Waves, t: Tensor, moves: Tensor) -> tuple[Point, Tensor]:
    def evaluate(at: Tensor) -> Point:
        value, slope = waves.at(at)
        return Point(at, value, slope, slope.unsqueeze(1))

    return search(evaluate, evaluate(torch.zeros_like(t)), t, torch.ones_like(t), moves)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("first", [0.03, 1.0, 30.0])
def test_finds_what_torch_finds_in_as_many_evaluations(first: float, seed: int) -> None:
    waves, t = Waves(seed), torch.full((ROWS,), first, dtype=torch.float64)
    found, count = ours(waves, t, torch.ones(ROWS, dtype=torch.bool))
    compared = 0
    for row in range(ROWS):

        def at(x: Tensor, t: Tensor, d: Tensor) -> tuple[float, Tensor]:
            value, slope = waves.at(torch.as_tensor(t, dtype=torch.float64).view(1), slice(row, row + 1))  # noqa: B023
            return float(value), slope

        one = torch.ones(1, dtype=torch.float64)
        value, slope = at(one, torch.zeros(()), one)
        expected = _strong_wolfe(at, one, first, one, value, slope, slope.dot(one), max_ls=MAX_STEPS)
        if expected[3] > 10:
            continue  # a long search ends where rounding errors led it
        compared += 1
        assert int(count[row]) == expected[3]
        np.testing.assert_allclose(float(found.t[row]), float(expected[2]), rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(float(found.value[row]), expected[0], rtol=1e-7, atol=1e-9)
    assert compared > 0.8 * ROWS


def test_a_row_is_alone_and_one_that_rests_stays() -> None:
    waves, t = Waves(7), torch.linspace(0.01, 20, ROWS, dtype=torch.float64)
    everyone = torch.ones(ROWS, dtype=torch.bool)
    found, count = ours(waves, t, everyone)
    some = everyone.clone()
    some[::3] = False
    again, fewer = ours(waves, t, some)
    assert all(torch.equal(a[some], b[some]) for a, b in zip(found, again, strict=True))
    assert torch.equal(count[some], fewer[some])
    assert not again.t[~some].any()
    assert not fewer[~some].any()
