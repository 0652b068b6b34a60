"""What a model is made of and what it costs: layers, floating-point operations, bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Layer:
    """One call of one part of a module.

    Attributes:
        name: As in the module's ``state_dict``; empty for the module itself.
        kind: Name of its class, with its settings where it has no parameters.
        output_shape: Shape of its output for one example, or None if that is no tensor.
        num_parameters: Parameters of its own that no call before it used.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...] | None
    num_parameters: int


def read_layers(module: nn.Module, inputs: Tensor) -> list[Layer]:
    """List the layers of a module in the order in which a forward pass ends them.

    A layer is a part that has no parts of its own, or has parameters that are in none of its parts. What a module
    computes between its parts is not seen.

    Args:
        module: Any module.
        inputs: A batch, [B, ...].
    """
    layers: list[Layer] = []
    used: set[int] = set()
    handles = []

    def watch(name: str, part: nn.Module) -> None:
        own = list(part.parameters(recurse=False))

        def note(part: nn.Module, inputs: Any, output: Any) -> None:
            count = sum(parameter.numel() for parameter in own if id(parameter) not in used)
            used.update(map(id, own))
            shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
            layers.append(Layer(name, type(part).__name__ if own else str(part), shape, count))

        if own or not any(part.children()):
            handles.append(part.register_forward_hook(note))

    for name, part in module.named_modules():
        watch(name, part)
    try:
        with torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return layers


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts floating-point operations by the formulas of ``torch.utils.flop_counter``.

    They know products of matrices, convolutions and attention, two operations for each multiplication with addition;
    what works element by element counts nothing. torch's own mode over the same formulas imports torch._dynamo, which
    takes seconds.

    Attributes:
        total: Operations so far.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        from torch.utils.flop_counter import flop_registry

        self._formulas = flop_registry
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = self._formulas.get(func.overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def count_forward(module: nn.Module, inputs: Tensor) -> int:
    """Count the floating-point operations of a forward pass over a batch, as ``FlopCounter`` does."""
    with torch.no_grad(), FlopCounter() as counter:
        module(inputs)
    return int(counter.total)


def activation_bytes(module: nn.Module, inputs: Tensor) -> int:
    """Count the bytes that a forward pass over a batch keeps for the backward pass, the batch itself included."""
    parameters = {parameter.untyped_storage()._cdata for parameter in module.parameters()}
    kept: dict[int, Tensor] = {}  # the tensors are held, so that no identity comes twice

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in parameters:
            kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(inputs.clone())
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
