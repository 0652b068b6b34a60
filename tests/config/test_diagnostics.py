from pathlib import Path

from dlx.config.diagnostics import Fault, KeyPath, Position, describe, render
from dlx.config.source import Place, Source


def test_order_and_count() -> None:
    source = Source(
        Path("x.yaml"),
        "a: 1\nb: 2\n",
        places={("a",): Place(Position(False, 1, 1, 1), Position(False, 1, 4, 1))},
        overrides=("c=3",),
    )
    faults = [
        Fault(("c",), "in the override", at=Position(True, 1, 3, 1)),
        Fault((), "in the second line", at=Position(False, 2, 4, 1)),
        Fault(("a",), "in the first line", "mend it", underline="key"),
        Fault(("z",), "nowhere"),
    ]
    assert render(faults, source) == (
        "x.yaml:1:1: nowhere\n"
        "x.yaml:1:1: in the first line\n    1 | a: 1\n      | ^\n      = mend it\n"
        "x.yaml:2:4: in the second line\n    2 | b: 2\n      |    ^\n"
        "override 'c=3': in the override\n      | c=3\n      |   ^\n"
        "4 faults in x.yaml"
    )


def test_a_path_that_is_not_written_points_at_its_section() -> None:
    places: dict[KeyPath, Place] = {("a",): Place(Position(False, 1, 1, 1), Position(False, 1, 4, 6))}
    source = Source(Path("x.yaml"), "a: {b: 1}", places=places)
    assert render([Fault(("a", "c", "d"), "m")], source) == "x.yaml:1:1: m\n    1 | a: {b: 1}\n      | ^"


def test_long_lines_are_cut_and_tabs_keep_columns() -> None:
    text = "\t" * 300 + "x" + "y" * 300
    shown = render([Fault((), "m", at=Position(False, 1, 301, 1))], Source(Path("x.yaml"), text)).splitlines()
    assert len(shown[1]) < 180
    assert shown[1][shown[2].index("^")] == "x"


def test_nothing_unprintable_reaches_the_terminal() -> None:
    assert "\x1b" not in render([Fault((), "a \x1b[31m b")], Source(Path("x.yaml"), ""))


def test_describe() -> None:
    values: list[object] = [None, "a\nb", True, 3, 0.5, [1], {}]
    words = ["nothing", "the text `a b`", "true", "3", "0.5", "a list", "a mapping"]
    assert [describe(value) for value in values] == words
    assert describe(0.001, "1e-3") == "1e-3"
    assert describe("x" * 100) == f"the text `{'x' * 60}...`"
