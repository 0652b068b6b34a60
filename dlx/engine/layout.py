"""Where each named tensor of a module lies in the columns of a row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlx.core.errors import UsageError


@dataclass(frozen=True)
class Layout:
    """Names and shapes of what a member owns, in the order of its columns: parameters, then statistics.

    Attributes:
        parameters: Shape of each parameter by name: the columns of theta, P of them.
        statistics: Shape of each persistent buffer by name (running means of batch norm): Q columns more.
    """

    parameters: dict[str, tuple[int, ...]]
    statistics: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        """Read the layout of a module.

        A parameter that asks for no gradient never moves: it lies among the statistics.

        Raises:
            UsageError: If two parts of the module share a parameter.
        """
        named = dict(module.named_parameters())
        parameters = {name: tuple(each.shape) for name, each in named.items() if each.requires_grad}
        owned = module.state_dict(keep_vars=True)
        shared = [name for name, each in owned.items() if isinstance(each, nn.Parameter) and name not in named]
        if shared:
            raise UsageError(
                f"the model uses a parameter in two places (`{shared[0]}` is another's, too), which cannot be stacked; "
                "give each place a parameter of its own, or call the one layer twice in the `forward` of one module"
            )
        return cls(parameters, {name: tuple(each.shape) for name, each in owned.items() if name not in parameters})

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of everything, in the order of columns."""
        return {**self.parameters, **self.statistics}

    @property
    def sizes(self) -> list[int]:
        """Number of columns of each parameter."""
        return [math.prod(shape) for shape in self.parameters.values()]

    @property
    def num_parameters(self) -> int:
        """Number of columns of theta, P."""
        return sum(self.sizes)

    @property
    def num_columns(self) -> int:
        """Number of all columns, P + Q."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def flatten(self, module: nn.Module) -> Tensor:
        """Lay what a module owns side by side, [P + Q]."""
        owned = module.state_dict()
        return torch.cat([owned[name].reshape(-1) for name in self.shapes])

    def unflatten(self, rows: Tensor) -> dict[str, Tensor]:
        """View rows as named tensors, name: [M, *shape]: all from [M, P + Q], the parameters alone from [M, P].

        Differentiable, copies nothing.
        """
        return _view(rows, self.parameters if rows.shape[1] == self.num_parameters else self.shapes)

    def unflatten_statistics(self, rows: Tensor) -> dict[str, Tensor]:
        """View the statistics' columns, [M, Q], as named tensors, name: [M, *shape]."""
        return _view(rows, self.statistics)

    def is_weight(self) -> Tensor:
        """Tell weights (matrices and kernels) from biases and other vectors, [P] bool: priors act on weights."""
        ranks = [len(shape) for shape in self.parameters.values()]
        return torch.cat([torch.full((size,), rank >= 2) for size, rank in zip(self.sizes, ranks, strict=True)])


def _view(rows: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    columns = torch.split(rows, [math.prod(shape) for shape in shapes.values()], dim=1) if shapes else ()
    return {name: part.view(-1, *shape) for (name, shape), part in zip(shapes.items(), columns, strict=True)}
