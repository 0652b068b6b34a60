"""Dropout whose mask is a hash of the step's key: the same for a member in any company."""

import torch
from torch import Tensor, nn

from dlx.core.noise import random_mask


class Dropout(nn.Module):
    """Set each entry to 0 with a probability in training mode, and divide the others by that of staying.

    Args:
        rate: Probability of 0, in [0, 1).
        dtype: That of the inputs.

    Source:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout: a simple way to prevent neural
        networks from overfitting".
    """

    threshold: Tensor
    scale: Tensor
    key: Tensor

    def __init__(self, rate: float, dtype: torch.dtype) -> None:
        super().__init__()
        threshold = round(rate * 2**32) - 2**31
        self.register_buffer("threshold", torch.tensor(threshold, dtype=dtype), persistent=False)
        self.register_buffer("scale", torch.tensor(1 / (1 - rate), dtype=dtype), persistent=False)
        self.register_buffer("key", torch.zeros((), dtype=torch.int32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Drop in training mode, [B, H] -> [B, H]; in evaluation mode give x."""
        if not self.training:
            return x
        # As Dense lays its outputs in memory, feature by feature.
        return x * random_mask(self.key, x.mT.shape, self.threshold).mul_(self.scale).mT

    def extra_repr(self) -> str:
        """Give the rate where the module is printed."""
        return f"rate={1 - 1 / float(self.scale):.6g}"
