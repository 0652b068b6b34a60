"""What the rows of a matrix theta need to be computed: one module, and the constants of each row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlx.core.types import Hyper
from dlx.data.splits import Indices
from dlx.engine.feed import DeviceExamples, Feed, RowAffine
from dlx.engine.layout import Layout
from dlx.engine.mapping import own_generator
from dlx.engine.population import Member, Recipe

SUPPLIED = ("key", "example_weights")
"""Buffers of a module that the objective fills anew at every step."""


class Rows:
    """Members side by side as the rows of a matrix.

    Args:
        members: The member of each row, of one structure; at least two rows (company invariance, rule B).
        weights: What they own, [M, P + Q]; held by reference.
        data: The examples.

    Attributes:
        module: An ordinary module for their structure; its own parameters are not used.
        layout: Where what the module owns lies in the columns.
        theta: The parameters, a view of the weights, [M, P].
        statistics: The rest of the weights, a view, [M, Q].
        constants: The other buffers of each member's module, name: [M, ...].
        feed: Takes the rows' examples out of memory.
        target_scale: Maps of the targets of each row, or None where targets are classes.
    """

    def __init__(self, members: Sequence[Member], weights: Tensor, data: DeviceExamples) -> None:
        self.members, self.weights = members, weights
        self.recipe = members[0].recipe
        self.module = _build(members[0].recipe).to(weights.device)
        self.layout = Layout.of(self.module)
        num_parameters = self.layout.num_parameters
        self.theta, self.statistics = weights[:, :num_parameters], weights[:, num_parameters:]
        self.constants = self._stack_constants()
        target_maps = [member.target_scale for member in members if member.target_scale is not None]
        self.target_scale = RowAffine(target_maps, weights) if target_maps else None
        self._targets = data.targets
        self.feed = Feed(data, RowAffine([member.input_scale for member in members], weights), self.target_scale)

    def _stack_constants(self) -> dict[str, Tensor]:
        """Stack the buffers that a member's settings decide: one module for each setting."""
        named = dict(self.module.named_buffers())
        names = [name for name in named if name not in self.layout.statistics and _leaf(name) not in SUPPLIED]
        if not names:
            return {}
        built = {self.recipe.model: named}
        for member in self.members:
            if member.recipe.model not in built:
                built[member.recipe.model] = dict(_build(member.recipe).named_buffers())
        rows = [built[member.recipe.model] for member in self.members]
        return {name: torch.stack([row[name].to(self.weights.device) for row in rows]) for name in names}

    def supplied(self, name: str) -> list[str]:
        """Give the full names of the buffers called ``key`` or ``example_weights``, in the order of their modules."""
        return [each for each, _ in self.module.named_buffers() if _leaf(each) == name]

    @property
    def is_stackable(self) -> bool:
        """Whether rows are computed together; else one by one."""
        return self.recipe.obstacle is None

    @property
    def target_map(self) -> dict[str, Tensor]:
        """The map of targets, ``shift`` and ``scale`` [M, 1, C], or nothing where targets are classes."""
        return {} if self.target_scale is None else {"shift": self.target_scale.shift, "scale": self.target_scale.scale}

    def tunables(self, section: str) -> Hyper:
        """Stack the tunables of ``loss``, ``prior``, ``optimizer``, ``schedule`` or ``training``.

        Returns:
            Each tunable as [M, 1] in theta's dtype; complements 1 - value are formed in float64 before the cast.
        """
        rows = [member.recipe.tunables(section) for member in self.members]
        columns = {name: torch.tensor([[row[name]] for row in rows], dtype=torch.float64) for name in rows[0]}
        return Hyper(
            {name: column.to(self.weights) for name, column in columns.items()},
            {name: (1 - column).to(self.weights) for name, column in columns.items()},
        )

    def loss_settings(self) -> dict[str, Tensor]:
        """Stack the ``h`` of the loss as [M, ...], which vmap turns into what a loss is written for.

        That is its tunables, [M], and what it takes from the training targets of each member.
        """
        stacked = self.tunables("loss")
        trained_on = [member.parts.train for member in self.members]
        fitted = {id(part): self._fit_loss(part) for part in {id(part): part for part in trained_on}.values()}
        rows = [fitted[id(part)] for part in trained_on]
        return {
            **{name: getattr(stacked, name).squeeze(1) for name in self.recipe.tunables("loss")},
            **{name: torch.stack([row[name] for row in rows]).to(self.weights) for name in rows[0]},
        }

    def _fit_loss(self, train: Indices) -> dict[str, Tensor]:
        targets = self._targets[torch.from_numpy(train).to(self._targets.device)]
        return self.recipe.loss.fit(targets, self.recipe.spec.num_outputs)


def _build(recipe: Recipe) -> nn.Module:
    with own_generator():
        return recipe.build()


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]
