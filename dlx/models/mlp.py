"""A multi-layer perceptron."""

from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator
from torch import nn

from dlx.core.definition import Activation, Model, Tunable
from dlx.core.registry import OneOrMany
from dlx.core.types import Spec
from dlx.models.activations import Pointwise, ReLU
from dlx.models.batch_norm import BatchNorm
from dlx.models.dense import Dense
from dlx.models.dropout import Dropout
from dlx.models.initialisation import Initialisation, initialise


class MLP(Model):
    """Multi-layer perceptron: fully connected layers with an activation after each but the last.

    With L = len(hidden) + 1 weight matrices:
        a_0 = inputs;  a_l = dropout(activation_l(norm(W_l a_{l-1} + b_l))) for l < L;  outputs = W_L a_{L-1} + b_L

    norm is batch norm where it is switched on: each feature to mean 0 and variance 1 over the batch, then by a learned
    weight and bias; where the model is scored, by running means instead. Dropout sets each entry to 0 with its rate at
    the steps, dividing the others by 1 - rate, and does nothing where the model is scored.

    Source:
        Lecture 8.3. Ioffe and Szegedy (2015), "Batch normalization"; Srivastava et al. (2014), "Dropout".
    """

    name: Literal["mlp"] = "mlp"
    hidden: Annotated[tuple[Annotated[PositiveInt, Field(le=1_000_000)], ...], Field(strict=False, max_length=100)] = (
        64,
        32,
    )
    """Units of each hidden layer; an empty list is a linear model."""
    activation: Annotated[Activation | tuple[Activation, ...], OneOrMany(Activation)] = ReLU()
    """Activation after each hidden layer: one for all, or a list with one for each."""
    batch_norm: bool = False
    """Whether each hidden layer is normalised over the batch, before its activation."""
    dropout: Tunable[Annotated[float, Field(ge=0, le=0.999)]] = 0.0
    """Rate at which the outputs of hidden units are set to 0 at a step; 0 switches it off."""
    init: Initialisation = "torch"
    """How weights begin: torch (uniform in +-1/sqrt(fan in), biases too); or with biases 0: xavier (uniform in
    +-sqrt(6 / (fan in + fan out))), he (normal, variance 2 / fan in), normal (standard deviation 0.01), zeros."""

    @model_validator(mode="after")
    def _check_activations(self) -> Self:
        if isinstance(self.activation, tuple) and len(self.activation) != len(self.hidden):
            found = f"{len(self.activation)} and {len(self.hidden)}"
            raise ValueError(f"the lists `activation` and `hidden` differ in length: {found}")
        if not self.hidden and (self.batch_norm or self.dropout):
            raise ValueError("batch norm and dropout are of hidden layers, and there are none")
        return self

    @property
    def needs_batches(self) -> bool:
        """Batch norm is over several examples."""
        return self.batch_norm

    def structure(self) -> dict[str, Any]:
        """Give what all members of a population must share: also whether there is dropout, whatever its rate."""
        return {**super().structure(), "has_dropout": self.dropout > 0}

    def build(self, spec: Spec) -> nn.Module:
        """Build an ``nn.Sequential``, [B, D] -> [B, C]."""
        widths = (*spec.input_shape, *self.hidden)
        given = self.activation
        activations = given if isinstance(given, tuple) else (given,) * len(self.hidden)
        layers: list[nn.Module] = []
        for (fan_in, fan_out), activation in zip(pairwise(widths), activations, strict=True):
            layers.append(Dense(fan_in, fan_out, dtype=spec.dtype))
            layers += [BatchNorm(fan_out, spec.dtype)] if self.batch_norm else []
            layers.append(Pointwise(activation))
            layers += [Dropout(self.dropout, spec.dtype)] if self.dropout else []
        layers.append(Dense(widths[-1], spec.num_outputs, dtype=spec.dtype))
        return initialise(nn.Sequential(*layers), self.init)
