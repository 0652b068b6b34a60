"""Gradient norms: a line per tensor, mean and band over the epochs that all seeds have."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.pictures import drawn, legend
from torch import nn

from dlx.reporting import gradient_norms

SHAPES = {"0.weight": (7, 3), "0.bias": (7,), "2.weight": (2, 7), "2.bias": (2,)}
NAMES = tuple(SHAPES)


def norm(seed: int, epoch: int, place: int) -> float:
    return math.exp(-epoch / 3) * (1 + seed) / (1 + place)


def lines(lengths: dict[int, int], diverging: set[int] | None = None, names: Any = NAMES, value: Any = norm) -> Any:
    """The lines of metrics.jsonl of seeds with so many epochs."""
    found = []
    for epoch in range(1, max(lengths.values()) + 1):
        members = []
        for seed, length in lengths.items():
            if epoch <= length:
                norms = {name: value(seed, epoch, place) for place, name in enumerate(names)}
                member = {"seed": seed, "step": epoch, "gradient_norm": norms}
                is_end = epoch == length and seed in (diverging or ())
                members.append(member | ({"stop_reason": "diverged"} if is_end else {}))
        found.append({"epoch": epoch, "members": members})
    return found


def test_lines_and_bands(tmp_path: Path) -> None:
    found = gradient_norms.read(lines({0: 6, 1: 9, 2: 3}, diverging={2}), SHAPES)
    assert found is not None
    assert (found["epochs"], found["num_seeds"]) == ([1, 2, 3, 4, 5, 6], 2)
    figure = drawn(gradient_norms, found, tmp_path)
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    drawn_lines = {line.get_gid(): line for line in axes.lines}
    assert list(drawn_lines) == list(NAMES)
    for place, name in enumerate(NAMES):
        values = np.array([[norm(seed, epoch, place) for epoch in range(1, 7)] for seed in range(2)])
        np.testing.assert_allclose(drawn_lines[name].get_ydata(), values.mean(0))
        assert found["tensors"][name]["std"] == pytest.approx(values.std(0, ddof=1))
    assert drawn_lines["0.weight"].get_color() == drawn_lines["0.bias"].get_color()
    assert drawn_lines["0.weight"].get_color() != drawn_lines["2.weight"].get_color()
    assert drawn_lines["0.weight"].get_linestyle() == "-"
    assert drawn_lines["0.bias"].get_linestyle() == "--"
    assert legend(figure) == ["layer 1 weights", "layer 1 biases", "layer 2 weights", "layer 2 biases"]
    text = gradient_norms.sentence(found)
    assert "largest is that of layer 1 weights, 0.203, the smallest that of layer 2 weights, 0.0677" in text


@pytest.mark.parametrize(
    "epochs",
    [
        [],
        [{"epoch": 1, "members": []}],
        [{"epoch": 1, "members": [{"seed": 0, "step": 3}]}],
        lines({0: 2}, value=lambda *_: None),
        lines({0: 2}, value=lambda *_: math.nan),
    ],
)
def test_nothing_is_shown_where_there_is_nothing(epochs: Any) -> None:
    assert gradient_norms.read(epochs, SHAPES) is None


@pytest.mark.parametrize(
    "epochs",
    [
        lines({0: 1}),
        lines({0: 3, 1: 3}, diverging={0, 1}),
        lines(dict.fromkeys(range(1000), 4)),
        lines({0: 3, 1: 2}, names=[f"block.{number}.{'deep.' * 20}weight" for number in range(200)]),
        lines({0: 3, 1: 3}, value=lambda *_: 0.0),
        lines({0: 3, 1: 3}, value=lambda seed, epoch, place: 0.0 if epoch == 2 else 1e-30 * place),
        lines({0: 2}, names=["$\\frac"]),
        lines({0: 3}, value=lambda seed, epoch, place: 10.0 ** (100 * epoch)),
    ],
    ids=["one epoch", "all diverged", "1000 seeds", "200 tensors", "zero", "zero at times", "formula", "huge"],
)
def test_odd_norms(epochs: Any, tmp_path: Path) -> None:
    shapes = dict.fromkeys(epochs[0]["members"][0]["gradient_norm"], (3, 2))
    found = gradient_norms.read(epochs, shapes)
    assert found is not None
    assert len(legend(drawn(gradient_norms, found, tmp_path))) <= gradient_norms.MAX_LEGEND


@pytest.mark.parametrize(
    ("module", "titles"),
    [
        (nn.Linear(3, 2), ["weights", "biases"]),
        (
            nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 2, bias=False)),
            ["layer 1 weights", "layer 1 biases", "layer 1 norm weights", "layer 1 norm biases", "layer 2 weights"],
        ),
        (
            nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)),
            ["0.weight", "0.bias", "layer 1 weights", "layer 1 biases"],
        ),
        (nn.ModuleDict({"encoder": nn.Linear(3, 2)}), ["encoder.weight", "encoder.bias"]),
        (nn.Sequential(nn.Linear(3, 2), nn.PReLU(2)), ["layer 1 weights", "layer 1 biases", "1.weight"]),
    ],
    ids=["one layer", "batch norm", "nothing before it", "own names", "no norm"],
)
def test_parameters_are_named_as_a_person_would(module: nn.Module, titles: list[str]) -> None:
    shapes = {name: tuple(each.shape) for name, each in module.named_parameters()}
    assert gradient_norms.name_parameters(shapes) == dict(zip(shapes, titles, strict=True))
