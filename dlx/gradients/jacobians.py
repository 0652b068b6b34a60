"""The same gradient as a product of Jacobians (lecture 9.6): the outputs by every layer, then the loss by the outputs.

Every layer is a function of its inputs with a Jacobian, a matrix; by the chain rule that of the outputs by the outputs
of layer l is the product

    J_L J_{L-1} ... J_{l+1}

and the gradient is the loss's slope times it times the layer's own Jacobian by its parameters. Backprop multiplies from
the left, a row with a matrix at a time; here the matrices are multiplied first. Examples do not mix, so there is a
matrix for each; with batch norm they do, and the whole batch is one vector.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dlx.engine.objective import Network
from dlx.gradients.backprop import Backprop, Layer, normalised
from dlx.models.activations import Pointwise
from dlx.models.batch_norm import BatchNorm
from dlx.models.dense import Dense

MAX_SIDE = 2048
"""Rows or columns of a Jacobian at most: the product of larger ones takes minutes."""


def by_jacobians(network: Network) -> dict[str, Tensor] | None:
    """Compute the gradient of a network's objective by products of Jacobians.

    Args:
        network: Of layers that ``backprop.is_by_hand`` knows.

    Returns:
        The derivative by each parameter, by name; None if a Jacobian would have more than ``MAX_SIDE`` rows or columns.
    """
    with torch.no_grad():
        return _by_jacobians(Backprop(network))


def _by_jacobians(by_hand: Backprop) -> dict[str, Tensor] | None:
    network, trace = by_hand.network, by_hand.trace
    mixes = any(isinstance(layer.module, BatchNorm) for layer in trace)
    widths = [layer.inputs.shape[1] for layer in trace] + [by_hand.outputs.shape[1]]
    if max(widths) * (len(network.inputs) if mixes else 1) > MAX_SIDE:
        return None
    num_blocks = 1 if mixes else len(network.inputs)
    slope = by_hand.slope()
    row = slope.reshape(num_blocks, 1, -1)
    product = torch.eye(row.shape[2], dtype=row.dtype, device=row.device).expand(num_blocks, -1, -1)
    found: dict[str, Tensor] = {}
    for layer in reversed(trace):
        # The Jacobian of z = W a + b by W has a copy of a in the row of each unit: a row times it is an outer product.
        delta = (row @ product).reshape(len(network.inputs), -1)
        if isinstance(layer.module, Dense):
            found[layer.parameter("weight")] = torch.einsum("bh,bd->hd", delta, layer.inputs)
            found[layer.parameter("bias")] = torch.einsum("bh->h", delta)
        elif isinstance(layer.module, BatchNorm):
            found[layer.parameter("weight")] = torch.einsum(
                "bh,bh->h", delta, normalised(layer.inputs, network.weights)[0]
            )
            found[layer.parameter("bias")] = torch.einsum("bh->h", delta)
        product = product @ layer_jacobian(layer, network.weights, mixes)
    return {name: found[name] + penalty for name, penalty in by_hand.penalty().items()}


def layer_jacobian(layer: Layer, weights: Tensor, mixes: bool) -> Tensor:
    """Give the Jacobian of a layer's outputs by its inputs.

    Args:
        layer: The layer, as it was in a forward pass over B examples.
        weights: Weights of the examples, [B].
        mixes: Whether the batch is one vector.

    Returns:
        [B, H_out, H_in], or [1, B H_out, B H_in] where the batch is one vector.
    """
    module, x = layer.module, layer.inputs
    if isinstance(module, BatchNorm):
        return _batch_norm_jacobian(layer, weights)
    if isinstance(module, Dense):
        blocks = module.weight.expand(len(x), -1, -1)
    elif isinstance(module, Pointwise):
        blocks = torch.diag_embed(module.activation.derivative(x))
    else:
        blocks = torch.diag_embed(module(torch.ones_like(x)))
    return torch.block_diag(*blocks).unsqueeze(0) if mixes else blocks  # type: ignore[no-untyped-call]


def _batch_norm_jacobian(layer: Layer, weights: Tensor) -> Tensor:
    """Give that of batch norm, [1, B H, B H]: d y_ih / d x_jh = gain_h s_h (1[i = j] - w_j - w_j xn_ih xn_jh)."""
    x, scale = normalised(layer.inputs, weights)
    size, width = x.shape
    eye = torch.eye(size, dtype=x.dtype, device=x.device)
    per_feature = eye.unsqueeze(-1) - weights.view(1, -1, 1) * (1 + x.unsqueeze(1) * x.unsqueeze(0))
    per_feature = per_feature * (scale * layer.module.weight)  # [B, B, H]
    spread = torch.diag_embed(per_feature)  # [B, B, H, H]
    return spread.permute(0, 2, 1, 3).reshape(1, size * width, size * width)
