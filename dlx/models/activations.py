"""Activations, written from operations whose bits do not depend on the number of elements.

torch's sigmoid and softplus treat the end of a tensor with other code than its middle, so a member's bits would depend
on its company; the forms here are exact (company invariance, rule C). Source of all: lecture 8.5.
"""

import math
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor
from torch.nn.functional import hardtanh, leaky_relu, logsigmoid

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


def _normal_probability(x: Tensor) -> Tensor:
    return 0.5 + 0.5 * torch.erf(x * math.sqrt(0.5))


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


class LeakyReLU(Activation):
    """Leaky ReLU: x above 0, a small share of it below, so that no unit dies. The kink at 0 has the lower slope.

    Source: Maas, Hannun and Ng (2013), "Rectifier nonlinearities improve neural network acoustic models".
    """

    name: Literal["leaky_relu"] = "leaky_relu"
    slope: NonNegativeFloat = 0.01
    """Slope below 0."""

    def value(self, x: Tensor) -> Tensor:
        """Give x where x > 0, else slope x."""
        return leaky_relu(x, self.slope)

    def derivative(self, x: Tensor) -> Tensor:
        """Give 1 where x > 0, else slope."""
        return torch.ones_like(x).masked_fill(x <= 0, self.slope)


class ELU(Activation):
    """Exponential linear unit: x above 0, alpha (exp(x) - 1) below. Smooth at 0 for alpha = 1, else with a kink there.

    Source: Clevert, Unterthiner and Hochreiter (2016), "Fast and accurate deep network learning by exponential linear
    units".
    """

    name: Literal["elu"] = "elu"
    alpha: PositiveFloat = 1.0
    """Minus the value that it tends to for x -> -inf."""

    def value(self, x: Tensor) -> Tensor:
        """Give x where x > 0, else alpha (exp(x) - 1)."""
        return torch.where(x > 0, x, self.alpha * torch.expm1(torch.where(x > 0, 0.0, x)))

    def derivative(self, x: Tensor) -> Tensor:
        """Give 1 where x > 0, else alpha exp(x)."""
        return torch.where(x > 0, 1.0, self.alpha * torch.exp(torch.where(x > 0, 0.0, x)))


class GELU(Activation):
    """Gaussian error linear unit: x times the probability that a standard normal variable is below x.

    Not torch's kernel, whose bits depend on the number of elements.

    Source: Hendrycks and Gimpel (2016), "Gaussian error linear units".
    """

    name: Literal["gelu"] = "gelu"

    def value(self, x: Tensor) -> Tensor:
        """Give x Phi(x)."""
        return x * _normal_probability(x)

    def derivative(self, x: Tensor) -> Tensor:
        """Give Phi(x) + x phi(x)."""
        density = torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)
        return _normal_probability(x) + x * density


class SiLU(Activation):
    """Sigmoid linear unit (swish): x sigmoid(x), computed as x exp(log sigmoid(x)), exact also where it is small.

    Source: Elfwing, Uchibe and Doya (2018), "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning".
    """

    name: Literal["silu"] = "silu"

    def value(self, x: Tensor) -> Tensor:
        """Give x sigmoid(x)."""
        return x * torch.exp(logsigmoid(x))

    def derivative(self, x: Tensor) -> Tensor:
        """Give sigmoid(x) (1 + x (1 - sigmoid(x)))."""
        return torch.exp(logsigmoid(x)) * (1 + x * torch.exp(logsigmoid(-x)))
