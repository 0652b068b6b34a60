"""What a search leaves on disk while it runs: the populations that are in training, and the curves of their members."""

from __future__ import annotations

from collections.abc import Callable, Set
from pathlib import Path

import torch

from dlx.commands.saving import STATE, pack, unpack
from dlx.core.errors import CheckpointError
from dlx.core.records import Cell
from dlx.engine.population import Member, Population
from dlx.search.cross_validation import Curve, Standing
from dlx.tracking.checkpoints import load_tensors, save_tensors


def save_search(folder: Path, identity: str, standing: Standing, seconds: float) -> None:
    """Save the populations that are in training, as one file.

    Args:
        folder: Where.
        identity: Hash of all that must not change.
        standing: Where the training stands.
        seconds: What the search has taken so far.
    """
    tensors, populations = pack(standing.populations)
    going_on = {member.cell for population in standing.populations for member in population.members}
    curves = [[list(cell), curve] for cell, curve in standing.curves.items() if cell in going_on]
    state = {"identity": identity, "populations": populations, "curves": curves, "seconds": round(seconds, 3)}
    save_tensors(folder / STATE, tensors, state)


class SavedSearch:
    """The populations that were in training when a run was last saved.

    Args:
        folder: That of the run; where it has no saved state, nothing was in training.
        identity: As for ``save_search``.
        device: Where they go on.
        command: The command of the run.

    Attributes:
        seconds: What the search had taken then.

    Raises:
        CheckpointError: If the state is damaged or of another search.
    """

    def __init__(self, folder: Path, identity: str, device: torch.device, command: str) -> None:
        path = folder / STATE
        self._device = device
        self._tensors, state = (
            load_tensors(path) if path.exists() else ({}, {"populations": [], "curves": [], "seconds": 0.0})
        )
        if path.exists() and (not isinstance(state, dict) or state.get("identity") != identity):
            raise CheckpointError(
                f"{path} belongs to another search: config.resolved.yaml or the data have changed since; restore them, "
                f"or search anew with: dlx {command} {folder / 'config.resolved.yaml'}"
            )
        self.seconds: float = state["seconds"]
        self._populations = state["populations"]
        self._curves: dict[Cell, Curve] = {Cell(*cell): curve for cell, curve in state["curves"]}

    def restore(self, wanted: Set[Cell], member: Callable[[Cell], Member]) -> Standing:
        """Give the populations that train any of some cells, and the curves of their members.

        Args:
            wanted: Cells that are still to be trained.
            member: Makes the member of a cell.
        """
        standing = Standing()
        for number, rest in enumerate(self._populations):
            cells = [Cell(*cell) for cell in rest["cells"]]
            if wanted.isdisjoint(cells):
                continue
            own, members = unpack(self._tensors, number), [member(cell) for cell in cells]
            standing.populations.append(Population.restore(members, own, rest, self._device))
            standing.curves.update((cell, self._curves[cell]) for cell in cells if cell in self._curves)
        return standing
