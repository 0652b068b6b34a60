"""The error on a line or a plane through the space of parameters, at many points as members of one population."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dlx.engine.batch import run_starts
from dlx.engine.error_surface import ErrorSurface
from dlx.engine.objective import EmpiricalRisk

LINEAR_TO = 1e-3
"""How exactly a short cut must give what the long way gives, relative to its largest: rounding is far below this."""


class CrossSection:
    """The error at origin + c_1 d_1 + ... + c_D d_D, as a function of the coordinates c.

    What a linear first layer gives is linear in its parameters, so at every point it is the same combination of what
    the origin and the directions give for the examples: D + 1 products for all points, instead of one for each. For
    the digits (64 inputs, 128 hidden units, 10 classes) that layer is six sevenths of all operations. What is left
    moves through memory, so a few points and a run of the examples are taken at once, as many as the cache holds.

    Args:
        surface: The error.
        origin: Where the coordinates are 0, [P], in the dtype and on the device of the surface's theta.
        directions: Where each of them leads, [D, P].
    """

    def __init__(self, surface: ErrorSurface, origin: Tensor, directions: Tensor) -> None:
        self._surface = surface
        self._basis = torch.cat([origin[None], directions])
        self._rows = surface.rows_per_chunk()
        self._parts = self._first_outputs()

    @torch.no_grad()
    def _first_outputs(self) -> list[Tensor]:
        """Give what the first layer gives at the origin and for each direction, [D + 1, H, b] for runs of b examples.

        There is none where the first layer is not linear in its parameters (a normalised weight), and there is one run
        of all examples where the model looks at several in one (batch norm): both are tried out at a point.
        """
        alone, num_examples = self._surface.alone, self._surface.num_examples
        if alone.first_layer is None:
            return []
        theta = self._basis.sum(0, keepdim=True)
        *parts, whole = alone.first_outputs(torch.cat([self._basis, theta]))
        hidden = torch.stack(parts)
        if not _is_same(hidden.sum(0), whole, hidden):
            return []
        rows, length = self._surface.block()
        in_company = alone.outputs(theta, num_examples)[:, -length:]
        if not _is_same(alone.outputs(theta, length), in_company, in_company):
            return [hidden]
        self._rows = rows
        return [hidden.narrow(2, start, length).contiguous() for start in run_starts(num_examples, length)]

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
            return objective.value_behind(rows, chosen, self._parts) if self._parts else objective.value(rows)

        yield from self._surface.in_chunks(len(coordinates), compute, self._rows)


def _is_same(found: Tensor, wanted: Tensor, scale: Tensor) -> bool:
    return bool((found - wanted).abs().max() <= LINEAR_TO * scale.abs().max())
