"""Small searches: trained whole or in pieces, counted, and repeated cell by cell by the recipe of `dlx train`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments import CPU

from dlx.commands.cell import COMPARED, overrides_of
from dlx.commands.cv import load_search
from dlx.commands.plan import Plan
from dlx.commands.results import train_result
from dlx.commands.train import build_populations
from dlx.config.experiment import resolved_yaml
from dlx.config.load import load_experiment_and_data
from dlx.core.records import Cell
from dlx.engine.fit import fit
from dlx.engine.population import Member, Population
from dlx.search.cross_validation import Standing
from dlx.search.journal import Journal, Line
from dlx.search.roster import Restore
from dlx.search.study import Setup, Study
from dlx.tracking.files import finite

MOONS = """\
data: {name: two_moons, num_examples: 67, split: {valid: 0.2}}
model: {name: mlp, hidden: [5]}
loss: binary_cross_entropy
optimizer: {name: momentum, lr: 0.05}
training: {epochs: 4, batch_size: 10, early_stopping: null}
device: cpu
cv: {folds: 3}
"""


def nothing_saved(wanted: Set[Cell], member: Callable[[Cell], Member]) -> Standing:
    return Standing()


def by_place(lines: Iterable[Line]) -> dict[tuple[int, ...], Line]:
    """Lines by trial, budget, repeat, fold and seed."""
    return {tuple(line[key] for key in ("trial", "epochs", "repeat", "fold", "seed")): line for line in lines}


class Search:
    """A search in a folder: its config, and the journal that every study of it writes."""

    def __init__(self, folder: Path, space: str, text: str = MOONS) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.config = folder, folder / "search.yaml"
        self.config.write_text(f"{text}search: {space}\n")

    def setup(self, *overrides: str) -> Setup:
        return load_search(self.config, overrides)[0]

    @contextmanager
    def study(self, *overrides: str, restore: Restore = nothing_saved, **more: Any) -> Iterator[Study]:
        with Journal.open(self.folder) as journal:
            yield Study(self.setup(*overrides), journal, restore, **more)

    def run(self, *overrides: str, restore: Restore = nothing_saved, **more: Any) -> Study:
        """Run a study to its end."""
        with self.study(*overrides, restore=restore, **more) as study:
            for _ in study.run():
                pass
        return study

    def alone(self, line: Line) -> dict[str, Any]:
        """Train one cell as `dlx train` does, and give its part of result.json."""
        resolved = self.folder / "resolved.yaml"
        resolved.write_text(resolved_yaml(self.setup().experiment))
        loaded, examples = load_experiment_and_data(resolved, overrides_of(line))
        plan = Plan.make(loaded.experiment, examples)
        populations, data = build_populations(plan), plan.device_examples()
        for _ in fit(populations, data):
            pass
        (member,) = finite(train_result(plan.experiment, populations, data))["members"]
        return member

    def differing(self, lines: Iterable[Line]) -> list[tuple[str, str, Any, Any]]:
        """Name what differs between cells and the same cells alone."""
        return [
            (line["id"], key, line.get(key), alone.get(key))
            for line in lines
            for alone in [self.alone(line)]
            for key in (*COMPARED, "stop_reason")
            if line.get(key) != alone.get(key)
        ]


class Saved:
    """The populations of a standing as a saved state holds them, and the restore of a study that goes on from it."""

    def __init__(self, standing: Standing) -> None:
        self.num_restored = 0
        self._states = [copy.deepcopy(population.save()) for population in standing.populations]
        self._curves = copy.deepcopy(standing.curves)

    def restore(self, wanted: Set[Cell], member: Callable[[Cell], Member]) -> Standing:
        standing = Standing()
        for tensors, rest in copy.deepcopy(self._states):
            cells = [Cell(*cell) for cell in rest["cells"]]
            if wanted.isdisjoint(cells):
                continue
            members = [member(cell) for cell in cells]
            standing.populations.append(Population.restore(members, tensors, rest, CPU))
            standing.curves.update((cell, self._curves[cell]) for cell in cells if cell in self._curves)
            self.num_restored += 1
        return standing
