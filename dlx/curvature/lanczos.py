"""Lanczos's method: the outermost eigenvalues of a matrix that is only known by its products with vectors.

After k products the matrix is known on the Krylov space of v, A v, ..., A^(k-1) v: in an orthonormal basis of it, A is
a small tridiagonal matrix T. The eigenvalues of T, the Ritz values, come near the outermost eigenvalues of A within few
products, whatever the number of rows. Power iteration would give only the eigenvalue of the largest size, and slowly.

In floating point the basis loses its orthogonality as soon as a Ritz value has converged, and copies of it appear. Each
new vector is therefore made orthogonal to all before it, twice: once leaves what cancels in the first pass.

The products themselves are rounded, and by more than their last digit where large parts cancel in them. How much is
read off the basis: a product with a symmetric matrix has no part along any vector before the last two, so what there is
of it is rounding.

Source:
    Lanczos (1950), "An iteration method for the solution of the eigenvalue problem"; Parlett (1998), "The symmetric
    eigenvalue problem", chapter 13, for the bounds theorem 13.2.1; Giraud, Langou and Rozloznik (2005), "The loss of
    orthogonality in the Gram-Schmidt orthogonalization process", for two passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dlx.core.seeding import stream

Times = Callable[[Tensor], Tensor]
"""Multiplies a symmetric matrix with a vector, [P] -> [P]."""
ROUNDING = 100.0
"""Multiples of the rounding error at which a vector counts as 0: the Krylov space has no further direction."""


@dataclass(frozen=True)
class Ritz:
    """What a Krylov space tells of the eigenvalues.

    Attributes:
        values: Ritz values, ascending, [k]. Each lies between the lowest and the highest eigenvalue.
        bounds: Within this distance of a Ritz value there is an eigenvalue, [k]; the rounding of the products is in it.
            That none lies beyond the outermost Ritz value they do not prove, and at a loose tolerance there may be one.
        weights: Shares of the start in the directions of the Ritz vectors, squared, [k]; their sum is 1.
    """

    values: Tensor
    bounds: Tensor
    weights: Tensor

    def is_found(self, end: int, tolerance: float) -> bool:
        """Tell whether the value at an end (0 lowest, -1 highest) is known to a share of its own size."""
        return float(self.bounds[end]) <= tolerance * abs(float(self.values[end]))


class Krylov:
    """A Krylov space of a symmetric matrix, one product larger at a time.

    Args:
        times: Multiplies the matrix with a vector.
        start: Any vector but 0, [P].
        max_size: Products at most; more than P are never taken.

    Attributes:
        size: Products so far, k.
        is_exhausted: Whether the space can grow no more: A maps it into itself, or it is as large as it may be.
    """

    def __init__(self, times: Times, start: Tensor, max_size: int) -> None:
        self._times = times
        self._max_size = min(max_size, len(start))
        self._basis = start.new_empty(self._max_size, len(start))
        self._basis[0] = start / start.norm()
        self._diagonal: list[float] = []
        self._off_diagonal: list[float] = []
        self._largest = 0.0
        self._asymmetry = 0.0
        self.size = 0
        self.is_exhausted = False

    def extend(self) -> None:
        """Take one more product.

        Raises:
            ValueError: If the space is exhausted.
        """
        if self.is_exhausted:
            raise ValueError("the Krylov space is exhausted")
        product = self._times(self._basis[self.size])
        self._largest = max(self._largest, float(product.norm()))
        self._diagonal.append(float(self._basis[self.size] @ product))
        self.size += 1
        basis = self._basis[: self.size]
        self._note_asymmetry(product)
        for _ in range(2):
            product = product - (basis @ product) @ basis
        beyond = float(product.norm())
        is_invariant = beyond <= ROUNDING * torch.finfo(product.dtype).eps * self._largest
        self._off_diagonal.append(0.0 if is_invariant or self.size == len(product) else beyond)
        self.is_exhausted = is_invariant or self.size == self._max_size
        if not self.is_exhausted:
            self._basis[self.size] = product / beyond

    def ritz(self) -> Ritz:
        """Give Ritz values, their bounds and the weights of the start."""
        values, vectors = self._eigen()
        residuals = self._off_diagonal[-1] * vectors[-1].abs()
        rounding = max(torch.finfo(self._basis.dtype).eps * self._largest, self._asymmetry)
        return Ritz(values, residuals + rounding, vectors[0].square())

    def vector(self, end: int) -> Tensor:
        """Give the Ritz vector of the value at an end (0 lowest, -1 highest): of length 1, [P]."""
        _, vectors = self._eigen()
        vector: Tensor = vectors[:, end].to(self._basis) @ self._basis[: self.size]
        return vector

    def _note_asymmetry(self, product: Tensor) -> None:
        """Note the length of a product's rounding error: P entries of the size that those known to be errors have."""
        wrong = self._basis[: max(0, self.size - 2)] @ product
        if len(wrong):
            self._asymmetry = max(self._asymmetry, float(wrong.norm()) * math.sqrt(len(product) / len(wrong)))

    def _eigen(self) -> tuple[Tensor, Tensor]:
        """Give eigenvalues [k], ascending, and eigenvectors [k, k] (columns) of T."""
        beside = torch.tensor(self._off_diagonal[:-1], dtype=torch.float64)
        matrix = torch.diag(torch.tensor(self._diagonal, dtype=torch.float64))
        matrix += torch.diag(beside, 1) + torch.diag(beside, -1)
        values, vectors = torch.linalg.eigh(matrix)
        return values, vectors


def random_directions(count: int, like: Tensor, name: str, *key: int) -> Tensor:
    """Draw unit vectors, each direction as likely as any other.

    Args:
        count: How many, K.
        like: Gives their length P, dtype and device, [P].
        name: Name of the random stream.
        key: What it depends on.

    Returns:
        [K, P].
    """
    drawn: Tensor = torch.from_numpy(stream(name, *key).normal(size=(count, len(like)))).to(like)
    return drawn / drawn.square().sum(1, keepdim=True).sqrt()
