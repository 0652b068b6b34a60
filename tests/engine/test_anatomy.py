"""Layers, floating-point operations and bytes, against closed forms, for modules of any kind."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlx.engine.anatomy import FlopCounter, activation_bytes, count_forward, read_layers


class Odd(nn.Module):
    """Parameters of its own, a layer used twice, one used never, one whose output is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(6))
        self.twice = nn.Linear(6, 6)
        self.never = nn.Linear(3, 2)
        self.memory = nn.LSTM(6, 4, batch_first=True)
        self.body = nn.Sequential(nn.Dropout(0.25), nn.Linear(4, 2, bias=False))

    def forward(self, x: Tensor) -> Any:
        x = self.twice(self.twice(x)) * self.gain
        found, _ = self.memory(x.unsqueeze(1))
        return self.body(found.squeeze(1))


def test_layers_of_an_odd_module() -> None:
    module = Odd()
    layers = [
        (each.name, each.kind, each.output_shape, each.num_parameters) for each in read_layers(module, torch.ones(5, 6))
    ]
    assert layers == [
        ("twice", "Linear", (6,), 42),
        ("twice", "Linear", (6,), 0),
        ("memory", "LSTM", None, 4 * (4 * 6 + 4 * 4 + 4 + 4)),
        ("body.0", "Dropout(p=0.25, inplace=False)", (4,), 0),
        ("body.1", "Linear", (2,), 8),
        ("", "Odd", (2,), 6),
    ]
    assert not any(part._forward_hooks for part in module.modules()), "the module is left as it was"


def test_operations_of_a_convolution_and_a_matrix() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 49, 10))
    convolution, matrix = 2 * 8 * 3 * 25 * 49, 2 * 8 * 49 * 10
    assert count_forward(module, torch.ones(4, 3, 7, 7)) == 4 * (convolution + matrix)


def test_operations_of_a_backward_pass() -> None:
    first, second = nn.Linear(7, 5), nn.Linear(5, 3)
    with FlopCounter() as counter:
        second(first(torch.ones(11, 7)).tanh()).sum().backward()
    forward = 2 * 11 * (7 * 5 + 5 * 3)
    assert counter.total == forward + forward + 2 * 11 * 5 * 3, "the first layer passes nothing back to the inputs"


def test_bytes_of_activations() -> None:
    module = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3), nn.Tanh()).double()
    whole = torch.ones(1000, 7, dtype=torch.float64)
    assert activation_bytes(module, whole[:11]) == 8 * 11 * (7 + 5 + 3), "inputs, and what relu and tanh give"
