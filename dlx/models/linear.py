"""A linear model."""

from typing import Literal

from torch import nn

from dlx.core.definition import Model
from dlx.core.types import Spec
from dlx.models.dense import Dense
from dlx.models.initialisation import Initialisation, initialise


class Linear(Model):
    """Linear model: outputs = W inputs + b. With cross-entropy it is softmax regression, with mse least squares."""

    name: Literal["linear"] = "linear"
    init: Initialisation = "torch"
    """How weights begin: torch (uniform in +-1/sqrt(fan in), biases too); or with biases 0: xavier (uniform in
    +-sqrt(6 / (fan in + fan out))), he (normal, variance 2 / fan in), normal (standard deviation 0.01), zeros."""

    def build(self, spec: Spec) -> nn.Module:
        """Build one layer, [B, D] -> [B, C]."""
        (num_features,) = spec.input_shape
        return initialise(Dense(num_features, spec.num_outputs, dtype=spec.dtype), self.init)
