"""A cell of a search is, to the last bit, the training that `dlx train` makes of it alone."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from experiments import CPU, make_members
from search.studies import MOONS, Search
from sklearn.metrics import accuracy_score, log_loss

from dlx.core.records import Cell
from dlx.engine.feed import DeviceExamples
from dlx.engine.fit import fit, fit_each, populations_of
from dlx.engine.layout import Layout
from dlx.engine.population import Population
from dlx.search.cross_validation import add_epochs
from dlx.search.journal import Line
from dlx.search.study import Study

MIXED = """{method: random, trials: 14, space: {
    optimizer.lr: [0.05, 0.5, 3.0, 0.003], model.dropout: [0.0, 0.3, 0.6], model.hidden: [[5], [9]],
    prior: [null, {name: gaussian, precision: 1.0}, {name: gaussian, precision: 30.0}],
    training.clip_norm: [null, 0.5, 0.05], model.batch_norm: [false, true]}}"""
VALUES = """\
data: {name: diabetes, split: {valid: 0.2}}
model: {name: mlp, hidden: [5]}
loss: mse
optimizer: {name: momentum, lr: 0.05}
training: {epochs: 10, batch_size: BATCH, early_stopping: {patience: 2}}
device: cpu
cv: {folds: 4}
"""
DIVERGING = "{space: {optimizer.lr: [0.05, 0.6, 1.0, 1.5, 2.0, 3.0, 10.0, 1.0e+5], model.hidden: [[5], [3]]}}"


def early(text: str) -> str:
    return text.replace("early_stopping: null", "early_stopping: {patience: 1}").replace("epochs: 4", "epochs: 9")


def without_validation(text: str) -> str:
    return re.sub(r"early_stopping: {.*?}", "early_stopping: null", text).replace("valid: 0.2", "valid: 0")


def some(study: Study, every: int) -> list[Line]:
    """A part of the cells, of all folds."""
    return list(study.journal.cells.values())[::every]


@pytest.mark.parametrize("has_validation", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_cells_of_mixed_trials_are_those_of_trainings_alone(tmp_path: Path, has_validation: bool) -> None:
    text = early(MOONS).replace("folds: 3", "folds: 4, seeds: [3, 5]")
    search = Search(tmp_path, MIXED, text if has_validation else without_validation(text))
    study = search.run()
    sizes = {(line["num_train"], line["num_test"]) for line in study.journal.cells.values()}
    assert len(sizes) > 1, "folds must be ragged"
    lines = some(study, 7)
    assert {(line["seed"], line["fold"]) for line in lines} == {(s, f) for s in (3, 5) for f in range(4)}
    assert search.differing(lines) == []
    if has_validation:
        assert {line["stop_reason"] for line in study.journal.cells.values()} == {"patience", "max_epochs"}
        assert len({line["best_epoch"] for line in lines}) > 3


@pytest.mark.parametrize(
    ("has_validation", "batch"), [(True, "50"), pytest.param(False, "100", marks=pytest.mark.slow), (False, "full")]
)
def test_cells_that_diverge_are_those_of_trainings_alone(tmp_path: Path, has_validation: bool, batch: str) -> None:
    text = VALUES.replace("BATCH", batch)
    search = Search(tmp_path, DIVERGING, text if has_validation else without_validation(text))
    study = search.run()
    lines = some(study, 3)
    assert {"diverged"} < {line["stop_reason"] for line in lines}
    assert len({line.get("first_nonfinite_step") for line in lines}) > 3
    assert search.differing(lines) == []


@pytest.mark.parametrize("changes", [{"num_workers": 1}, {"num_workers": 4}, {"chunk_bytes": (1, 400)}], ids=str)
def test_chunks_change_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]) -> None:
    """Each chunk compacts at other times."""
    space, text = "{space: {optimizer.lr: [0.05, 0.5, 3.0, 0.003, 0.01], model.dropout: [0.0, 0.3]}}", early(MOONS)
    expected = Search(tmp_path / "whole", space, text).run().journal.cells
    if "num_workers" in changes:
        monkeypatch.setattr("dlx.engine.fit.num_workers", lambda device, threads: changes["num_workers"])
    monkeypatch.setattr("dlx.engine.fit.CHUNK_BYTES", changes.get("chunk_bytes", (1, 1 << 30)))
    study = Search(tmp_path / "cut", space, text).run()
    assert study.journal.cells == expected
    monkeypatch.setattr("dlx.engine.population.Population.is_sparse", lambda population: False)
    assert Search(tmp_path / "never compacted", space, text).run().journal.cells == expected


def test_populations_are_of_one_structure_each() -> None:
    members = []
    for number in range(12):
        one, _ = make_members([Cell(number)], hidden=((7,), (9,), (7, 7))[number % 3])
        members += one
    found = list(populations_of(members, CPU))
    assert [len({member.structure for member in population.members}) for population in found] == [1] * len(found)
    cells = [member.cell for population in found for member in population.members]
    assert sorted(cells) == [member.cell for member in members]
    assert len(found) == 3


def test_scores_are_those_of_an_ordinary_module_on_the_held_out_examples(tmp_path: Path) -> None:
    """Independently: the fold's own scaling, a module, scikit-learn's scores, and the weights of a bare fit."""
    search = Search(tmp_path, "{space: {optimizer.lr: [0.3]}}", MOONS.replace("device", "dtype: float64\ndevice"))
    study = search.run()
    setup = study.setup
    inputs, targets = setup.examples.inputs, setup.examples.targets
    for cell in study.cells(0):
        line = study.journal.cells[study.name(cell, 4)]
        member = setup.member(study.trials[0], cell)
        (population,) = populations_of([member], CPU)
        for _ in fit_each([population], setup.bench.data):
            pass
        module = member.recipe.model.build(member.recipe.spec).double()
        named = Layout.of(module).unflatten(population.best_weights)
        module.load_state_dict({name: tensor[0] for name, tensor in named.items()}, strict=False)
        module.eval()
        train = inputs[member.parts.train]
        for part in ("train", "valid", "test"):
            chosen = getattr(member.parts, part)
            scaled = (inputs[chosen] - train.mean(0)) / train.std(0)
            with torch.no_grad():
                probability = module(torch.from_numpy(scaled)).squeeze(-1).sigmoid().numpy()
            assert line[part]["loss"] == pytest.approx(log_loss(targets[chosen], probability), rel=1e-9)
            assert line[part]["accuracy"] == pytest.approx(accuracy_score(targets[chosen], probability > 0.5))
            assert line[f"num_{part}"] == len(chosen)
    held_out = np.concatenate([setup.member(study.trials[0], cell).parts.test for cell in study.cells(0)])
    assert sorted(held_out) == list(range(67)), "every example is held out once"


def test_curves_have_a_value_for_every_epoch(tmp_path: Path) -> None:
    study = Search(tmp_path, MIXED, early(MOONS)).run()
    for line in study.journal.cells.values():
        assert set(line["curve"]) == {"train", "valid"}
        assert {len(curve) for curve in line["curve"].values()} == {line["last_epoch"]}
        assert line["curve"]["valid"][line["best_epoch"] - 1] == min(line["curve"]["valid"]) == line["valid"]["loss"]
    cell = study.cells(3)[1]
    population, records = Population.build([study.setup.member(study.trials[3], cell)], CPU), []
    for record in fit([population], study.setup.bench.data):
        records += getattr(record, "members", ())
    line = study.journal.cells[study.name(cell, 9)]
    assert line["curve"]["train"] == [record.objective for record in records]
    assert line["curve"]["valid"] == [record.scores["valid"]["loss"] for record in records]


def test_curves_take_no_epoch_of_a_member_that_diverged() -> None:
    members, examples = make_members([Cell(0), Cell(1)], loss="mse", optimizer="sgd", rates=[1e9, 0.01])
    (population,) = populations_of(members, CPU)
    curves = {member.cell: {"train": list[float](), "valid": list[float]()} for member in members}
    for found in fit_each([population], DeviceExamples.load(examples, CPU, torch.float32)):
        add_epochs(curves, found.epochs)
    assert curves[Cell(0)] == {"train": [], "valid": []}
    assert [len(curve) for curve in curves[Cell(1)].values()] == [3, 3]


def test_a_last_step_that_diverges_without_validation_is_no_score(tmp_path: Path) -> None:
    text = (
        VALUES.replace("VALID", "0")
        .replace("BATCH", "full")
        .replace("early_stopping: {patience: 2}", "clip_norm: null")
    )
    space = "{space: {optimizer.lr: [3.0]}}"
    lines = Search(tmp_path / "long", space, text).run().journal.cells.values()
    first = next(line["first_nonfinite_step"] for line in lines if line["fold"] == 0)
    shorter = text.replace("epochs: 10", f"epochs: {first - 1}")
    search = Search(tmp_path / "short", space, shorter)
    line = next(line for line in search.run().journal.cells.values() if line["fold"] == 0)
    assert (line["stop_reason"], line["first_nonfinite_step"]) == ("diverged", first)
    assert math.isfinite(line["last_finite_loss"])
    assert not {"train", "test", "curve"} & line.keys()
    assert search.differing([line]) == []
