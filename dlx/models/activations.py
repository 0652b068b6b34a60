"""Activations, written from operations whose bits do not depend on the number of elements.

torch's sigmoid and softplus treat the end of a tensor with other code than its middle, so a member's bits would depend
on its company; the forms here are exact (company invariance, rule C). Source of all: lecture 8.5.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import hardtanh, logsigmoid

from dlx.core.definition import Activation


class Pointwise(torch.nn.Module):
    """A layer that applies an activation to each element of its input."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation; any shape."""
        return self.activation.value(x)

    def extra_repr(self) -> str:
        """Name the activation where the module is printed."""
        return self.activation.name


def _sigmoid(x: Tensor) -> Tensor:
    return 0.5 + 0.5 * torch.tanh(0.5 * x)


class Identity(Activation):
    """Identity: x. A deep network of identities is one linear map."""

    name: Literal["identity"] = "identity"

    def value(self, x: Tensor) -> Tensor:
        """Give x."""
        return x

    def derivative(self, x: Tensor) -> Tensor:
        """Give 1."""
        return torch.ones_like(x)


class Sigmoid(Activation):
    """Logistic sigmoid: 1 / (1 + exp(-x)), in (0, 1), computed as 1/2 + tanh(x/2)/2."""

    name: Literal["sigmoid"] = "sigmoid"

    def value(self, x: Tensor) -> Tensor:
        """Give sigmoid(x)."""
        return _sigmoid(x)

    def derivative(self, x: Tensor) -> Tensor:
        """Give sigmoid(x) (1 - sigmoid(x))."""
        return _sigmoid(x) * _sigmoid(-x)


class Tanh(Activation):
    """Hyperbolic tangent, in (-1, 1)."""

    name: Literal["tanh"] = "tanh"

    def value(self, x: Tensor) -> Tensor:
        """Give tanh(x)."""
        return torch.tanh(x)

    def derivative(self, x: Tensor) -> Tensor:
        """Give 1 - tanh(x)**2."""
        return 1 - torch.tanh(x).square()


class ReLU(Activation):
    """Rectified linear unit: max(0, x). The kink at 0 has derivative 0."""

    name: Literal["relu"] = "relu"

    def value(self, x: Tensor) -> Tensor:
        """Give max(0, x)."""
        return torch.relu(x)

    def derivative(self, x: Tensor) -> Tensor:
        """Give 1 where x > 0, else 0."""
        return (x > 0).to(x.dtype)


class HardTanh(Activation):
    """Hard tanh: x cut off at -1 and 1. The kinks have derivative 0."""

    name: Literal["hardtanh"] = "hardtanh"

    def value(self, x: Tensor) -> Tensor:
        """Give min(1, max(-1, x))."""
        return hardtanh(x)

    def derivative(self, x: Tensor) -> Tensor:
        """Give 1 where -1 < x < 1, else 0."""
        return ((x > -1) & (x < 1)).to(x.dtype)


class Softplus(Activation):
    """Softplus: log(1 + exp(x)), a smooth ReLU, computed as -log sigmoid(-x)."""

    name: Literal["softplus"] = "softplus"

    def value(self, x: Tensor) -> Tensor:
        """Give log(1 + exp(x))."""
        return -logsigmoid(-x)

    def derivative(self, x: Tensor) -> Tensor:
        """Give sigmoid(x)."""
        return _sigmoid(x)
