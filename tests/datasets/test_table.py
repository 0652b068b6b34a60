"""A user's table as examples: against scikit-learn's encoder, CSV against Parquet, and what is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import OneHotEncoder
from tables import TABLES, flats, write_frame, write_table

from dlx.core.definition import Dataset
from dlx.core.errors import DataError
from dlx.core.registry import registered
from dlx.core.settings import Split
from dlx.core.types import Column, Examples
from dlx.datasets.csv import Csv
from dlx.datasets.encoding import encode
from dlx.datasets.parquet import Parquet


def load(folder: Path, text: str, target: Any = "y", **settings: Any) -> Examples:
    path = folder / "x.csv"
    path.write_text(text)
    return Csv(path=str(path), target=target, **settings).load()


@pytest.mark.parametrize("kind", TABLES)
def test_texts_are_encoded_as_by_scikit_learn(kind: str, tmp_path: Path) -> None:
    examples = registered(Dataset)[kind](**write_table(tmp_path, kind)).load()
    frame = flats()
    encoder = OneHotEncoder(sparse_output=False).fit(frame[["city"]].to_numpy())
    names = [name.replace("_", "=") for name in encoder.get_feature_names_out(["city"])]
    assert examples.feature_names == ("size", *names, "floor")
    np.testing.assert_array_equal(examples.inputs[:, 1:-1], encoder.transform(frame[["city"]].to_numpy()))
    np.testing.assert_array_equal(examples.inputs[:, [0, -1]], frame[["size", "floor"]].to_numpy())
    np.testing.assert_array_equal(examples.targets, frame[["rent"]].to_numpy())
    assert (examples.task, examples.target_names) == ("regression", ("rent",))


def test_csv_and_parquet_are_one_table(tmp_path: Path) -> None:
    one, other = (
        registered(Dataset)[kind](**write_table(tmp_path, kind, holes=True), missing="impute").load() for kind in TABLES
    )
    np.testing.assert_array_equal(one.inputs, other.inputs)
    assert (one.feature_names, one.table, one.notes) == (other.feature_names, other.table, other.notes)


def test_what_is_missing_is_marked(tmp_path: Path) -> None:
    frame = flats(holes=True)
    examples = Csv(**write_table(tmp_path, "csv", holes=True), missing="impute").load()
    assert examples.has_missing
    assert examples.feature_names[:2] == ("size", "size is missing")
    np.testing.assert_array_equal(np.isnan(examples.inputs[:, 0]), frame["size"].is_null().to_numpy())
    np.testing.assert_array_equal(examples.column("size is missing"), frame["size"].is_null().to_numpy())
    np.testing.assert_array_equal(examples.column("city is missing"), frame["city"].is_null().to_numpy())
    categories = [examples.column(f"city={city}") for city in ("Bonn", "Kiel", "Ulm")]
    np.testing.assert_array_equal(sum(categories) + examples.column("city is missing"), 1)


def test_every_spelling_of_a_missing_value(tmp_path: Path) -> None:
    cells = ["1", "", "NA", " ", "?", "nan", "4.5"]
    text = "x,y\n" + "".join(f"{cell},{number}\n" for number, cell in enumerate(cells))
    examples = load(tmp_path, text, missing="impute")
    assert examples.column("x is missing").tolist() == [0, 1, 1, 1, 1, 1, 0]
    assert load(tmp_path, "x,y\n1,2\n-9,3\n3,4\n", missing="impute", missing_values=("-9",)).has_missing


@pytest.mark.parametrize(
    ("cells", "task", "names"),
    [
        (["no", "yes"] * 6, "classification", ("no", "yes")),
        (["true", "false"] * 6, "classification", ("false", "true")),
        (["False", "True"] * 6, "classification", ("false", "true")),
        (["10", "9", "2"] * 6, "classification", ("2", "9", "10")),
        ([str(number) for number in range(12)], "regression", ("y",)),
        (["0.5", "1.5"] * 6, "regression", ("y",)),
        ([str(number % 25) for number in range(200)], "regression", ("y",)),
    ],
)
def test_the_task_is_guessed_and_said(cells: list[str], task: str, names: tuple[str, ...], tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{number / 7},{cell}\n" for number, cell in enumerate(cells))
    examples = load(tmp_path, text)
    assert (examples.task, examples.target_names) == (task, names)
    assert f"so the task is {task}" in examples.notes[0]
    if task == "classification":
        assert [names[each] for each in examples.targets] == [cell.lower() for cell in cells]
    else:
        assert examples.targets[:, 0].tolist() == list(map(float, cells))


def test_the_task_as_it_is_said(tmp_path: Path) -> None:
    text = "x,y\n" + "1,0\n2,1\n" * 5
    assert load(tmp_path, text).task == "classification"
    examples = load(tmp_path, text, task="regression")
    assert (examples.task, examples.notes) == ("regression", ())


def test_several_targets(tmp_path: Path) -> None:
    examples = load(tmp_path, "a,b,c\n1,2,3\n4,5,6.5\n", target=("c", "a"))
    assert examples.targets.tolist() == [[3, 1], [6.5, 4]]
    assert (examples.target_names, examples.feature_names) == (("c", "a"), ("b",))


def test_which_columns_are_inputs(tmp_path: Path) -> None:
    text = "a,b,who,part,y\n1,2,ann,0,3.5\n4,5,bob,1,6\n7,8,ann,0,1\n"
    assert load(tmp_path, text, ignore=("b", "who", "part")).feature_names == ("a",)
    assert load(tmp_path, text, features=("b", "a")).inputs.tolist() == [[2, 1], [5, 4], [8, 7]]
    split = Split(groups="who", fold_column="part")
    examples = load(tmp_path, text, split=split)
    assert examples.feature_names == ("a", "b")
    assert examples.column("who").tolist() == ["ann", "bob", "ann"]
    assert examples.column("part").tolist() == [0, 1, 0]


def test_numbers_as_texts(tmp_path: Path) -> None:
    text = "zip,y\n0711,1.5\n711,2\n0711,3\n"
    assert load(tmp_path, text).feature_names == ("zip",)
    assert load(tmp_path, text, categorical=("zip",)).feature_names == ("zip=0711", "zip=711")


@pytest.mark.parametrize("last", ["1", "1.5"])  # with the second polars must read all as texts
def test_truth_values(last: str, tmp_path: Path) -> None:
    rows = [f"{number},True,FALSE,{number}" for number in range(150)] + [f"{last},false,true,7"]
    examples = load(tmp_path, "\n".join(["x,a,b,y", *rows, ""]))
    assert examples.feature_names == ("x", "a=false", "a=true", "b=false", "b=true")
    assert examples.inputs[[0, -1], 1:].tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]
    assert examples.inputs[-1, 0] == float(last)


def test_a_text_after_many_numbers_is_found(tmp_path: Path) -> None:
    rows = [f"{number},{number}" for number in range(300)]
    rows[250] = "oops,250"
    with pytest.raises(DataError, match=r"row 252, column `x`: expected a number .* found the text `oops`"):
        load(tmp_path, "\n".join(["x,y", *rows, ""]))


def test_rows_without_a_value_are_left_out(tmp_path: Path) -> None:
    assert load(tmp_path, "x,y\n1,2.5\n\n3,4\n,\n\n").inputs.tolist() == [[1], [3]]
    with pytest.raises(DataError, match="row 5, column `x`"):
        load(tmp_path, "x,y\n1,2.5\n\n3,4\n,6\n")


def test_other_separators_and_quotes(tmp_path: Path) -> None:
    examples = load(tmp_path, '\ufeffa;"b c";y\r\n1;"p;q";2.5\r\n3;r;4\r\n', separator=";")
    assert examples.feature_names == ("a", "b c=p;q", "b c=r")


def test_types_of_parquet(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "whole": pl.Series([1, 2, 3], dtype=pl.UInt8),
            "maybe": [True, False, None],
            "kind": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "real": pl.Series([0.5, float("nan"), 2], dtype=pl.Float32),
            "y": [0.5, 1.5, 2.5],
        }
    )
    path = write_frame(frame, tmp_path / "x.parquet")
    examples = Parquet(path=str(path), target="y", missing="impute").load()
    assert examples.table == (
        Column("whole"),
        Column("maybe", ("false", "true"), has_missing=True),
        Column("kind", ("a", "b")),
        Column("real", has_missing=True),
    )
    np.testing.assert_array_equal(
        examples.inputs,
        [[1, 0, 1, 0, 1, 0, 0.5, 0], [2, 1, 0, 0, 0, 1, np.nan, 1], [3, 0, 0, 1, 1, 0, 2, 0]],
    )


def test_texts_that_were_not_learned(tmp_path: Path) -> None:
    learned = load(tmp_path, "x,y\nred,1.5\nblue,2\n")
    path = tmp_path / "new.csv"
    path.write_text("x,y\nblue,1\ngreen,2\n")
    sheet = Csv(path=str(path), target="y").read()
    assert encode(sheet, learned.table, "ignore").tolist() == [[1, 0], [0, 0]]
    with pytest.raises(DataError, match="row 3, column `x`: the text `green` was not"):
        encode(sheet, learned.table, "error")


@pytest.mark.parametrize(
    ("cell", "remark"),
    [
        (lambda number: 7, "`x` is the same in every row"),
        (lambda number: 100 + number, "`x` looks like an identifier"),
        (lambda number: f"name {number}", "`x` looks like an identifier"),
        (lambda number: number + number // 3, "`x` looks like an identifier"),
        (lambda number: 5 * number, None),
        (lambda number: number + number / 100, None),
        (lambda number: number % 5, None),
    ],
)
def test_remarks(cell: Any, remark: str | None, tmp_path: Path) -> None:
    text = "x,z,y\n" + "".join(f"{cell(number)},{number**2},{number / 3}\n" for number in range(12))
    notes = load(tmp_path, text, task="regression").notes
    assert len(notes) == (remark is not None)
    assert all(note.startswith(str(remark)) for note in notes)
