"""Lanczos's method against dense solvers of numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor

from dlx.curvature.lanczos import Krylov, random_directions


def symmetric(eigenvalues: Tensor, seed: int = 0) -> Tensor:
    """A matrix of given eigenvalues in random directions."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(len(eigenvalues), len(eigenvalues), generator=generator).double())
    return basis @ torch.diag(eigenvalues) @ basis.T


def grown(matrix: Tensor, size: int, seed: int = 0, start: Tensor | None = None) -> Krylov:
    (drawn,) = random_directions(1, matrix[0], "test", seed)
    krylov = Krylov(lambda v: matrix @ v, drawn if start is None else start, size)
    while not krylov.is_exhausted:
        krylov.extend()
    return krylov


def test_all_eigenvalues_of_a_small_matrix() -> None:
    eigenvalues = torch.tensor([-3.0, -0.5, 0.0, 1e-3, 2.0, 2.5, 40.0], dtype=torch.float64)
    krylov = grown(symmetric(eigenvalues), 100)
    ritz = krylov.ritz()
    assert krylov.size == 7
    torch.testing.assert_close(ritz.values, eigenvalues, rtol=0, atol=1e-12)
    assert float(ritz.bounds.max()) < 1e-10
    assert float(ritz.weights.sum()) == pytest.approx(1)


def test_extremes_against_scipy() -> None:
    spread = torch.cat([torch.linspace(-1, 1, 297, dtype=torch.float64), torch.tensor([-3.0, 5.0, 8.0]).double()])
    matrix = symmetric(spread, 1)
    krylov = grown(matrix, 60)
    ritz = krylov.ritz()
    ends = eigsh(matrix.numpy(), k=2, which="BE", return_eigenvectors=False, v0=np.ones(300))
    assert [float(ritz.values[0]), float(ritz.values[-1])] == pytest.approx(sorted(ends.tolist()), rel=1e-10)
    for end in (0, -1):
        vector = krylov.vector(end)
        residual = matrix @ vector - ritz.values[end] * vector
        assert float(vector.norm()) == pytest.approx(1)
        assert float(residual.norm()) < 1e-8


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_is_the_residual_and_holds(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = symmetric(torch.randn(80, generator=generator).double(), seed)
    exact = torch.linalg.eigvalsh(matrix)
    krylov = Krylov(lambda v: matrix @ v, random_directions(1, matrix[0], "test", seed)[0], 40)
    while not krylov.is_exhausted:
        krylov.extend()
        ritz = krylov.ritz()
        distances = (ritz.values[:, None] - exact).abs().min(1).values
        assert bool((distances <= ritz.bounds + 1e-12).all())
        assert float(exact[0]) - 1e-12 <= float(ritz.values[0])
        assert float(ritz.values[-1]) <= float(exact[-1]) + 1e-12
        for end in (0, -1):
            vector = krylov.vector(end)
            residual = float((matrix @ vector - ritz.values[end] * vector).norm())
            assert residual == pytest.approx(float(ritz.bounds[end]), abs=1e-12)


@pytest.mark.parametrize("size", [1e-9, 1e-6, 1e-4])
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_holds_where_products_are_rounded(size: float, seed: int) -> None:
    """The residual alone goes to 0 at eigenvalues of another matrix, that of the products as they are rounded."""
    generator = torch.Generator().manual_seed(seed)
    matrix = symmetric(torch.cat([torch.linspace(-1, 1, 196), torch.tensor([-2.0, -1.5, 3.0, 5.0])]).double(), seed)
    exact = torch.linalg.eigvalsh(matrix)
    error = size / 200**0.5 * torch.randn(200, 200, generator=generator).double()
    krylov = Krylov(lambda v: matrix @ v + error @ v, random_directions(1, matrix[0], "test", seed)[0], 60)
    while not krylov.is_exhausted:
        krylov.extend()
    ritz = krylov.ritz()
    for end in (0, -1):
        off = abs(float(ritz.values[end] - exact[end]))
        assert 1e-12 < off <= float(ritz.bounds[end]) < 10 * size


OUTLIER = torch.cat([torch.rand(199, generator=torch.Generator().manual_seed(3)).double(), torch.tensor([1e3])])


def test_no_copies_of_what_has_converged() -> None:
    ritz = grown(symmetric(OUTLIER, 2), 60).ritz()
    assert int((ritz.values > 500).sum()) == 1
    assert float(ritz.values[-2]) < 1


def test_without_orthogonalising_anew_there_are_copies() -> None:
    """The plain recurrence of three terms, so that the test above can fail."""
    matrix = symmetric(OUTLIER, 2)
    (vector,) = random_directions(1, matrix[0], "test", 0)
    before, beta, diagonal, beside = torch.zeros_like(vector), 0.0, [], []
    for _ in range(60):
        product = matrix @ vector - beta * before
        diagonal.append(float(product @ vector))
        product -= diagonal[-1] * vector
        before, beta = vector, float(product.norm())
        beside.append(beta)
        vector = product / beta
    tridiagonal = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    assert int((np.linalg.eigvalsh(tridiagonal) > 500).sum()) > 1


def test_the_largest_of_both_signs_is_no_trap() -> None:
    """Power iteration gives -5 here."""
    ritz = grown(torch.diag(torch.tensor([1.0, 2.0, -5.0]).double()), 10).ritz()
    assert ritz.values.tolist() == pytest.approx([-5, 1, 2])


@pytest.mark.parametrize(
    ("matrix", "size", "values"),
    [
        (3 * torch.eye(50).double(), 1, [3]),
        (torch.zeros(50, 50).double(), 1, [0]),
        (torch.diag(torch.tensor([1.0] * 20 + [4.0] * 30)).double(), 2, [1, 4]),
    ],
)
def test_few_different_eigenvalues(matrix: Tensor, size: int, values: list[float]) -> None:
    krylov = grown(matrix, 40)
    assert krylov.size == size
    assert krylov.ritz().values.tolist() == pytest.approx(values, abs=1e-12)
    assert float(krylov.ritz().bounds.max()) < 1e-14
    with pytest.raises(ValueError, match="exhausted"):
        krylov.extend()


def test_directions_are_drawn_from_the_sphere() -> None:
    like = torch.zeros(3, dtype=torch.float64)
    drawn = random_directions(4000, like, "test", 1)
    assert drawn.norm(dim=1).tolist() == pytest.approx([1] * 4000)
    torch.testing.assert_close(drawn.T @ drawn / 4000, torch.eye(3).double() / 3, rtol=0, atol=0.02)
    assert torch.equal(drawn, random_directions(4000, like, "test", 1))
    assert not torch.equal(drawn, random_directions(4000, like, "test", 2))
