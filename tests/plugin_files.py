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
