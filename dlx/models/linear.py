"""A linear model."""

from typing import Literal

from torch import nn

from dlx.core.definition import Model
from dlx.core.types import Spec
from dlx.models.dense import Dense


class Linear(Model):
    """Linear model: outputs = W inputs + b. With cross-entropy it is softmax regression, with mse least squares.

    Initial weights and biases are uniform in +-1/sqrt(D), torch's default.
    """

    name: Literal["linear"] = "linear"

    def build(self, spec: Spec) -> nn.Module:
        """Build one layer, [B, D] -> [B, C]."""
        (num_features,) = spec.input_shape
        return Dense(num_features, spec.num_outputs, dtype=spec.dtype)
