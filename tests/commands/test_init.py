"""``dlx init``: what it writes is valid for the schema, trains, and can be cross-validated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
from commands.runs import finish
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import TABLES, flats, write_frame

from dlx.commands.cv import cv
from dlx.commands.init import init
from dlx.commands.train import train
from dlx.config.load import load_experiment_and_data
from dlx.config.source import read_source
from dlx.core.errors import DataError, UsageError


def messy(num_rows: int = 60) -> pl.DataFrame:
    """Flats with holes, and columns that are no inputs."""
    rows = range(num_rows)
    return flats(num_rows, holes=True).with_columns(
        number=pl.Series(rows),
        street=pl.Series([f"street {row}" for row in rows]),
        country=pl.lit("de"),
        built=pl.Series([f"19{row % 90 + 10}-01-01" for row in rows]),
    )


@pytest.mark.parametrize("kind", TABLES)
def test_what_is_written_trains(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.search_figures.draw_search_pictures", lambda *_: [])
    table, out = write_frame(messy(), tmp_path / f"flats.{kind}"), tmp_path / "sub" / "flats.yaml"
    out.parent.mkdir()
    said = init(table, ["rent"], out)
    assert f"dlx train {out}\n" in said
    tree = read_source(out).tree
    assert tree["data"]["path"] == f"../flats.{kind}"
    assert tree["data"]["ignore"] == ["number", "street", "country", "built"]
    assert (tree["data"]["missing"], tree["data"]["task"], tree["loss"]) == ("impute", "regression", "mse")
    for name in tree["data"]["ignore"]:
        assert f"left out: `{name}`: " in said
    schema = json.loads((out.parent / "dlx.schema.json").read_text())
    assert out.read_text().startswith("# yaml-language-server: $schema=dlx.schema.json\n")
    jsonschema.validate(tree, schema)
    small = ["training.epochs=2", "device=cpu"]
    assert (finish(train(out, small, tmp_path / "runs")) / "result.json").exists()
    assert (finish(cv(out, [*small, "cv.folds=2"], tmp_path / "runs")) / "best.yaml").exists()


@pytest.mark.parametrize(
    ("classes", "metrics", "stratify"),
    [
        (["a", "b"] * 30, ["accuracy"], None),
        (["a"] * 45 + ["b"] * 15, ["balanced_accuracy", "accuracy"], None),
        (["a"] * 57 + ["b", "b", "c"], ["balanced_accuracy", "accuracy"], False),
    ],
)
def test_classes(classes: list[str], metrics: list[str], stratify: bool | None, tmp_path: Path) -> None:
    frame = flats().with_columns(kind=pl.Series(classes))
    init(write_frame(frame, tmp_path / "x.csv"), ["kind"], out := tmp_path / "x.yaml")
    tree = read_source(out).tree
    assert (tree["data"]["task"], tree["loss"], tree["metrics"]) == ("classification", "cross_entropy", metrics)
    assert tree["data"]["split"].get("stratify") is stratify


def test_names_are_written_so_that_they_are_read_again(tmp_path: Path) -> None:
    names = ["true", "1e3", "a: b", "x #y", "[z]", "'q'", "ä\u2028ö", "null", "-"]
    frame = flats().select(*(pl.col("size").alias(name) + place for place, name in enumerate(names)), "rent")
    frame = frame.with_columns(pl.lit(1).alias("null"))
    init(write_frame(frame, tmp_path / "a b.csv"), ["1e3", "true"], out := tmp_path / "x.yaml")
    data = load_experiment_and_data(out)[0].experiment.data.model_dump()
    assert (data["target"], data["ignore"]) == (("1e3", "true"), ("null",))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_separator_is_found(separator: str, tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    flats().write_csv(table, separator=separator)
    init(table, ["rent"], out := tmp_path / "x.yaml")
    assert read_source(out).tree["data"]["separator"] == separator


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_frame(flats(), tmp_path / "x.csv")
    (tmp_path / "dlx.schema.json").write_text("mine")
    init(Path("x.csv"), ["rent"])
    before = Path("x.yaml").read_text()
    with pytest.raises(UsageError, match=r"x\.yaml is there already"):
        init(Path("x.csv"), ["size"])
    assert Path("x.yaml").read_text() == before
    assert Path("dlx.schema.json").read_text() == "mine"
    with pytest.raises(UsageError, match="cannot be written"):
        init(Path("x.csv"), ["rent"], Path("nowhere") / "x.yaml")


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("x,y\n1,2.5\n", "z", "no column `z`"),
        ("x,y\n1,2.5\n1,3\n", "y", "nothing is left to learn from: `x` is the same in every row"),
        ("y\n1.5\n2\n", "y", "nothing is left to learn from: there is no other column"),
        ("", "y", "is empty"),
    ],
)
def test_what_cannot_be_learned_from(text: str, target: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        init(tmp_path / "x.csv", [target], tmp_path / "x.yaml")
    assert not (tmp_path / "x.yaml").exists()


def test_too_few_rows_leave_no_config(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x,y\n1,2.5\n3,4\n")
    with pytest.raises(UsageError, match="part is empty"):
        init(tmp_path / "x.csv", ["y"], tmp_path / "x.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


@settings(deadline=None, derandomize=True, max_examples=12)
@given(
    columns=st.lists(
        st.lists(
            st.sampled_from(["", "1", "2.5", "-3", "red", "blue", "true", "2024-01-31"]), min_size=12, max_size=12
        ),
        min_size=2,
        max_size=4,
    )
)
def test_any_table_gives_a_config_or_a_reason(columns: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    table, out = folder / "x.csv", folder / "x.yaml"
    (folder / "dlx.schema.json").write_text("there already")  # making it takes longer than all else
    pl.DataFrame({f"c{number}": column for number, column in enumerate(columns)}).write_csv(table)
    try:
        init(table, ["c0"], out)
    except (DataError, UsageError):
        assert not out.exists()
    else:
        load_experiment_and_data(out)
