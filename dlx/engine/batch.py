"""What a step sees of the data, for each row of theta."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """What a step sees.

    Attributes:
        inputs: [M, B, ...].
        targets: [M, B] or [M, B, C].
        weights: [M, B], summing to 1 over B; 0 for padding.
        keys: Key of each stream of noise, int32 [M, S].
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    keys: Tensor

    def runs(self, length: int) -> list[Batch]:
        """Cut the examples into runs of one length; what the last has in common with the one before weighs 0 in it."""
        runs, num_examples = [], self.weights.shape[1]
        for number, start in enumerate(run_starts(num_examples, length)):
            inputs, targets, weights = (each.narrow(1, start, length) for each in self[:3])
            if num_again := number * length - start:
                weights = torch.cat([torch.zeros_like(weights[:, :num_again]), weights[:, num_again:]], 1)
            runs.append(Batch(inputs, targets, weights, self.keys))
        return runs


def run_starts(num_examples: int, length: int) -> list[int]:
    """Give where runs of one length begin that hold all examples; the last reaches back where it must."""
    return [min(start, num_examples - length) for start in range(0, num_examples, length)]
