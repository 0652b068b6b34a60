"""What a comparison leaves for people and other programs: reports whose links and commands work."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from commands.runs import finish, write_config

from dlx.commands.compare_optimizers import compare
from dlx.commands.resume import resume
from dlx.commands.train import train
from dlx.core.errors import RunError

SMALL = """\
name: {name}
data: {{name: two_moons, num_examples: 40, split: {{seed: {seed}}}}}
model: {{name: linear}}
loss: binary_cross_entropy
training: {{epochs: 2, batch_size: 8}}
compare: {{optimizers: [sgd, momentum], trials: 2, tuning_seeds: 1, seeds: 2}}
device: cpu
"""
FILES = {"report.md", "runs.csv", "table.tex"}


def comparison(folder: Path, *names: str) -> Path:
    """Compare on a problem of each name to the end; all but the first have one split for all seeds."""
    configs = [
        write_config(folder, SMALL.format(name=name, seed=number or "null"), f"{name}.yaml")
        for number, name in enumerate(names)
    ]
    return finish(compare(configs, [], folder / "runs"))


def test_every_link_and_every_command_of_a_report_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.drawing.DPI", 30)  # coarse, which is quick
    run = comparison(tmp_path, "small")
    assert {path.name for path in run.iterdir()} >= FILES
    text = (run / "report.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) >= 5
    assert all((run / picture).is_file() for picture in pictures)
    cells = [json.loads(line) for line in (run / "cells.jsonl").read_text().splitlines()]
    lines = re.findall(r"^# (.*)\ndlx train RUN/(.*)", text, re.MULTILINE)
    assert "momentum, tuned, seed 1" in [what for what, _ in lines]
    for what, line in lines:
        config, *overrides = shlex.split(line)
        again = finish(train(run / config, overrides, tmp_path / "again"))
        found = json.loads((again / "result.json").read_text())["members"][0]
        same = [cell for cell in cells if cell["seed"] == found["seed"] and cell["valid"] == found["valid"]]
        assert what.split(",")[0] in [cell["values"]["optimizer"]["name"] for cell in same]
    assert str(run) not in text


@pytest.mark.usefixtures("no_comparison_pictures")
def test_several_problems_have_a_report_each_and_one_together(tmp_path: Path) -> None:
    run = comparison(tmp_path, "first", "second")
    text = (run / "report.md").read_text()
    links = re.findall(r"^- \[(.*?)\]\(<(.*?)>\)", text, re.MULTILINE)
    assert [name for name, _ in links] == ["first", "second"]
    for name, link in links:
        own = (run / link).read_text()
        assert own.startswith(f"# {name}: compare-optimizers\n")
        assert {path.name for path in (run / link).parent.iterdir()} >= FILES
        assert f"dlx train RUN/{Path(link).parent}/config.resolved.yaml" in own
    assert "- splits: first: drawn anew for each seed" in text
    assert "second: one for all seeds" in text
    rows = list(csv.DictReader((run / "runs.csv").read_text().splitlines()))
    assert {row["problem"] for row in rows} == {"first", "second"}
    assert "\\toprule" in (run / "table.tex").read_text()


def test_a_figure_that_cannot_be_drawn_loses_no_result_and_more_seeds_replace_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RunError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("dlx.reporting.comparison_figures.draw_comparison_pictures", fail)
        with pytest.raises(RunError, match="no space left"):
            comparison(tmp_path, "small")
    (run,) = (tmp_path / "runs").iterdir()
    before = (run / "result.json").read_bytes()
    assert not (run / "report.md").exists()
    monkeypatch.setattr("dlx.reporting.comparison_figures.draw_comparison_pictures", lambda *_: [])
    finish(resume(run, []))
    assert (run / "result.json").read_bytes() == before
    assert (run / "report.md").exists()
    assert len((run / "runs.csv").read_text().splitlines()) == 1 + 2 * 2 * 2
    finish(resume(run, ["compare.seeds=3"]))
    assert len((run / "runs.csv").read_text().splitlines()) == 1 + 2 * 2 * 3
    assert "compare.seeds=6" in (run / "report.md").read_text()
