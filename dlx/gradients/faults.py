"""Faults that are planted to prove that the check finds them: in backprop by hand, and in the backward of a layer.

Each is a mistake that people make. A fault that changes nothing for a network (the derivative of relu taken at its
output is that at its input) is said to be without effect there, by comparison with the right gradient.

Source:
    Mutation testing: DeMillo, Lipton and Sayward (1978), "Hints on test data selection".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlx.engine.objective import Network
from dlx.gradients.backprop import Backprop, Layer
from dlx.models.activations import Pointwise
from dlx.models.batch_norm import BatchNorm
from dlx.models.dense import Dense
from dlx.models.dropout import Dropout

Gradient = dict[str, Tensor]


@dataclass(frozen=True)
class Fault:
    """A mistake in a gradient.

    Attributes:
        name: The mistake, in words.
        place: ``backprop by hand`` or ``autograd function``.
        tensors: Those whose gradient it makes wrong.
        gradient: The gradient with it, by name.
    """

    name: str
    place: str
    tensors: tuple[str, ...]
    gradient: Gradient


def planted(network: Network) -> Iterator[Fault]:
    """Plant every fault that a network has room for, one at a time.

    Args:
        network: Of layers that ``backprop.is_by_hand`` knows.
    """
    yield from _by_hand(network)
    yield from _in_function(network)


class _Faulty(Backprop):
    """Backprop with one of its methods replaced: ``change(layer, right)`` gives what it gives instead.

    Args:
        network: The network.
        method: Which.
        change: From the layer (None for ``slope`` and ``penalty``), what came in and what is right, to what is wrong.
        only: Name of the layer that it is wrong in; None is every one.
    """

    def __init__(
        self, network: Network, method: str, change: Callable[[Any, Any, Any], Any], only: str | None = None
    ) -> None:
        super().__init__(network)
        right = getattr(self, method)

        def wrong(layer: Layer | None = None, delta: Tensor | None = None) -> Any:
            if layer is None:
                return change(None, None, right())
            found = right(layer, delta)
            return change(layer, delta, found) if only is None or layer.name == only else found

        setattr(self, method, wrong)


def _by_hand(network: Network) -> Iterator[Fault]:
    """Plant faults in backprop by hand."""
    layers = Backprop(network).trace
    names = list(dict(network.module.named_parameters()))
    dense = [layer for layer in layers if isinstance(layer.module, Dense)]
    first, last = dense[0], dense[-1]
    w1, b1 = first.parameter("weight"), first.parameter("bias")
    below = _Below(layers)

    def fault(name: str, tensors: Sequence[str], method: str, change: Any, only: str | None = None) -> Fault:
        return Fault(name, "backprop by hand", tuple(tensors), _Faulty(network, method, change, only).gradient())

    if network.loss.task == "classification":
        yield fault("loss: the target is not subtracted from the probability", names, "slope", _without_target(network))
    yield fault("loss: its derivative has the wrong sign", names, "slope", lambda _l, _d, right: -right)
    size = len(network.inputs)
    if size > 1:
        yield fault("the sum over examples instead of the mean", names, "slope", lambda _l, _d, right: size * right)
        b = [last.parameter("bias")]
        yield fault("last bias: the mean over examples of a mean", b, "bias", lambda _l, _d, r: r / size, last.name)
        yield fault(
            "first weights: the last example is left out", [w1], "weight",
            lambda layer, delta, _r: delta[:-1].T @ layer.inputs[:-1], first.name,
        )  # fmt: skip
    yield fault("first bias: the sign is wrong", [b1], "bias", lambda _l, _d, right: -right, first.name)
    yield fault(
        "first bias: it is not computed", [b1], "bias", lambda _l, _d, right: torch.zeros_like(right), first.name
    )
    for factor in (1e-3, 1e-6):
        yield fault(f"first weights: times 1 + {factor:g}", [w1], "weight", _scaled(1 + factor), first.name)
    yield fault("first weights: the largest entry times 1.1", [w1], "weight", _one_entry, first.name)
    yield from _between_layers(layers, below, dense, fault)
    weights = [name for name, slope in Backprop(network).penalty().items() if slope.any()]
    if weights:
        yield fault("prior: twice its derivative", weights, "penalty",
                    lambda _l, _d, right: {name: 2 * slope for name, slope in right.items()})  # fmt: skip


def _between_layers(
    layers: Sequence[Layer], below: _Below, dense: Sequence[Layer], fault: Callable[..., Fault]
) -> Iterator[Fault]:
    """Plant faults in what is handed down from layer to layer."""
    pointwise = [layer for layer in layers if isinstance(layer.module, Pointwise)]
    if pointwise:
        lower = below(pointwise[-1])
        yield fault("activation: its derivative is forgotten", lower, "through_activation", lambda _l, delta, _r: delta)
        yield fault("activation: its derivative is taken at its output", lower, "through_activation", _at_output)
    relus = [layer for layer in pointwise if layer.module.activation.name == "relu"]
    if relus:
        yield fault("relu: slope 0.01 below 0", below(relus[-1]), "through_activation", _leaky, relus[-1].name)
    if len(dense) > 1:
        detached = below(dense[-1])
        yield fault("last layer: nothing is handed down (detached)", detached, "through_dense",
                    lambda _l, _d, right: torch.zeros_like(right), dense[-1].name)  # fmt: skip
    for layer in dense[1:]:
        if layer.module.weight.shape[0] == layer.module.weight.shape[1]:
            yield fault(f"layer {layer.name}: its weights are transposed", below(layer), "through_dense",
                        lambda layer, delta, _r: delta @ layer.module.weight.T, layer.name)  # fmt: skip
    for kind, method, change, name in (
        (Dropout, "through_dropout", lambda _l, delta, _r: delta, "dropout: its mask is forgotten"),
        (BatchNorm, "through_batch_norm", _constant_statistics, "batch norm: mean and variance taken for constants"),
    ):
        of_kind = [layer for layer in layers if isinstance(layer.module, kind)]
        if of_kind and below(of_kind[-1]):
            yield fault(name, below(of_kind[-1]), method, change, of_kind[-1].name)


class _Below:
    """Names the parameters of all layers that come before one."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers

    def __call__(self, upper: Layer) -> list[str]:
        names = [layer.name for layer in self._layers]
        lower = self._layers[: names.index(upper.name)]
        return [layer.parameter(name) for layer in lower for name, _ in layer.module.named_parameters()]


