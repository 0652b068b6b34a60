"""Small networks with their data, as error surfaces in float64, and user-like modules with faults."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlx.core.definition import Activation, Loss, Prior
from dlx.core.records import Cell
from dlx.core.registry import registered
from dlx.core.settings import Split, Training
from dlx.core.types import Examples
from dlx.datasets.iris import Iris
from dlx.engine.error_surface import ErrorSurface, without_chance
from dlx.engine.feed import DeviceExamples
from dlx.engine.population import MemberFactory, Recipe, initial_weights
from dlx.gradients.differences import finish
from dlx.gradients.reference import Reference, take_reference
from dlx.metrics.nll import NegativeLogLikelihood
from dlx.models.mlp import MLP
from dlx.optimizers.sgd import SGD
from dlx.schedules.constant import Constant

BATCH = 8
ACTIVATIONS = {name: cls() for name, cls in registered(Activation).items()}
LOSSES = {name: cls() for name, cls in registered(Loss).items()}


def examples_for(loss: Loss, seed: int, num: int = 24, num_features: int = 5) -> Examples:
    """Random inputs with targets that a loss can take."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(num, num_features))
    if loss.task == "classification":
        classes = 2 if loss.name == "binary_cross_entropy" else 4
        targets = np.arange(num) % classes
        return Examples(inputs, targets, "classification", tuple("abcde"[:num_features]), tuple("wxyz"[:classes]))
    columns = 1 if loss.raw_targets else 2
    values = random.poisson(3.0, size=(num, columns)) if loss.raw_targets else random.normal(size=(num, columns))
    names = tuple("wxyz"[:columns])
    return Examples(inputs, values.astype(np.float64), "regression", tuple("abcde"[:num_features]), names)


def surface_of(
    loss: Loss | str = "cross_entropy", seed: int = 0, prior: Prior | None = None, model: Any = None, **settings: Any
) -> ErrorSurface:
    """The error of a small network on some random examples; further settings are those of an ``MLP``."""
    loss = LOSSES[loss] if isinstance(loss, str) else loss
    examples = examples_for(loss, seed)
    sections = {
        "model": model or MLP.model_validate({"hidden": (6, 4), **settings}),
        "loss": loss, "prior": prior, "optimizer": SGD(), "schedule": Constant(),
        "metrics": (NegativeLogLikelihood(),), "training": Training(), "dtype": "float64",
    }  # fmt: skip
    recipe = Recipe.of(sections, examples)
    scale = "none" if loss.raw_targets else "standard"
    dataset = Iris(split=Split(valid=0, test=0.25, stratify=False), target_scale=scale)
    member = without_chance(MemberFactory(examples).member(Cell(seed), recipe, dataset))
    data = DeviceExamples.load(examples, torch.device("cpu"), torch.float64)
    return ErrorSurface(member, initial_weights([member])[0], data, member.parts.train[:BATCH])


def named(surface: ErrorSurface, flat: Tensor) -> dict[str, Tensor]:
    return {name: tensor[0] for name, tensor in surface.layout.unflatten(flat[None]).items()}


def without_prior(surface: ErrorSurface) -> ErrorSurface:
    member = surface._member
    alone = dataclasses.replace(member, recipe=dataclasses.replace(member.recipe, prior=None))
    return ErrorSurface(alone, surface._weights, surface._data, surface._indices[0].numpy())


def reference_of(surface: ErrorSurface) -> Reference:
    return finish(take_reference(surface, surface.gradient(surface.theta)[1]))


class Twice(torch.autograd.Function):
    """The square, with a backward that forgets its 2."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.square()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *upper: Any) -> Tensor:
        (x,) = ctx.saved_tensors
        return upper[0] * x

    generate_vmap_rule = True


class Squares(nn.Module):
    """A layer that applies it."""

    def forward(self, x: Tensor) -> Tensor:
        return Twice.apply(x)
