"""Commands on a user's own table: complete runs, missing values fitted on the training part, cells repeated alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from commands.runs import finish
from sklearn.impute import SimpleImputer
from tables import TABLES, flats, write_frame

from dlx.commands.cell import repeat_cell
from dlx.commands.cv import cv
from dlx.commands.plan import Plan
from dlx.commands.train import train
from dlx.config.load import load_experiment_and_data
from dlx.core.errors import DataError
from dlx.core.records import Finished, Started
from dlx.engine.evaluation import predict_members
from dlx.engine.population import initial_weights

TEXT = """\
data: {name: KIND, path: flats.KIND, target: rent, missing: impute}
model: linear
loss: mse
optimizer: {name: adam, lr: 0.3}
training: {epochs: 10, batch_size: 9}
device: cpu
"""


def write(folder: Path, kind: str = "csv", frame: pl.DataFrame | None = None) -> Path:
    write_frame(flats(holes=True) if frame is None else frame, folder / f"flats.{kind}")
    config = folder / "flats.yaml"
    config.write_text(TEXT.replace("KIND", kind))
    return config


@pytest.mark.parametrize("kind", TABLES)
def test_train(kind: str, tmp_path: Path) -> None:
    config = write(tmp_path, kind)
    run = finish(train(config, [], tmp_path / "runs"))
    result = json.loads((run / "result.json").read_text())
    assert result["members"][0]["train"]["r2"] > 0.5, "rent follows from size and city, most of which are known"
    assert "so the task is regression" in (run / "report.md").read_text()
    kept = json.loads((run / "preprocessing.json").read_text())
    assert [column["name"] for column in kept["table"]] == ["size", "city", "floor"]
    assert kept["table"][1] == {"name": "city", "categories": ["Bonn", "Kiel", "Ulm"], "has_missing": True}


def test_the_fill_is_fitted_on_the_training_part_of_each_member(tmp_path: Path) -> None:
    overrides = ["seeds=2", "data.split.seed=null"]
    loaded, examples = load_experiment_and_data(write(tmp_path), overrides)
    members = Plan.make(loaded.experiment, examples).members
    fills = []
    for member in members:
        imputer = SimpleImputer().fit(examples.inputs[member.parts.train])
        np.testing.assert_allclose(member.input_scale.fill, imputer.statistics_, rtol=1e-12)
        fills.append(member.input_scale.fill)
    assert fills[0][0] != fills[1][0]


def test_the_engine_reads_missing_values_as_filled(tmp_path: Path) -> None:
    loaded, examples = load_experiment_and_data(write(tmp_path), ["dtype=float64"])
    (member,) = Plan.make(loaded.experiment, examples).members
    filled = np.where(np.isnan(examples.inputs), member.input_scale.fill, examples.inputs)
    predicted, expected = (
        predict_members([member], initial_weights([member]), inputs) for inputs in (examples.inputs, filled)
    )
    assert np.isfinite(predicted).all()
    np.testing.assert_allclose(predicted, expected, rtol=1e-12)


def test_a_cell_of_a_search_is_the_same_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.search_figures.draw_search_pictures", lambda *_: [])
    config = write(tmp_path)
    run = finish(cv(config, ["training.epochs=3", "cv.folds=3"], tmp_path / "runs"))
    first = json.loads((run / "cells.jsonl").read_text().splitlines()[1])
    *_, last = repeat_cell(run, first["id"], tmp_path / "runs")  # raises unless it comes to the same bits
    assert isinstance(last, Finished)


@pytest.mark.parametrize("target", ["floor", "city"])
def test_one_column_with_holes(target: str, tmp_path: Path) -> None:
    frame = flats(holes=True).with_columns(pl.col("city").fill_null("Rom"))
    more = ["data.features=[size]", f"data.target={target}", "training.epochs=1"]
    more += ["loss=cross_entropy"] if target == "city" else ["data.task=regression"]
    run = finish(train(write(tmp_path, frame=frame), more, tmp_path / "runs"))
    assert (run / "report.md").exists()


def test_copies_across_the_split_are_said(tmp_path: Path) -> None:
    frame = flats(20)
    records = train(write(tmp_path, frame=pl.concat([frame, frame])), ["training.epochs=1"], tmp_path / "runs")
    first: Any = next(records)
    assert isinstance(first, Started)
    assert "test examples are also in the training part" in first.facts["notes"]
    records.close()


def test_infinite_values_never_train(tmp_path: Path) -> None:
    config = write(tmp_path, frame=flats().with_columns(size=pl.lit(float("inf"))))
    with pytest.raises(DataError, match="row 2, column `size`: the value is infinite"):
        next(train(config, [], tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
