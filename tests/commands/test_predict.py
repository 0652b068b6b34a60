"""Predictions of a run as CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.runs import small_run
from commands.test_evaluate import VALUES
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, r2_score, root_mean_squared_error
from torch.nn import Linear, ReLU, Sequential

from dlx.commands.predict import predict, write_predictions
from dlx.core.errors import UsageError
from dlx.core.records import PARTS
from dlx.datasets.two_moons import TwoMoons

pytestmark = pytest.mark.usefixtures("no_pictures")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def lines_of(found: list[dict[str, str]], seed: int, part: str) -> list[dict[str, str]]:
    return [line for line in found if (line["seed"], line["part"]) == (str(seed), part)]


def result(run: Path) -> Any:
    return json.loads((run / "result.json").read_text())


def test_classes(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=2", "data.split.seed=null")
    found = read(predict(run)[0])
    assert len(found) == 2 * 80
    for member in result(run)["members"]:
        seen = []
        for part in PARTS:
            lines = lines_of(found, member["seed"], part)
            share = accuracy_score([line["target"] for line in lines], [line["class"] for line in lines])
            assert share == pytest.approx(member[part]["accuracy"], abs=1e-12)
            seen += [int(line["example"]) for line in lines]
        assert sorted(seen) == list(range(80))
    for line in found:
        odds = {name.removeprefix("probability of "): float(line[name]) for name in line if "probability" in name}
        assert sum(odds.values()) == pytest.approx(1, abs=1e-6)
        assert line["class"] == max(odds, key=lambda name: odds[name])


def test_a_plain_model_says_the_same(tmp_path: Path) -> None:
    """The file of weights in plain torch, with the constants of preprocessing.json, on the data themselves."""
    run = small_run(tmp_path)
    examples = TwoMoons(num_examples=80).load()
    constants = json.loads((run / "preprocessing.json").read_text())["members"][0]["inputs"]
    model = Sequential(Linear(2, 5), ReLU(), Linear(5, 1))
    model.load_state_dict(load_file(run / "checkpoints" / "best.safetensors"))
    scaled = (examples.inputs - np.array(constants["shift"])) / np.array(constants["scale"])
    with torch.no_grad():
        expected = torch.sigmoid(model(torch.from_numpy(scaled).float()))[:, 0].tolist()
    name = f"probability of {examples.target_names[1]}"
    for line in read(predict(run)[0]):
        number = int(line["example"])
        assert float(line[name]) == pytest.approx(expected[number], abs=1e-5)
        assert line["target"] == examples.target_names[examples.targets[number]]


def test_values_are_in_the_units_of_the_target(tmp_path: Path) -> None:
    run = small_run(tmp_path, "metrics=[r2, rmse]", text=VALUES)
    found = read(predict(run, "test")[0])
    (member,) = result(run)["members"]
    (target,) = [name for name in found[0] if name.startswith("target ")]
    true = [float(line[target]) for line in found]
    guesses = [float(line[target.replace("target", "predicted", 1)]) for line in found]
    assert {line["part"] for line in found} == {"test"}
    assert r2_score(true, guesses) == pytest.approx(member["test"]["r2"], rel=1e-6)
    assert root_mean_squared_error(true, guesses) == pytest.approx(member["test"]["rmse"], rel=1e-6)


def test_the_same_bytes_again_and_alone(tmp_path: Path) -> None:
    run = small_run(tmp_path, "seeds=[2, 7]")
    text, _ = predict(run)
    assert predict(run)[0] == text
    alone, _ = predict(small_run(tmp_path, "seeds=[7]"))
    assert read(alone) == [line for line in read(text) if line["seed"] == "7"]


def test_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_predictions(Path("p.csv"), "old\n")
    write_predictions(Path("p.csv"), "new\n")
    assert Path("p.csv").read_text() == "new\n"
    with pytest.raises(UsageError, match=r"cannot write missing/p\.csv: there is no folder missing"):
        write_predictions(Path("missing/p.csv"), "")
    with pytest.raises(UsageError, match="it is a folder"):
        write_predictions(tmp_path, "")
    with pytest.raises(UsageError, match=r"cannot write /proc/p\.csv: .*; choose another --out"):
        write_predictions(Path("/proc/p.csv"), "")
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
