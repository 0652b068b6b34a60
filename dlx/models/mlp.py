"""A multi-layer perceptron."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, PositiveInt
from torch import nn

from dlx.core.definition import Activation, Model
from dlx.core.registry import Registered
from dlx.core.types import Spec
from dlx.models.activations import Pointwise, ReLU
from dlx.models.dense import Dense


class MLP(Model):
    """Multi-layer perceptron: fully connected layers with an activation after each but the last.

    With L = len(hidden) + 1 weight matrices:
        a_0 = inputs;  a_l = activation(W_l a_{l-1} + b_l) for l < L;  outputs = W_L a_{L-1} + b_L

    Initial weights and biases are uniform in +-1/sqrt(fan in), torch's default.

    Source:
        Lecture 8.3.
    """

    name: Literal["mlp"] = "mlp"
    hidden: Annotated[tuple[Annotated[PositiveInt, Field(le=1_000_000)], ...], Field(strict=False, max_length=100)] = (
        64,
        32,
    )
    """Units of each hidden layer; an empty list is a linear model."""
    activation: Annotated[Activation, Registered()] = ReLU()
    """Activation after each hidden layer."""

    def build(self, spec: Spec) -> nn.Module:
        """Build an ``nn.Sequential``, [B, D] -> [B, C]."""
        widths = (*spec.input_shape, *self.hidden, spec.num_outputs)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [Dense(fan_in, fan_out, dtype=spec.dtype), Pointwise(self.activation)]
        return nn.Sequential(*layers[:-1])
