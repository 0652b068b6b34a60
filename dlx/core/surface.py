"""The base class of analytic surfaces. It stands by itself, since nothing here is about data or models."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from dlx.core.definition import Definition

if TYPE_CHECKING:
    from torch import Tensor


class Minima(NamedTuple):
    """Where a surface is lowest.

    Attributes:
        points: All such points, [n] each.
        value: How low it is there.
    """

    points: tuple[tuple[float, ...], ...]
    value: float


class Surface(Definition):
    """A function R^n -> R given by a formula: geometry without data and model, of which much is known exactly."""

    package: ClassVar[str] = "dlx.surfaces"
    family: ClassVar[str] = "surface"

    @property
    def dimension(self) -> int:
        """Number of variables, n."""
        return len(self.start)

    @property
    @abstractmethod
    def start(self) -> tuple[float, ...]:
        """The point from which it is usually walked down, [n]."""

    @property
    @abstractmethod
    def minima(self) -> Minima | None:
        """Where it is lowest; None where it has no lowest value."""

    @property
    @abstractmethod
    def box(self) -> tuple[tuple[float, float], ...]:
        """The region worth drawing: the lower and the upper end along each axis, [n]."""

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """Give the values, [...], at points, [..., n]: as often differentiable as one likes, and points do not mix."""
