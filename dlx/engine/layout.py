"""Where each named tensor of a module lies in the columns of theta."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a module's parameters, in the order of their columns.

    Attributes:
        shapes: Shape of each parameter by name.
    """

    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        """Read the layout of a module."""
        return cls({name: tuple(parameter.shape) for name, parameter in module.named_parameters()})

    @property
    def sizes(self) -> list[int]:
        """Number of columns of each parameter."""
        return [math.prod(shape) for shape in self.shapes.values()]

    @property
    def num_parameters(self) -> int:
        """Number of columns P."""
        return sum(self.sizes)

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Lay named tensors of one member side by side, [P]."""
        return torch.cat([tensors[name].detach().reshape(-1) for name in self.shapes])

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """View rows as named tensors: [M, P] -> name: [M, *shape]. Differentiable, copies nothing."""
        columns = torch.split(theta, self.sizes, dim=1)
        return {name: part.view(-1, *shape) for (name, shape), part in zip(self.shapes.items(), columns, strict=True)}

    def is_weight(self) -> Tensor:
        """Tell weights (matrices and kernels) from biases and other vectors, [P] bool: priors act on weights."""
        return torch.cat(
            [torch.full((size,), len(shape) >= 2) for size, shape in zip(self.sizes, self.shapes.values(), strict=True)]
        )
