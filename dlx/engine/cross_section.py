"""The error on a line or a plane through the space of parameters, at many points as members of one population."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dlx.engine.error_surface import ErrorSurface
from dlx.engine.objective import EmpiricalRisk

LINEAR_TO = 1e-3
"""How exactly a first layer must add up, relative to the largest of its outputs: rounding is far below this."""


class CrossSection:
    """The error at origin + c_1 d_1 + ... + c_D d_D, as a function of the coordinates c.

    What a linear first layer gives is linear in its parameters, so at every point it is the same combination of what
    the origin and the directions give for the examples: D + 1 products for all points, instead of one for each. For
    the digits (64 inputs, 128 hidden units, 10 classes) that layer is six sevenths of all operations.

    Args:
        surface: The error.
        origin: Where the coordinates are 0, [P], in the dtype and on the device of the surface's theta.
        directions: Where each of them leads, [D, P].
    """

    def __init__(self, surface: ErrorSurface, origin: Tensor, directions: Tensor) -> None:
        self._surface = surface
        self._basis = torch.cat([origin[None], directions])
        self._hidden = self._first_outputs() if surface.alone.first_layer is not None else None

    @torch.no_grad()
    def _first_outputs(self) -> Tensor | None:
        """Give what the first layer gives at the origin and for each direction, [D + 1, H, B].

        None where a layer that calls itself linear is not linear in its parameters (a normalised weight).
        """
        outputs = self._surface.alone.first_outputs(torch.cat([self._basis, self._basis.sum(0, keepdim=True)]))
        parts, whole = outputs[:-1], outputs[-1]
        is_linear = (parts.sum(0) - whole).abs().max() <= LINEAR_TO * parts.abs().max()
        return parts if is_linear else None

    def evaluate(self, coordinates: Tensor) -> Iterator[tuple[range, Tensor]]:
        """Evaluate the error at points.

        Args:
            coordinates: [K, D], in the dtype and on the device of the surface's theta.

        Yields:
            Numbers of points and the error there, chunk by chunk, as they are done.
        """
        combinations = torch.cat([torch.ones_like(coordinates[:, :1]), coordinates], 1)

        def compute(objective: EmpiricalRisk, numbers: range) -> Tensor:
            rows = objective.theta  # written in place: a recording of it is held by reference
            chosen = combinations[numbers.start : numbers.stop]
            # The shapes stay the same for the recording: rows that are left over repeat the first point.
            chosen = torch.cat([chosen, chosen[:1].expand(len(rows) - len(chosen), -1)])
            rows.copy_(chosen @ self._basis)
            if self._hidden is None:
                return objective.value(rows)
            hidden = (chosen @ self._hidden.flatten(1)).view(-1, *self._hidden.shape[1:])
            return objective.value_behind(rows, hidden.mT)

        yield from self._surface.in_chunks(len(coordinates), compute)
