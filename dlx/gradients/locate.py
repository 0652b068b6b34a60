"""Finds the first part of a module whose backward does not fit its forward, and definitions whose derivative does not.

The whole gradient is a chain; one wrong link spoils every tensor below it. Each part is checked by itself, at what it
was given in a forward pass: the gradient of u'part(x), u random, by x and by its parameters, against differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from dlx.core.definition import Definition, Prior
from dlx.engine.branches import Branches
from dlx.engine.objective import Network
from dlx.gradients.backprop import forward
from dlx.gradients.check import VERDICTS, check_tensor
from dlx.gradients.differences import noise_floor, steps_of
from dlx.gradients.reference import TensorReference
from dlx.models.activations import Pointwise

Function = Callable[[Tensor], Tensor]
SAME = 1e-9
"""Relative difference up to which two derivatives by formulas are one: what rounding makes is far below."""
MAX_ENTRIES = 30
"""Entries of each tensor that a part is checked in."""
BETWEEN = "what the model computes itself, between its parts (a detach, a `.data`, a `no_grad`, an edit in place)"


def first_wrong_part(network: Network) -> str:
    """Name the first part of a network, in the order of a forward pass, whose backward is wrong.

    Args:
        network: Any module, with its loss.

    Returns:
        ``module 2 (Pointwise)`` or ``the loss``; that it lies between the parts, if each is right by itself.
    """
    for name, part, x in _calls(network):
        if not _is_right(part, x, list(part.parameters())):
            return f"module {name} ({type(part).__name__})" if name else f"the module ({type(part).__name__})"
    with torch.no_grad():
        outputs = network.module(network.inputs)

    def loss(outputs: Tensor) -> Tensor:
        return network.loss.value(outputs, network.targets, network.loss_h) * network.weights

    if not _is_right(loss, outputs, []):
        return f"the loss `{network.loss.name}`"
    return BETWEEN


def wrong_derivatives(network: Network, prior: Prior | None) -> list[Definition]:
    """Find the definitions that carry another derivative than autograd finds for their value, at the point.

    Args:
        network: Of layers that ``backprop.is_by_hand`` knows.
        prior: Whose penalties it has.
    """
    trace, outputs = forward(network)
    loss, h = network.loss, network.loss_h
    theta = nn.utils.parameters_to_vector(network.module.parameters()).detach()
    pairs: list[tuple[Definition, Function, Function, Tensor]] = [
        (layer.module.activation, layer.module.activation.value, layer.module.activation.derivative, layer.inputs)
        for layer in trace
        if isinstance(layer.module, Pointwise)
    ]
    pairs.append((
        loss, lambda o: loss.value(o, network.targets, h), lambda o: loss.derivative(o, network.targets, h), outputs
    ))  # fmt: skip
    if prior is not None:
        pairs.append((prior, network.penalties, network.penalty_slope, theta))
    wrong = [definition for definition, value, derivative, x in pairs if _differ(value, derivative, x)]
    return list(dict.fromkeys(wrong))


def _differ(value: Function, derivative: Function, x: Tensor) -> bool:
    """Tell whether a derivative is not what autograd gives for the sum of the values."""
    at = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        total = value(at).sum()
        right = torch.autograd.grad(total, at)[0] if total.requires_grad else torch.zeros_like(at)
    found = derivative(x.detach())
    return not bool((found - right).norm() <= SAME * right.norm())


def _calls(network: Network) -> list[tuple[str, nn.Module, Tensor]]:
    """Give each part that has no parts itself, with what it was given first, in the order of a forward pass."""
    calls: list[tuple[str, nn.Module, Tensor]] = []
    handles = []

    def watch(name: str, part: nn.Module) -> None:
        def note(part: nn.Module, inputs: Any) -> None:
            is_known = any(part is known for _, known, _ in calls)
            if len(inputs) == 1 and isinstance(inputs[0], Tensor) and inputs[0].is_floating_point() and not is_known:
                calls.append((name, part, inputs[0].detach().clone()))

        handles.append(part.register_forward_pre_hook(note))

    for name, part in network.module.named_modules():
        if not any(part.children()):
            watch(name, part)
    try:
        with torch.no_grad():
            network.module(network.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _is_right(function: Callable[[Tensor], Any], x: Tensor, parameters: list[nn.Parameter]) -> bool:
    """Compare the gradient of u'function(x) by x and parameters with differences; what cannot be compared is right."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        out = function(x)
        if not isinstance(out, Tensor) or not out.is_floating_point():
            return True
        u = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(0)).to(out.device)
        tensors = [x, *parameters]
        if not out.requires_grad:
            gradients = [torch.zeros_like(each) for each in tensors]
        else:
            gradients = list(torch.autograd.grad((out * u).sum(), tensors, materialize_grads=True))
    pairs = zip(tensors, gradients, strict=True)
    verdicts = [check_tensor("", g, _reference(lambda: function(x), each, u), 1).verdict for each, g in pairs]
    return max(verdicts, key=VERDICTS.index) not in ("suspicious", "wrong")


@torch.no_grad()
def _reference(evaluate: Callable[[], Tensor], tensor: Tensor, u: Tensor) -> TensorReference:
    """Take central differences of u'evaluate() by entries of a tensor, which is changed in place and restored."""
    data, generator = tensor.detach(), torch.Generator().manual_seed(1)
    entries = torch.randperm(data.numel(), generator=generator)[:MAX_ENTRIES].to(data.device)
    found = list(_quotients(evaluate, data, entries, u))
    values, crossed, allowed = (torch.tensor(each, device=data.device) for each in zip(*found, strict=True))
    empty = data.new_empty(0, data.numel())
    return TensorReference(tuple(data.shape), entries, values.to(data), crossed, allowed.to(data), empty, None)


def _quotients(
    evaluate: Callable[[], Tensor], data: Tensor, entries: Tensor, u: Tensor
) -> Iterator[tuple[float, bool, float]]:
    for place in entries:
        entry = torch.unravel_index(place, data.shape)
        before, step = data[entry].clone(), float(steps_of(data[entry]))
        ends, patterns = [], []
        for sign in (1, -1):
            data[entry] = before + sign * step
            branches = Branches()
            with branches:
                out = evaluate()
            ends.append((data[entry].clone(), (out * u).sum()))
            patterns.append(branches.pattern(u))
        data[entry] = before
        (up, high), (down, low) = ends
        floor = float(noise_floor(float(torch.maximum(high.abs(), low.abs())), torch.tensor(step)))
        yield float((high - low) / (up - down)), not torch.equal(*patterns), floor
