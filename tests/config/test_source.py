from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx.config.diagnostics import Position
from dlx.config.source import read_source, read_yaml, resolve
from dlx.core.errors import ConfigError, UsageError


def located(first: int, last: int) -> Position:
    return Position(False, 1, first + 1, last - first)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("+1", 1),
        ("0", 0),
        ("-0.25e+2", -25.0),
        ("0.5", 0.5),
        ("9223372036854775807", 2**63 - 1),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_scalar(text: str, value: object) -> None:
    resolved, complaint = resolve(text)
    assert (resolved, type(resolved), complaint) == (value, type(value), None)


TRAPS = ["no", "on", "yes", "True", "FALSE", "Null", "1:30", "2026-01-01", "1_000", "0x10", "0o17", "nan", "inf"]


@pytest.mark.parametrize("text", [*TRAPS, ".", "-", "1e", "e5", "1.2.3", "<<", "=", "1e-3x"])
def test_what_other_readers_take_for_something_else_is_text(text: str) -> None:
    assert resolve(text) == (text, None)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("017", "begin with a zero"),
        ("-007", "begin with a zero"),
        ("00.5", "begin with a zero"),
        (".inf", "not a finite number"),
        ("-.INF", "not a finite number"),
        (".nan", "not a finite number"),
        ("1e999", "too large"),
        ("9" * 400 + ".0", "too large"),
        ("9223372036854775808", "64 bits"),
        ("1" * 5000, "64 bits"),
    ],
)
def test_numbers_that_are_none(text: str, word: str) -> None:
    value, complaint = resolve(text)
    assert value == text
    assert complaint is not None
    assert word in complaint


def test_tree_and_places(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    text = "a: {lr: 1e-3, s: '017'}\r\nb:\r\n  - x  # note\n  - [1,\n     2]\nc:\n'd e': |\n  text\n"
    path.write_text(text, encoding="utf-8", newline="")
    source = read_source(path)
    assert source.tree == {"a": {"lr": 0.001, "s": "017"}, "b": ["x", [1, 2]], "c": None, "d e": "text\n"}
    assert source.places["a", "lr"].key == Position(False, 1, 5, 2)
    assert source.places["a", "lr"].value == Position(False, 1, 9, 4)
    assert source.places["a", "lr"].text == "1e-3"
    assert source.places["a", "s"].text is None
    assert source.places["a",].value == Position(False, 1, 4, 20)
    assert source.places["b", 0].value == Position(False, 3, 5, 1)
    assert source.places["b", 1].value == Position(False, 4, 5, 3)
    assert source.places["b", 1, 1].value == Position(False, 5, 6, 1)
    assert source.places["d e",].key == Position(False, 7, 1, 5)


def test_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    source = read_source(path)
    assert source.tree == {"a": 1}
    assert source.places["a",].key == Position(False, 1, 1, 1)


def test_faults_that_leave_a_tree_are_all_found() -> None:
    document = read_yaml("a: &x 1\nb: *x\nc: !!str 2\nd: 017\na: 3\n1: 4\n? [k]\n: 5\nok: 6\n", located)
    assert document.complete
    assert document.tree["a"] == 3
    assert document.tree["ok"] == 6
    assert [fault.message for fault in document.faults] == [
        "an anchor, `&x`, which a config cannot have",
        "an alias, which a config cannot have",
        "a tag, `tag:yaml.org,2002:str`, which a config cannot have",
        "a number must not begin with a zero, as `017` does",
        "the key `a` is given twice",
        "a key must be text",
        "a key must be text",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: [1\nb: 2\n", "x.yaml:2:2: not valid YAML: expected ',' or ']', but got ':'\n    2 | b: 2\n      |  ^\n"
         "      = while parsing a flow sequence that begins in line 1"),
        ("a:\n\tb: 3\n", "x.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token\n"
         "    2 |  b: 3\n      | ^\n      = indent with spaces, not with tabs"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2:1: a second YAML document; a config is one document\n    2 | ---\n      | ^"),
        ("", "x.yaml:1:1: expected a mapping with keys such as `data:` and `model:`, found nothing"),
        ("# nothing\n", "x.yaml:1:1: expected a mapping with keys such as `data:` and `model:`, found nothing"),
        ("- 3\n", "x.yaml:1:1: expected a mapping with keys such as `data:` and `model:`, found a list"),
        ("hello", "x.yaml:1:1: expected a mapping with keys such as `data:` and `model:`, found the text `hello`"),
        ("a: " + "[" * 40, f"x.yaml:1:36: nested more than 32 levels deep\n    1 | a: {'[' * 40}\n      | {' ' * 35}^"),
        ("a: b\0c\n", "x.yaml:1:5: a character that must not be in a text file\n    1 | a: b\ufffdc\n      |     ^"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', "x.yaml:2:2: not valid YAML: a number out of range after this\n"),
    ],
)  # fmt: skip
def test_unreadable(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(content, encoding="utf-8", newline="")
    with pytest.raises(ConfigError) as caught:
        read_source(path)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(expected)


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2:7: not UTF-8 text\n    2 \| b: caf\ufffd\n      \|       \^\n"):
        read_source(path)


def test_surrogate() -> None:
    document = read_yaml(r'a: "\uD800"', located)
    assert document.faults[0].message == "half of a surrogate pair, which is no character"


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").touch()
    with pytest.raises(UsageError, match=r"there is no config file `.*digts\.yaml`; did you mean `.*/digits\.yaml`\?$"):
        read_source(tmp_path / "digts.yaml")
    with pytest.raises(UsageError, match=r"there is no config file `.*zebra`$"):
        read_source(tmp_path / "zebra")
    with pytest.raises(UsageError, match=r"there is no folder `.*none`$"):
        read_source(tmp_path / "none" / "x.yaml")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        read_source(tmp_path)
    with pytest.raises(UsageError, match="cannot read"):
        read_source(tmp_path / "a\0b")
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 300_000)
    with pytest.raises(UsageError, match="larger than 256 KiB"):
        read_source(large)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(alphabet=st.sampled_from("ab: -[]{}&*!|>'\"%@`,?#\n\t\r\u2028\\U0F1.e~\0é"), max_size=40))
def test_any_text_is_a_document_or_a_fault(text: str) -> None:
    document = read_yaml(text, located)
    assert document.complete or document.faults
