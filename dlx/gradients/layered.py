"""Evaluates a layered network where single parameters are changed, at the cost of the layers above the change.

A change of one weight moves what one unit of one layer adds up, by the change times an input: z_i + h a_j. All below
stays as it is, so only the layers above run, for all changed networks as one batch. For any other module the whole
network runs at every point, as a member of a population; both give f to rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from dlx.engine.branches import Branches
from dlx.engine.device import num_workers
from dlx.engine.error_surface import ErrorSurface
from dlx.engine.objective import Network
from dlx.gradients.backprop import Layer, forward, is_by_hand, normalised
from dlx.models.activations import Pointwise
from dlx.models.batch_norm import BatchNorm
from dlx.models.dense import Dense
from dlx.models.dropout import Dropout

CHUNK_BYTES = 1 << 21
"""Bytes of the widest layer's values in a chunk of changed networks: more would leave the cache."""
SAME = 1e-12
"""Relative difference that two computations of f may have."""


class LayeredNetwork:
    """The objective of a layered network without prior, at changes of single parameters.

    Args:
        network: Of layers that ``backprop.is_by_hand`` knows.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._trace, outputs = forward(network)
        dropouts = [layer for layer in self._trace if isinstance(layer.module, Dropout)]
        self._masks: dict[str, Tensor] = {layer.name: layer.module(torch.ones_like(layer.inputs)) for layer in dropouts}
        self.value = float(self._objective(outputs))
        widths = [layer.inputs.shape[1] for layer in self._trace] + [outputs.shape[1]]
        self._bytes = max(widths) * len(outputs) * outputs.dtype.itemsize
        self._places = [
            (number, name, parameter.shape)
            for number, layer in enumerate(self._trace)
            for name, parameter in layer.module.named_parameters()
        ]

    @classmethod
    def of(cls, surface: ErrorSurface) -> LayeredNetwork | None:
        """Give that of an error surface, or None if it has a prior, other layers, or another value by its own way."""
        network = surface.alone.network()
        if surface.has_prior or not is_by_hand(network.module):
            return None
        found, value = cls(network), surface.value(surface.theta)
        return found if abs(found.value - value) <= SAME * max(1.0, abs(value)) else None

    def evaluate(self, columns: Tensor, up: Tensor, down: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Evaluate f with single parameters changed, twice each.

        Args:
            columns: Which parameters, in the order of theta, [K].
            up: What is added to each, [K].
            down: What else is added to each, [K].

        Yields:
            Numbers of changes, [m], and for each its two values and whether they took two branches, [m, 3].
        """
        tasks, start = [], 0
        size = max(1, CHUNK_BYTES // (2 * self._bytes))
        for number, name, shape in self._places:
            own = ((columns >= start) & (columns < start + shape.numel())).nonzero().squeeze(1)
            tasks += [(number, name, shape, start, part) for part in torch.split(own, size) if len(part)]
            start += shape.numel()

        @torch.no_grad()
        def run(task: tuple[int, str, torch.Size, int, Tensor]) -> tuple[Tensor, Tensor]:
            number, name, shape, start, own = task
            entries = torch.unravel_index(columns[own] - start, shape)
            changes = torch.cat([up[own], down[own]])
            values, branches = self._changed(number, name, [each.repeat(2) for each in entries], changes)
            above, below = values.view(2, -1)
            first, second = branches.view(2, len(own), -1)
            return own, torch.stack([above, below, (first != second).any(1).to(above)], 1)

        threads = torch.get_num_threads()
        workers = num_workers(columns.device, threads)
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
            yield from pool.map(run, tasks)

    def _changed(self, number: int, name: str, entries: Sequence[Tensor], changes: Tensor) -> tuple[Tensor, Tensor]:
        """Give the values with one entry of a parameter of a layer changed, [M], and their branches, [M, K]."""
        layer, count = self._trace[number], len(changes)
        unit = entries[0]
        moved = self._effect(layer, name, entries) * changes.unsqueeze(1)  # [M, B]
        x = self._apply(layer, layer.inputs).expand(count, -1, -1).clone()
        x[torch.arange(count, device=x.device), :, unit] += moved
        branches = Branches()
        for above in self._trace[number + 1 :]:
            # Only activations have kinks: to listen elsewhere, too, would cost more than the layers.
            with branches if isinstance(above.module, Pointwise) else contextlib.nullcontext():
                x = self._apply(above, x)
        with branches:
            values = self._objective(x)
        return values, branches.pattern(x, rows=count)

    def _effect(self, layer: Layer, name: str, entries: Sequence[Tensor]) -> Tensor:
        """Give how much a unit's output moves with its parameter, for each example, [M, B]."""
        if name == "bias":
            return torch.ones(len(entries[0]), len(layer.inputs), dtype=layer.inputs.dtype, device=layer.inputs.device)
        if isinstance(layer.module, BatchNorm):
            return normalised(layer.inputs, self._network.weights)[0].T[entries[0]]
        return layer.inputs.T[entries[1]]

    def _apply(self, layer: Layer, x: Tensor) -> Tensor:
        """Apply a layer to one batch or several, [..., B, H]; it draws and mixes as for the batch of the trace."""
        module = layer.module
        if isinstance(module, BatchNorm):
            scaled: Tensor = normalised(x, self._network.weights)[0] * module.weight + module.bias
            return scaled
        if isinstance(module, Dense | Pointwise):
            result: Tensor = module(x.reshape(-1, x.shape[-1])).view(*x.shape[:-1], -1)
            return result
        return x * self._masks[layer.name]

    def _objective(self, outputs: Tensor) -> Tensor:
        """Give the weighted mean of the losses of one batch or several, [...] from [..., B, C]."""
        network = self._network
        flat = outputs.reshape(-1, outputs.shape[-1])
        num_batches = len(flat) // len(network.weights)
        targets = network.targets.repeat(num_batches, *[1] * (network.targets.dim() - 1))
        losses = network.loss.value(flat, targets, network.loss_h)
        return losses.view(outputs.shape[:-1]).matmul(network.weights)