def _without_target(network: Network) -> Callable[[Any, Any, Tensor], Tensor]:
    def change(_layer: None, _delta: None, right: Tensor) -> Tensor:
        outputs = Backprop(network).outputs
        probabilities = network.loss.predict(outputs)[:, -right.shape[1] :]
        return probabilities * network.weights.unsqueeze(-1)

    return change


def _scaled(factor: float) -> Callable[[Any, Any, Tensor], Tensor]:
    return lambda _layer, _delta, right: right * factor


def _one_entry(_layer: Layer, _delta: Tensor, right: Tensor) -> Tensor:
    wrong = right.clone()
    wrong.view(-1)[right.abs().argmax()] *= 1.1
    return wrong


def _at_output(layer: Layer, delta: Tensor, _right: Tensor) -> Tensor:
    activation = layer.module.activation
    slope: Tensor = activation.derivative(activation.value(layer.inputs))
    return delta * slope


def _leaky(layer: Layer, delta: Tensor, right: Tensor) -> Tensor:
    return torch.where(layer.inputs > 0, right, 0.01 * delta)


def _constant_statistics(layer: Layer, delta: Tensor, _right: Tensor) -> Tensor:
    centred = layer.inputs - layer.inputs.mean(0)
    scale = (centred.square().mean(0) + 1e-5).rsqrt()
    wrong: Tensor = delta * scale * layer.module.weight
    return wrong


class _UserFunction(torch.autograd.Function):
    """A dense layer as a user may write it, with a backward of its own; ``change`` makes that wrong."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, change: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.change = change
        return x @ weight.T + bias

    @staticmethod
    def backward(ctx: Any, *upper: Any) -> Any:
        x, weight = ctx.saved_tensors
        (delta,) = upper
        return *ctx.change(x, weight, delta, (delta @ weight, delta.T @ x, delta.sum(0))), None


class _UserLayer(nn.Module):
    def __init__(self, dense: Dense, change: Any) -> None:
        super().__init__()
        self.weight, self.bias, self._change = dense.weight, dense.bias, change

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = _UserFunction.apply(x, self.weight, self.bias, self._change)
        return result


def autograd_gradient(network: Network) -> Gradient:
    """Give the derivative of the objective by each parameter of the module, as ordinary torch code computes it."""
    named = {name: each for name, each in network.module.named_parameters() if each.requires_grad}
    with torch.enable_grad():
        losses = network.loss.value(network.module(network.inputs), network.targets, network.loss_h)
        found = torch.autograd.grad((losses * network.weights).sum(), list(named.values()), materialize_grads=True)
    penalty = network.penalty_slope(nn.utils.parameters_to_vector(named.values()).detach())
    pieces = torch.split(penalty, [each.numel() for each in named.values()])
    return {name: each + piece.view_as(each) for name, each, piece in zip(named, found, pieces, strict=True)}


def _in_function(network: Network) -> Iterator[Fault]:
    """Plant faults in the backward of the last dense layer but one, or of the only one."""
    layers = Backprop(network).trace
    dense = [layer for layer in layers if isinstance(layer.module, Dense)]
    layer = dense[-2] if len(dense) > 1 else dense[-1]
    weight, bias, lower = layer.parameter("weight"), layer.parameter("bias"), _Below(layers)(layer)
    changes: list[tuple[str, list[str], Any]] = [
        ("weights: a factor 2", [weight], lambda x, w, d, r: (r[0], 2 * r[1], r[2])),
        ("weights: the sign is wrong", [weight], lambda x, w, d, r: (r[0], -r[1], r[2])),
        ("bias: the mean instead of the sum", [bias], lambda x, w, d, r: (r[0], r[1], d.mean(0))),
        ("bias: None", [bias], lambda x, w, d, r: (r[0], r[1], None)),
    ]
    if lower:
        changes.append(("inputs: detached", lower, lambda x, w, d, r: (None, r[1], r[2])))
        if layer.module.weight.shape[0] == layer.module.weight.shape[1]:
            changes.append(("inputs: weights transposed", lower, lambda x, w, d, r: (d @ w.T, r[1], r[2])))
    for name, tensors, change in changes:
        module = copy.deepcopy(network.module)
        if layer.name:
            setattr(module, layer.name, _UserLayer(getattr(module, layer.name), change))
        else:
            module = _UserLayer(module, change)  # type: ignore[arg-type]
        gradient = autograd_gradient(network._replace(module=module))
        yield Fault(f"layer {layer.name or 'dense'}, {name}", "autograd function", tuple(tensors), gradient)
