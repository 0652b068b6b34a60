"""The name of a cell follows everything that its result depends on, and nothing else."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from plugin_files import QUADRATIC, write_plugin
from search.studies import Search

from dlx.config.experiment import Experiment
from dlx.config.load import load_experiment, load_experiment_and_data
from dlx.core.records import Cell
from dlx.search.cells import IRRELEVANT, Trial, cell_name, cell_overrides

CELL = Cell(0, 0, 1)
RELEVANT = [
    "data.num_examples=70",
    "plugins=[own.py]",
    "data.scale=minmax",
    "data.split.seed=1",
    "data.split.valid=0.3",
    "data.split.stratify=false",
    "cv.folds=4",
    "model.hidden=[6]",
    "model.activation=tanh",
    "model.dropout=0.1",
    "loss.label_smoothing=0.1",
    "prior={name: gaussian, precision: 1e-3}",
    "optimizer.lr=0.051",
    "optimizer=adam",
    "schedule=cosine",
    "metrics=[accuracy, f1]",
    "training.batch_size=11",
    "training.early_stopping={patience: 4}",
    "training.input_noise=0.1",
    "training.clip_norm=1.0",
    "dtype=float64",
    "tf32=true",
]
IRRELEVANT_CHANGES = [
    "name=other",
    "seeds=3",
    "cv.repeats=2",
    "cv.seeds=[0, 7]",
    "cv.select=best",
    "cv.refit=false",
    "cv.score=loss",
    "search={method: random, space: {optimizer.lr: [0.05, 0.3]}}",
    "search.seed=3",
    "search.space={optimizer.lr: [0.05, 0.3]}",
    "search.budget=halving",
    "compare.trials=3",
    "curvature.directions=7",
    "gradcheck.batch_size=7",
    "landscape.points=7",
    "device=auto",
    "threads=2",
    "training.epochs=9",
]


def name(folder: Path, *overrides: str, number: int = 0, cell: Cell = CELL, epochs: int = 4, data: str = "d") -> str:
    config = Search(folder, "{}").config
    write_plugin(folder)
    loaded, _ = load_experiment_and_data(config, overrides, purpose="cv")
    return cell_name(Trial(number, {}, loaded.experiment), cell, epochs, data)


def test_every_section_is_tried() -> None:
    tried = {override.split("=")[0].split(".")[0] for override in [*RELEVANT, *IRRELEVANT_CHANGES]}
    assert tried == set(Experiment.model_fields)
    assert {override.split("=")[0].split(".")[0] for override in RELEVANT} - {"cv"} == (
        set(Experiment.model_fields) - IRRELEVANT
    )


def test_all_relevant_settings_have_names_of_their_own(tmp_path: Path) -> None:
    names = [name(tmp_path, change) for change in RELEVANT]
    names += [name(tmp_path), name(tmp_path, epochs=5), name(tmp_path, data="e")]
    assert len(set(names)) == len(RELEVANT) + 3
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in names)


@pytest.mark.parametrize("change", IRRELEVANT_CHANGES)
def test_nothing_else_changes_it(tmp_path: Path, change: str) -> None:
    assert name(tmp_path, change) == name(tmp_path)


def test_of_a_plugin_the_content_counts_and_not_the_place(tmp_path: Path) -> None:
    own = name(tmp_path, "plugins=[own.py]")
    write_plugin(tmp_path, QUADRATIC, "moved.py")
    assert name(tmp_path, "plugins=[moved.py]") == own
    write_plugin(tmp_path, f"{QUADRATIC}# changed\n", "moved.py")
    assert name(tmp_path, "plugins=[moved.py]") != own


def test_the_trial_does_not_change_it(tmp_path: Path) -> None:
    assert name(tmp_path, number=3, cell=CELL._replace(trial=3)) == name(tmp_path)


def test_every_place_has_a_name_of_its_own(tmp_path: Path) -> None:
    experiment = Search(tmp_path, "{}").setup().experiment
    places = [Cell(*place) for place in itertools.product(range(3), range(3), range(3), (None, 0, 1, 2))]
    names = {cell_name(Trial(0, {}, experiment), place, 4, "d") for place in places}
    assert len(names) == len(places)


def test_a_cell_that_is_loaded_alone_has_the_same_name(tmp_path: Path) -> None:
    """What `dlx train` is told is all that the name stands for."""
    values = {"model.hidden": [4], "optimizer.lr": 0.2, "optimizer": {"name": "adam"}}
    search = Search(tmp_path, "{space: {optimizer.lr: [0.2, 0.3], optimizer: [{name: adam}], model.hidden: [[4]]}}")
    setup = search.setup()
    cell = Cell(5, 1, 2, None, 7)
    trial = Trial(7, values, setup.space.experiment(values))
    assert (trial.experiment.optimizer.name, trial.experiment.optimizer.tunables()["lr"]) == ("adam", 0.2)
    folds = ("data.split.folds=3",)
    alone = load_experiment(search.config, [*folds, *cell_overrides(values, cell, 6)]).experiment
    assert alone.seed_list == (5,)
    assert (alone.data.split.fold, alone.data.split.repeat, alone.training.epochs) == (2, 1, 6)
    assert cell_name(Trial(0, {}, alone), Cell(5, 1, 2), 6, "d") == cell_name(trial, cell, 6, "d")


def test_an_outer_fold_is_named(tmp_path: Path) -> None:
    overrides = cell_overrides({}, Cell(0, 0, 1, 2), 6)
    assert "data.split.outer_fold=2" in overrides
    assert not any("outer_fold" in each for each in cell_overrides({}, Cell(0, 0, 1), 6))
