"""The text of an inspection says what its numbers say."""

from __future__ import annotations

from typing import Any

import pytest

from dlx.reporting.inspection import inspection_text


def found(**changes: Any) -> dict[str, Any]:
    one = {
        "num_seeds": 1, "num_diverged": 0, "steps": 500, "start": 1.0, "end": 0.5, "is_overfitted": False,
        "is_falling": False,
    }  # fmt: skip
    initial = {"num_seeds": 1, "mean": 2.4, "std": None, "expected": 2.303, "usual": [1.2, 4.6], "is_usual": True}
    return {
        "facts": {"data": "digits", "loss": "cross_entropy"},
        "layers": [{"name": "", "kind": "Linear", "output_shape": (2, 3), "num_parameters": 1234}],
        "num_parameters": 2000,
        "batch_size": 64,
        "num_seeds": 1,
        "flops": {"forward": 999, "step": 1.5e9},
        "memory_bytes": {"parameters": 1023, "optimizer_state": 0, "activations": 3 << 20},
        "initial_loss": initial | changes.pop("initial", {}),
        "one_batch": one | changes.pop("one", {}),
        **changes,
    }


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_tables() -> None:
    lines = words(inspection_text(found()))
    assert ["(model)", "Linear", "2", "x", "3", "1,234"] in lines
    assert ["(not", "used)", "766"] in lines
    assert ["total", "2,000"] in lines
    assert ["forward", "pass", "of", "an", "example", "999", "FLOPs"] in lines
    assert ["training", "step", "on", "64", "examples", "1.50", "G", "FLOPs"] in lines
    assert ["memory", "of", "parameters", "1023", "B"] in lines
    assert ["memory", "of", "optimizer", "state", "0", "B"] in lines
    assert ["memory", "of", "activations", "of", "64", "examples", "3.00", "MiB"] in lines
    assert "all 7 seeds" in inspection_text(found(num_seeds=7))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "ok: a model that knows nothing of the inputs has 2.303, usual is 1.200 to 4.600"),
        ({"initial": {"is_usual": False}}, "suspicious: a model that knows nothing of the inputs has 2.303, usual is"),
        ({"initial": {"is_usual": False}}, "to 4.600; the first steps"),
        ({"initial": {"mean": None}}, "suspicious: it is not finite"),
        ({"one": {"is_overfitted": True}}, "64 examples: yes"),
        ({}, "64 examples: no"),
        ({}, "the loss no longer falls"),
        ({"one": {"is_falling": True}}, "the loss is still falling"),
        ({"one": {"num_diverged": 1}}, "1 of 1 seeds diverged: the learning rate is too high"),
    ],
)
def test_verdicts(changes: dict[str, Any], told: str) -> None:
    assert told in inspection_text(found(**changes))


def test_nothing_is_said_where_nothing_is_expected() -> None:
    text = inspection_text(found(initial={"expected": None, "usual": None, "is_usual": None}))
    assert "ok" not in words(text)
    assert "suspicious" not in text
