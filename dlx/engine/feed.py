"""Takes examples out of memory for every row: gathered by index, scaled by the row's own constants.

The data are on the device once, raw. The batch always has a member axis, also where all rows read the same examples:
the shapes that kernels see must not depend on company.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlx.core.types import Examples
from dlx.data.preprocessing import Affine

BLOCK_BYTES = 1 << 20
"""Inputs gathered at once: several steps of a small population, one of a large one; it must stay in the cache."""
SCALED_BYTES = 1 << 24
"""Scaled copies of all examples, one for each fold, at most; scaling every batch anew takes a twentieth of a step."""


@dataclass(frozen=True)
class DeviceExamples:
    """Examples in a device's memory.

    Attributes:
        inputs: Raw, [N, D], in the dtype of the training.
        targets: Classes [N], int64, or raw values [N, C] in the dtype of the training.
    """

    inputs: Tensor
    targets: Tensor

    @classmethod
    def load(cls, examples: Examples, device: torch.device, dtype: torch.dtype) -> DeviceExamples:
        """Copy examples to a device."""
        targets = torch.from_numpy(examples.targets).to(device)
        return cls(
            torch.from_numpy(examples.inputs).to(device, dtype),
            targets.to(dtype) if targets.is_floating_point() else targets,
        )


class RowAffine:
    """An affine map of each row, raw <-> scaled.

    Args:
        maps: One map per row, length M.
        like: Gives dtype and device.

    Attributes:
        shift: [M, 1, D].
        scale: [M, 1, D].
        numbers: Which of the distinct maps each row has, length M.
        rows: A row that has it, for each distinct map.
    """

    def __init__(self, maps: Sequence[Affine], like: Tensor) -> None:
        shift, scale = (np.stack([getattr(each, name) for each in maps])[:, None] for name in ("shift", "scale"))
        self.shift, self.scale, self._inverse = (torch.from_numpy(x).to(like) for x in (shift, scale, 1 / scale))
        keys = [each.tobytes() for each in np.concatenate([shift, scale], 1)]
        distinct = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        self.numbers = [distinct[key] for key in keys]
        self.rows = [self.numbers.index(number) for number in distinct.values()]

    @property
    def is_shared(self) -> bool:
        """Whether all rows have the same map."""
        return len(self.rows) == 1

    def apply_(self, raw: Tensor) -> Tensor:
        """Scale in place, [..., M, B, D]."""
        return raw.sub_(self.shift).mul_(self._inverse)

    def apply_each(self, raw: Tensor) -> Tensor:
        """Scale all examples, [N, D], by each distinct map, [U, N, D], to the bits that ``apply_`` gives."""
        return raw.sub(self.shift[self.rows]).mul_(self._inverse[self.rows])


class _Column:
    """Inputs or targets of all examples, scaled beforehand by each map that rows have, or else as they are read."""

    def __init__(self, raw: Tensor, maps: RowAffine | None) -> None:
        self._source, self._maps, self._first = raw, None, None
        if maps is not None and not maps.is_shared and len(maps.rows) * raw.nbytes > SCALED_BYTES:
            self._maps = maps
        elif maps is not None:
            self._source = maps.apply_each(raw).flatten(0, 1)
            if not maps.is_shared:
                self._first = torch.tensor(maps.numbers, device=raw.device)[:, None] * len(raw)

    def take(self, indices: Tensor) -> Tensor:
        taken = _take(self._source, indices if self._first is None else indices + self._first)
        return self._maps.apply_(taken) if self._maps else taken


class Feed:
    """Gathers batches for the rows of one population.

    Args:
        data: The examples.
        inputs: The rows' maps of inputs.
        targets: The rows' maps of targets, or None where targets are classes.
    """

    def __init__(self, data: DeviceExamples, inputs: RowAffine, targets: RowAffine | None) -> None:
        self._raw_targets = data.targets
        self._inputs, self._targets = _Column(data.inputs, inputs), _Column(data.targets, targets)
        self.example_bytes = data.inputs[0].nbytes
        self.is_shared = inputs.is_shared and (targets is None or targets.is_shared)
        """Whether all rows read the same scaled examples."""

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give scaled inputs [..., M, B, D], scaled targets and raw targets [..., M, B(, C)] at [..., M, B]."""
        return self._inputs.take(indices), self._targets.take(indices), _take(self._raw_targets, indices)

    def gather_inputs(self, indices: Tensor) -> Tensor:
        """Give scaled inputs alone, [..., M, B, D] at [..., M, B]."""
        return self._inputs.take(indices)

    def batches(self, indices: Tensor, weights: Tensor, first: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give inputs, targets and weights of every step from ``first`` on, gathered some steps at a time.

        Args:
            indices: Examples, [S, M, B].
            weights: Their weights, [S, M, B].
            first: The first step.
        """
        size = max(1, BLOCK_BYTES // (indices[0].numel() * self.example_bytes))
        for start in range(first, len(indices), size):
            block = indices[start : start + size]
            inputs, targets = self._inputs.take(block).unbind(0), self._targets.take(block).unbind(0)
            yield from zip(inputs, targets, weights[start : start + size].unbind(0), strict=True)


def _take(source: Tensor, indices: Tensor) -> Tensor:
    return source.index_select(0, indices.reshape(-1)).view(*indices.shape, *source.shape[1:])
