"""Plugins for tests: files as a user writes them."""

from pathlib import Path

from dlx.core.plugins import Plugin, load_plugin, read_plugin
from dlx.core.registry import use

QUADRATIC = '''\
from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.core.definition import Model
from dlx.core.types import Spec


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


class Net(nn.Module):
    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(*spec.input_shape, width, dtype=spec.dtype)
        self.last = nn.Linear(width, spec.num_outputs, dtype=spec.dtype)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        hidden = hidden * hidden  # the line that tests replace
        return self.last(hidden)


class Quadratic(Model):
    """Quadratic network: outputs = W_2 (W_1 inputs + b_1)**2 + b_2. It has one hidden layer."""

    name: Literal["quadratic"] = "quadratic"
    width: PositiveInt = 4
    """Hidden units."""

    def build(self, spec: Spec) -> nn.Module:
        """Build the module, [B, D] -> [B, C]."""
        return Net(spec, self.width)
'''
"""A model that can be stacked; ``with_line`` changes how it squares."""
OLD_STYLE = "hidden = Square.apply(hidden)"
"""An autograd.Function in the old style, which vmap refuses."""

ABSOLUTE = '''\
from typing import ClassVar, Literal

from dlx.losses.mse import MeanSquaredError


class Absolute(MeanSquaredError):
    """Mean absolute error of a user's own."""

    name: Literal["absolute"] = "absolute"

    def value(self, outputs, targets, h):
        """Give mean_c |e_c|, [B]."""
        return (outputs - targets).abs().mean(-1)
'''


def with_line(line: str) -> str:
    """Give the quadratic network with another line where it squares."""
    return QUADRATIC.replace("hidden = hidden * hidden  # the line that tests replace", line)


def write_plugin(folder: Path, text: str = QUADRATIC, name: str = "own.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def load(folder: Path, text: str = QUADRATIC, name: str = "own.py") -> Plugin:
    """Write a plugin and load it."""
    return load_plugin(read_plugin(write_plugin(folder, text, name)))


def put_in_use(folder: Path, text: str = QUADRATIC, name: str = "own.py") -> Plugin:
    """Write a plugin, load it and let names mean its definitions until the end of the test."""
    plugin = load(folder, text, name)
    use([plugin])
    return plugin


WRONG_GRADIENTS = '''\
"""A user's layer and loss."""

from typing import ClassVar, Literal

import torch
from torch import nn

from dlx.core.definition import Loss, Model


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sin(x)

    @staticmethod
    def backward(ctx, delta):
        (x,) = ctx.saved_tensors
        return delta * torch.cos(x) * 2


class Sine(nn.Module):
    def forward(self, x):
        return Wrong.apply(x)


class SineNet(Model):
    """A network of sines."""

    name: Literal["sine_net"] = "sine_net"
    hidden: int = 5

    def build(self, spec):
        return nn.Sequential(
            nn.Linear(*spec.input_shape, self.hidden, dtype=spec.dtype), Sine(),
            nn.Linear(self.hidden, spec.num_outputs, dtype=spec.dtype),
        )


class BrokenLoss(Loss):
    """Squared errors whose gradient is half of what it should be."""

    distribution: ClassVar[str] = "Gaussian"
    task: ClassVar = "regression"
    name: Literal["broken"] = "broken"

    def num_outputs(self, num_targets):
        return num_targets

    def value(self, outputs, targets, h):
        error = outputs - targets
        return (error * error.detach()).mean(-1)

    def derivative(self, outputs, targets, h):
        return 2 * (outputs - targets) / outputs.shape[-1]

    def nll(self, outputs, targets, h):
        return self.value(outputs, targets, h)

    def predict(self, outputs):
        return outputs
'''
"""A model with a wrong backward, in the old style, and a loss that detaches a part of itself."""
