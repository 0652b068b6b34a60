"""Batch norm that sees the weights of examples: padding is no example, and every member has statistics of its own."""

import torch
from torch import Tensor, nn

EPS = 1e-5
MOMENTUM = 0.1
"""Share of a batch's statistics in the running ones. Both are torch's defaults."""


class BatchNorm(nn.Module):
    """Scale each feature to mean 0 and variance 1 over the batch, then by a learned weight and bias.

        training:    y = weight (x - mean_B) / sqrt(var_B + 1e-5) + bias
                     running <- 0.9 running + 0.1 (mean_B, var_B n/(n-1))
        evaluation:  the same with the running statistics

    Equal to ``nn.BatchNorm1d``, whose names its parameters and statistics have; only a batch of one example, which
    torch refuses, leaves the running statistics as they are.

    Args:
        num_features: H.
        dtype: Of parameters and statistics.

    Source:
        Ioffe and Szegedy (2015), "Batch normalization", algorithms 1 and 2.
    """

    running_mean: Tensor
    running_var: Tensor
    example_weights: Tensor

    def __init__(self, num_features: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(num_features, dtype=dtype))
        self.register_buffer("running_mean", torch.zeros(num_features, dtype=dtype))
        self.register_buffer("running_var", torch.ones(num_features, dtype=dtype))
        self.register_buffer("example_weights", torch.ones((), dtype=dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, [B, H] -> [B, H]."""
        features = x.mT  # [H, B], as Dense lays them in memory
        if self.training:
            weights = self.example_weights.expand(features.shape[-1])
            weights = weights / weights.sum().clamp(min=torch.finfo(x.dtype).tiny)
            mean = (features * weights).sum(-1)
            centred = features - mean.unsqueeze(-1)
            var = (centred.square() * weights).sum(-1)
            self._move(mean.detach(), var.detach(), weights)
        else:
            mean, var = self.running_mean, self.running_var
            centred = features - mean.unsqueeze(-1)
        scale = torch.rsqrt(var + EPS) * self.weight
        return (centred * scale.unsqueeze(-1) + self.bias.unsqueeze(-1)).mT

    def _move(self, mean: Tensor, var: Tensor, weights: Tensor) -> None:
        rest = 1 - weights.square().sum()  # 1 - 1/n
        is_many = rest > 1e-6
        unbiased = var / torch.where(is_many, rest, 1)
        self.running_mean = torch.where(is_many, torch.lerp(self.running_mean, mean, MOMENTUM), self.running_mean)
        self.running_var = torch.where(is_many, torch.lerp(self.running_var, unbiased, MOMENTUM), self.running_var)
