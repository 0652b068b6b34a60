"""What the rows of a matrix theta need to be computed: one module, and the constants of each row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dlx.core.types import Hyper
from dlx.engine.feed import DeviceExamples, Feed, RowAffine
from dlx.engine.layout import Layout
from dlx.engine.population import Member


class Rows:
    """Members side by side as the rows of theta.

    Args:
        members: The member of each row, of one structure; at least two rows (company invariance, rule B).
        theta: Their parameters, [M, P]; held by reference.
        data: The examples.

    Attributes:
        module: An ordinary module for its structure; its own parameters are not used.
        layout: Where the module's parameters lie in theta.
        feed: Takes the rows' examples out of memory.
        target_scale: Maps of the targets of each row, or None where targets are classes.
    """

    def __init__(self, members: Sequence[Member], theta: Tensor, data: DeviceExamples) -> None:
        self.members, self.theta = members, theta
        self.recipe = members[0].recipe
        with torch.random.fork_rng(devices=[]):
            self.module = self.recipe.model.build(self.recipe.spec).to(theta.device)
        self.layout = Layout.of(self.module)
        target_maps = [member.target_scale for member in members if member.target_scale is not None]
        self.target_scale = RowAffine(target_maps, theta) if target_maps else None
        self.feed = Feed(data, RowAffine([member.input_scale for member in members], theta), self.target_scale)

    @property
    def target_map(self) -> dict[str, Tensor]:
        """The map of targets, ``shift`` and ``scale`` [M, 1, C], or nothing where targets are classes."""
        return {} if self.target_scale is None else {"shift": self.target_scale.shift, "scale": self.target_scale.scale}

    def tunables(self, section: str) -> Hyper:
        """Stack the tunables of ``loss``, ``prior``, ``optimizer`` or ``schedule``.

        Returns:
            Each tunable as [M, 1] in theta's dtype; complements 1 - value are formed in float64 before the cast.
        """
        rows = [member.recipe.definitions()[section].tunables() for member in self.members]
        columns = {name: torch.tensor([[row[name]] for row in rows], dtype=torch.float64) for name in rows[0]}
        return Hyper(
            {name: column.to(self.theta) for name, column in columns.items()},
            {name: (1 - column).to(self.theta) for name, column in columns.items()},
        )

    def loss_tunables(self) -> dict[str, Tensor]:
        """Stack the tunables of the loss as [M], which vmap turns into the scalars that a loss is written for."""
        stacked = self.tunables("loss")
        return {name: getattr(stacked, name).squeeze(1) for name in self.recipe.loss.tunables()}
