"""Tables that cannot be used: an error with file, row and column that says how to mend it, never a traceback."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import flats, write_frame

from dlx.core.errors import DataError, DlxError
from dlx.datasets.csv import Csv
from dlx.datasets.parquet import Parquet

FAULTS: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "empty": ("", {}, "x.csv is empty"),
    "no rows": ("x,y\n", {}, "names of columns, but no rows"),
    "no such target": ("x,price\n1,2\n", {"target": "prize"}, "no column `prize`, .*did you mean `price`"),
    "no such feature": ("x,y\n1,2\n", {"features": ("z",)}, "no column `z`, which `data.features` names"),
    "no such column left out": ("x,y\n1,2\n", {"ignore": ("z",)}, "no column `z`, which `data.ignore` names"),
    "twice": ("x,y,x\n1,2,3\n", {}, "row 1: columns 1 and 3 have one name, `x`"),
    "nameless": ("x,,y\n1,2,3\n", {}, "row 1: column 2 has no name"),
    "no header": ("1,2\n3,4\n", {}, "row 1: these are numbers"),
    "long row": ("x,y\n1,2\n1,2,3\n", {}, "row 3: expected 2 values .* found 3"),
    "short row": ("x,z,y\n1,2,3\n4,5\n6,7,8\n", {}, "row 3: expected 3 values .* found 2"),
    "separator": ("x;y\n1;2\n", {}, "set data.separator=';'"),
    "latin-1": ("x,y\nok,1\ncaf\xe9,2\n".encode("latin-1"), {}, "row 3: the text is not in UTF-8"),
    "utf-16": ("x,y\n1,2\n".encode("utf-16"), {}, "row 1: the text is not in UTF-8"),
    "text": ("x,y\n1,2\n2,3\ntwo,4\n", {}, "row 4, column `x`: expected a number .*`two`.*data.categorical: .x."),
    "infinite": ("x,y\n1,2\ninf,3\n", {}, "row 3, column `x`: the value is infinite"),
    "overflow": ("x,y\n1,2\n1e999,3\n", {}, "row 3, column `x`: the value is infinite"),
    "infinite target": ("x,y\n1,2\n3,-inf\n", {}, "row 3, column `y`: the value is infinite"),
    "missing": ("x,y\n1,2\n,3\n", {}, "row 3, column `x`: there is no value; 1 of 2 .*data.missing=impute"),
    "missing text": ("x,y\nred,2\nNA,3\n", {}, "row 3, column `x`: there is no value"),
    "missing target": ("x,y\n1,2\n3,\n", {"missing": "impute"}, "row 3, column `y`: the target has no value"),
    "all missing": ("x,z,y\n1,,2\n3,,4\n", {"missing": "impute"}, "column `z`: no row has a value"),
    "dates": ("x,y\n2024-01-31,2\n2024-02-01,3\n", {}, "column `x`: dates are not read"),
    "German dates": ("x,y\n31.1.2024,2\n1.2.2024,3\n", {}, "column `x`: dates are not read"),
    "many texts": ("x,y\na,1.5\nb,2\nc,3\n", {"max_categories": 2}, "column `x`: there are 3 different texts"),
    "no input": ("y\n1.5\n2\n", {}, "no column is left as an input"),
    "target as input": ("x,y\n1,2\n", {"features": ("y",)}, "column `y`: this column cannot be an input"),
    "target left out": ("x,y\n1,2\n", {"ignore": ("y",)}, "column `y`: this column cannot be the target"),
    "text as value": ("x,y\n1,hot\n2,cold\n", {"task": "regression"}, "row 2, column `y`: expected a number"),
    "no classes": ("x,y\n1,a\n2,b\n3,c\n4,d\n", {}, "column `y`: 4 different values in 4 rows are no classes"),
    "list of classes": ("x,y,z\n1,2,3\n", {"target": ("y", "z"), "task": "classification"}, "name one column"),
    "one name": ("a,a=b,y\nb,1,2\nc,2,3\n", {}, "two features would have the name `a=b`"),
    "open quote": ('x,y\n"1,2\n3,4\n', {}, "x.csv"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_says_what_is_wrong(case: str, tmp_path: Path) -> None:
    content, more, message = FAULTS[case]
    path = tmp_path / "x.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=message) as refused:
        Csv(**{"path": str(path), "target": "y", **more}).load()
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("cls", [Csv, Parquet])
def test_no_such_file(cls: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*nowhere"):
        cls(path=str(tmp_path / "nowhere"), target="y").load()
    with pytest.raises(DataError):
        cls(path=str(tmp_path), target="y").load()


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    path = write_frame(flats(), tmp_path / "x.parquet")
    whole = path.read_bytes()
    for damaged in (b"", b"x,y\n1,2\n", whole[:-20], whole[: len(whole) // 2] + bytes(60) + whole[-200:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="damaged or no Parquet file"):
            Parquet(path=str(path), target="rent").load()


PIECES = st.one_of(
    st.sampled_from(
        [b",", b"\n", b'"', b"\r", b"\0", b"\xff", b"nan", b"inf", b"1e400", b"-", b"2024-01-31", b" ", b"\xef\xbb\xbf"]
    ),
    st.binary(max_size=4),
)
EDITS = st.lists(st.tuples(st.integers(0, 399), st.integers(0, 12), PIECES), max_size=5)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(edits=EDITS, missing=st.sampled_from(["refuse", "impute"]), target=st.sampled_from(["rent", "city", "floor"]))
def test_mutated_files_give_no_traceback(
    edits: list[tuple[int, int, bytes]], missing: Any, target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.csv"
    content = flats(20).write_csv().encode()
    for place, removed, piece in edits:
        content = content[:place] + piece + content[place + removed :]
    path.write_bytes(content)
    with contextlib.suppress(DlxError):
        examples = Csv(path=str(path), target=target, missing=missing).load()
        assert len(examples) == len(examples.targets) > 0
        assert examples.inputs.shape[1] == len(examples.feature_names)
