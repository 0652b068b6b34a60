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
from dlx.data.batches import Batches
from dlx.data.preprocessing import Affine

BLOCK_BYTES = 1 << 20
"""Inputs gathered at once: several steps of a small population, one of a large one; it must stay in the cache."""


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
    """

    def __init__(self, maps: Sequence[Affine], like: Tensor) -> None:
        shift, scale = (np.stack([getattr(each, name) for each in maps]) for name in ("shift", "scale"))
        self.is_identity = bool((shift == 0).all() and (scale == 1).all())
        self.shift = torch.from_numpy(shift[:, None]).to(like)
        """[M, 1, D], as ``scale``."""
        self.scale = torch.from_numpy(scale[:, None]).to(like)
        self._inverse = torch.from_numpy(1 / scale[:, None]).to(like)

    def apply_(self, raw: Tensor) -> Tensor:
        """Scale in place, [..., M, B, D]."""
        return raw if self.is_identity else raw.sub_(self.shift).mul_(self._inverse)


class Feed:
    """Gathers batches for the rows of one population.

    Args:
        data: The examples.
        inputs: The rows' maps of inputs.
        targets: The rows' maps of targets, or None where targets are classes.
    """

    def __init__(self, data: DeviceExamples, inputs: RowAffine, targets: RowAffine | None) -> None:
        self._data, self._inputs, self._targets = data, inputs, targets

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give scaled inputs [..., M, B, D], scaled targets and raw targets [..., M, B(, C)] at [..., M, B]."""
        inputs = _take(self._data.inputs, indices)
        raw = _take(self._data.targets, indices)
        scaled = raw if self._targets is None else self._targets.apply_(raw.clone())
        return self._inputs.apply_(inputs), scaled, raw

    def batches(self, batches: Batches, first: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give inputs, targets and weights of every step from ``first`` on, gathered some steps at a time."""
        like = self._data.inputs
        num_steps, *shape = batches.indices.shape
        step_bytes = int(np.prod(shape)) * like[0].nbytes
        size = max(1, BLOCK_BYTES // step_bytes)
        for start in range(first, num_steps, size):
            block = slice(start, start + size)
            inputs, targets, _ = self.gather(torch.from_numpy(batches.indices[block]).to(like.device))
            weights = torch.from_numpy(batches.weights[block]).to(like)
            yield from zip(inputs.unbind(0), targets.unbind(0), weights.unbind(0), strict=True)


def _take(source: Tensor, indices: Tensor) -> Tensor:
    return source.index_select(0, indices.reshape(-1)).view(*indices.shape, *source.shape[1:])
