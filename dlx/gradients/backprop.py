"""Backprop by hand, for networks of dense layers: the lecture's recurrences, without autograd.

With a_0 = inputs, z_l = W_l a_{l-1} + b_l, a_l = g_l(z_l), outputs = z_L, and f the mean of the losses of B examples:

    delta_L      = 1/B d loss / d outputs
    d f / d W_l  = delta_l a_{l-1}^T, summed over examples        d f / d b_l = delta_l, summed over examples
    delta_{l-1}  = W_l^T delta_l * g'_{l-1}(z_{l-1})

Dropout multiplies with its mask on the way back as it did on the way there; batch norm mixes the examples, so its
delta does, too. The derivatives of losses, activations and priors are those that their definitions carry.

Source:
    Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors"; lecture 9.4 and 9.5;
    Ioffe and Szegedy (2015), "Batch normalization", section 3, for its derivative.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dlx.engine.objective import Network
from dlx.models.activations import Pointwise
from dlx.models.batch_norm import EPS, BatchNorm
from dlx.models.dense import Dense
from dlx.models.dropout import Dropout


class Layer(NamedTuple):
    """One layer of a network in a forward pass.

    Attributes:
        name: As in the module's ``state_dict``, ``<name>.weight`` being its parameter; empty if there is no other.
        module: Dense, Pointwise, Dropout or BatchNorm.
        inputs: What it was given, [B, H].
    """

    name: str
    module: Any
    inputs: Tensor

    def parameter(self, name: str) -> str:
        """Give the full name of one of its parameters."""
        return f"{self.name}.{name}" if self.name else name


def is_by_hand(module: nn.Module) -> bool:
    """Tell whether backprop by hand knows every layer of a module, each with parameters of its own that move."""
    return obstacle(module) is None


def obstacle(module: nn.Module) -> str | None:
    """Say in a clause why backprop by hand cannot compute the gradient of a module; None if it can."""
    layers = [layer for _, layer in _layers(module)]
    own = [parameter for layer in layers for parameter in layer.parameters()]
    unknown = [
        type(layer).__name__ for layer in layers if not isinstance(layer, Dense | Pointwise | Dropout | BatchNorm)
    ]
    if unknown:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(unknown))
        return f"it knows rows of dlx's own layers (Dense, Pointwise, Dropout, BatchNorm), not {names}"
    if len({id(each) for each in own}) < len(own):
        return "layers share a parameter"
    return None if all(each.requires_grad for each in own) else "some parameters do not move"


def _layers(module: nn.Module) -> list[tuple[str, nn.Module]]:
    # Not named_children(), which gives a layer that stands twice in the row only once.
    return list(module._modules.items()) if type(module) is nn.Sequential else [("", module)]


@torch.no_grad()
def forward(network: Network) -> tuple[list[Layer], Tensor]:
    """Run a network and note what each layer is given; also give the outputs, [B, C]."""
    trace, a = [], network.inputs
    for name, module in _layers(network.module):
        trace.append(Layer(name, module, a))
        a = module(a)
    return trace, a


def normalised(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Give the inputs of a batch norm at mean 0 and variance 1 over the batch, and 1 / deviation.

    Args:
        x: [..., B, H].
        weights: Of the examples, [B].

    Returns:
        [..., B, H] and [..., 1, H].
    """
    centred = x - (weights @ x).unsqueeze(-2)
    scale = (weights @ centred.square() + EPS).rsqrt().unsqueeze(-2)
    return centred * scale, scale


class Backprop:
    """The gradient of a network's objective by hand. Faults for the self-test override single methods.

    Args:
        network: Of layers that ``is_by_hand`` knows.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.trace, self.outputs = forward(network)

    @torch.no_grad()
    def gradient(self) -> dict[str, Tensor]:
        """Give the derivative of the objective by each parameter, by name, in the parameter's shape."""
        delta, found = self.slope(), dict[str, Tensor]()
        for layer in reversed(self.trace):
            module = layer.module
            if isinstance(module, Dense):
                found[layer.parameter("weight")] = self.weight(layer, delta)
                found[layer.parameter("bias")] = self.bias(layer, delta)
                delta = self.through_dense(layer, delta)
            elif isinstance(module, BatchNorm):
                found[layer.parameter("weight")] = self.gain(layer, delta)
                found[layer.parameter("bias")] = self.bias(layer, delta)
                delta = self.through_batch_norm(layer, delta)
            elif isinstance(module, Pointwise):
                delta = self.through_activation(layer, delta)
            else:
                delta = self.through_dropout(layer, delta)
        return {name: found[name] + penalty for name, penalty in self.penalty().items()}

    def slope(self) -> Tensor:
        """Give the derivative of the mean loss by the outputs, delta_L, [B, C]."""
        network = self.network
        slope = network.loss.derivative(self.outputs, network.targets, network.loss_h)
        return slope * network.weights.unsqueeze(-1)

    def weight(self, layer: Layer, delta: Tensor) -> Tensor:
        """Give the derivative by a dense layer's weights from that by its outputs, [H, D] from [B, H]."""
        return delta.T @ layer.inputs

    def bias(self, layer: Layer, delta: Tensor) -> Tensor:
        """Give the derivative by a layer's biases, [H]."""
        return delta.sum(0)

    def through_dense(self, layer: Layer, delta: Tensor) -> Tensor:
        """Give the derivative by a dense layer's inputs, [B, D]."""
        through: Tensor = delta @ layer.module.weight
        return through

    def through_activation(self, layer: Layer, delta: Tensor) -> Tensor:
        """Give the derivative by an activation's inputs, [B, H]."""
        slope: Tensor = layer.module.activation.derivative(layer.inputs)
        return delta * slope

    def through_dropout(self, layer: Layer, delta: Tensor) -> Tensor:
        """Give the derivative by dropout's inputs, [B, H]: the mask is what it makes of ones."""
        mask: Tensor = layer.module(torch.ones_like(layer.inputs))
        return delta * mask

    def gain(self, layer: Layer, delta: Tensor) -> Tensor:
        """Give the derivative by a batch norm's weights, [H]."""
        return (delta * normalised(layer.inputs, self.network.weights)[0]).sum(0)

    def through_batch_norm(self, layer: Layer, delta: Tensor) -> Tensor:
        """Give the derivative by a batch norm's inputs, [B, H]: mean and variance depend on all of them."""
        weights, gain = self.network.weights, layer.module.weight
        x, scale = normalised(layer.inputs, weights)
        delta = delta * gain
        return scale * (delta - torch.outer(weights, delta.sum(0)) - x * torch.outer(weights, (delta * x).sum(0)))

    def penalty(self) -> dict[str, Tensor]:
        """Give the derivative of the prior's part by each parameter."""
        named = dict(self.network.module.named_parameters())
        slopes = self.network.penalty_slope(nn.utils.parameters_to_vector(named.values()))
        pieces = torch.split(slopes, [each.numel() for each in named.values()])
        return {name: piece.view_as(named[name]) for name, piece in zip(named, pieces, strict=True)}
