"""How weights begin."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

Initialisation = Literal["torch", "xavier", "he", "normal", "zeros"]
METHODS: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier": nn.init.xavier_uniform_,
    "he": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "normal": lambda weight: nn.init.normal_(weight, std=0.01),
    "zeros": nn.init.zeros_,
}


def initialise(module: nn.Module, method: Initialisation) -> nn.Module:
    """Draw the weights of every linear layer of a module anew, in place; give the module.

    Args:
        module: Any.
        method: ``torch`` leaves what torch drew: weights and biases uniform in +-1/sqrt(fan in). With the others biases
            are 0 and weights: ``xavier`` uniform in +-sqrt(6 / (fan in + fan out)); ``he`` normal of variance
            2 / fan in; ``normal`` normal of standard deviation 0.01; ``zeros`` 0, with which the units of a hidden
            layer stay copies of each other.

    Source:
        Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks"; He,
        Zhang, Ren and Sun (2015), "Delving deep into rectifiers".
    """
    if method != "torch":
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                METHODS[method](layer.weight)
                nn.init.zeros_(layer.bias)
    return module
