"""The trials of a run and their cells: what each cell is called, who trains it, and what is still to be trained."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from dlx.core.records import Cell
from dlx.engine.fit import populations_of
from dlx.engine.population import Member, MemberFactory, Population
from dlx.search.cells import Trial, cell_name
from dlx.search.cross_validation import Bench, Standing
from dlx.search.journal import Journal, Line

Restore = Callable[[Set[Cell], Callable[[Cell], Member]], Standing]
"""Gives the populations that train any of some cells as they were last saved, whose members a function makes."""


@dataclass
class Roster:
    """Who trains.

    Attributes:
        data_hash: Hash of the data.
        factory: Makes members.
        bench: What they are trained on.
        journal: What was found so far.
        restore: Gives what was in training when a run was stopped.
        trials: Trials so far, by their number.
    """

    data_hash: str
    factory: MemberFactory
    bench: Bench
    journal: Journal
    restore: Restore
    trials: list[Trial] = field(default_factory=list)
    _names: dict[tuple[Cell, int], str] = field(default_factory=dict, init=False)

    def name(self, cell: Cell, epochs: int) -> str:
        """Name a cell that trains for so many epochs."""
        key = cell, epochs
        if key not in self._names:
            self._names[key] = cell_name(self.trials[cell.trial], cell, epochs, self.data_hash)
        return self._names[key]

    def identify(self, cell: Cell, epochs: int) -> Line:
        """Give the head of a cell's line: its name, and what its config has of its own."""
        return {"id": self.name(cell, epochs), "values": self.trials[cell.trial].values}

    def member(self, cell: Cell) -> Member:
        """Make the member of a cell."""
        return self.factory.member_of(cell, dict(self.trials[cell.trial].experiment))

    def missing(self, cells: Iterable[tuple[Cell, int]]) -> list[Cell]:
        """Give the cells that the journal has not, each with its epochs: of equal ones the first."""
        named: dict[str, Cell] = {}
        for cell, epochs in cells:
            named.setdefault(self.name(cell, epochs), cell)
        return [cell for name, cell in named.items() if name not in self.journal.cells]

    def begin(self, cells: Sequence[Cell]) -> tuple[Iterator[Population], Standing]:
        """Stack the members of cells; those that were in training when the run was stopped go on first."""
        standing = self.restore(set(cells), self.member)
        going_on = {member.cell for population in standing.populations for member in population.members}
        others = [self.member(cell) for cell in cells if cell not in going_on]
        return itertools.chain(standing.populations, populations_of(others, self.bench.device)), standing
