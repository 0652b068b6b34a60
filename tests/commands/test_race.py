"""``dlx compare-optimizers`` on an analytic surface: what a run holds, and what is refused before there is one."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands.runs import write_config

from dlx.cli.render import result_lines
from dlx.commands.race import race
from dlx.core.errors import ConfigError, DivergedError, DlxError, UsageError
from dlx.core.records import AnalysisProgress, AnalysisStarted, Finished
from dlx.core.registry import registered
from dlx.core.surface import Surface

FILES = {
    "run.json", "config.input.yaml", "config.resolved.yaml", "environment.json", "result.json", "race.json",
    "paths.csv", "starts.csv", "report.md",
}  # fmt: skip
PICTURES = {f"figures/race_{name}.png" for name in ("paths", "starts", "courses", "rates")}
HIMMELBLAU = """
surface: himmelblau
steps: 30
optimizers: [{name: sgd, lr: 0.01}, {name: momentum, lr: 0.01, momentum: 0.5}, {name: sgd, lr: 1.0}]
compare: {starts: 9, rates: 4}
"""


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures, which take longer than a small race."""
    monkeypatch.setattr("dlx.reporting.race_figures.draw_race", lambda *_: [])


def hold(folder: Path, text: str, *overrides: str) -> tuple[dict[str, Any], Path]:
    """Run the command and read result.json."""
    first, *progress, last = race(write_config(folder, text), overrides, folder / "races")
    assert isinstance(first, AnalysisStarted)
    assert isinstance(last, Finished)
    assert progress
    assert all(isinstance(each, AnalysisProgress) and 0 <= each.share <= 1 for each in progress)
    result = json.loads((last.run_dir / "result.json").read_text())
    assert result == last.result
    assert json.loads((last.run_dir / "run.json").read_text())["status"] == "done"
    return result, last.run_dir


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_complete_run(tmp_path: Path) -> None:
    result, run_dir = hold(tmp_path, HIMMELBLAU)
    found = {path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if path.is_file()}
    assert found - {".lock"} == FILES | PICTURES
    report = (run_dir / "report.md").read_text()
    assert "**Geometry, no ranking: two variables say little about networks of thousands.**" in report
    for name in PICTURES:
        assert (run_dir / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert f"({name})" in report
    assert {key: result[key] for key in ("schema", "command", "kind", "status")} == {
        "schema": 1, "command": "compare-optimizers", "kind": "surface", "status": "done",
    }  # fmt: skip
    assert any(text.startswith("Geometry, no ranking") for text, _ in result_lines(result, run_dir))


@pytest.mark.usefixtures("no_figures")
def test_what_is_measured(tmp_path: Path) -> None:
    result, run_dir = hold(tmp_path, HIMMELBLAU)
    slow, heavy, fast = result["optimizers"]
    assert slow["usual"]["fate"] == "minimum 1"
    assert slow["usual"]["end"] == pytest.approx([3, 2], abs=1e-3)
    assert fast["all"]["fates"] == {"diverged": 10}
    assert (fast["all"]["median_arrival"], fast["all"]["value"]["median"]) == (None, None)
    for each in (slow, heavy):
        rows = [row for row in table(run_dir / "starts.csv") if row["optimizer"] == each["optimizer"]]
        fates = [row["fate"] for row in rows]
        assert each["all"]["fates"] == {fate: fates.count(fate) for fate in set(fates)}
        arrivals = [float(row["arrived"] or "inf") for row in rows]
        assert each["all"]["median_arrival"] == np.median(arrivals)
        assert each["all"]["value"]["median"] == pytest.approx(np.median([float(row["f"]) for row in rows]))
    curvatures = [(each["lowest_curvature"], each["highest_curvature"]) for each in result["minima"]]
    assert curvatures[0] == pytest.approx((25.7157287525, 82.2842712475), rel=1e-10)
    highest = min(high for _, high in curvatures)
    assert [limit["lr"] for limit in result["limits"]] == pytest.approx([2 / highest, 3 / highest])


@pytest.mark.usefixtures("no_figures")
def test_paths_are_those_of_the_landscape(tmp_path: Path) -> None:
    from dlx.commands.landscape import load_view

    result, run_dir = hold(tmp_path, HIMMELBLAU)
    rows = table(run_dir / "paths.csv")
    view = load_view(write_config(tmp_path, HIMMELBLAU), [])
    for (rule, path), each in zip(view.walks, result["optimizers"], strict=True):
        mine = [row for row in rows if row["optimizer"] == rule]
        assert [[float(row["x1"]), float(row["x2"])] for row in mine] == path.points.tolist()
        assert [float(row["f"]) for row in mine][:-1] == path.values.tolist()[:-1]
        assert [int(row["step"]) for row in mine] == list(range(each["usual"]["steps"] + 1))


@pytest.mark.usefixtures("no_figures")
def test_the_same_again_and_another_seed(tmp_path: Path) -> None:
    first, run_dir = hold(tmp_path, HIMMELBLAU)
    again, other_dir = hold(tmp_path, HIMMELBLAU)
    assert again == first
    for name in ("result.json", "race.json", "paths.csv", "starts.csv"):
        assert (run_dir / name).read_bytes() == (other_dir / name).read_bytes()
    other, _ = hold(tmp_path, HIMMELBLAU, "compare.seed=1")
    assert other["optimizers"][0]["all"] != first["optimizers"][0]["all"]
    assert other["optimizers"][0]["usual"] == first["optimizers"][0]["usual"]


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("surface", registered(Surface))
def test_every_surface(tmp_path: Path, surface: str) -> None:
    text = f"surface: {surface}\nsteps: 3\noptimizers: [{{name: sgd, lr: 1e-4}}]\ncompare: {{starts: 2, rates: 2}}\n"
    result, run_dir = hold(tmp_path, text)
    minima = registered(Surface)[surface]().minima
    assert len(result["minima"]) == (len(minima.points) if minima else 0)
    assert (result["optimizers"][0]["sweep"] is None) == (minima is None)
    assert sum(result["optimizers"][0]["all"]["fates"].values()) == 3
    assert result_lines(result, run_dir)


def test_other_than_two_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.drawing.save_figure", lambda *_: None)
    text = "surface: {name: quadratic, num_variables: 30}\nsteps: 20\noptimizers: [{name: sgd, lr: 0.1}, evolution]\n"
    result, run_dir = hold(tmp_path, text, "compare={starts: 2, rates: 3}", f"start={[0.5] * 30}")
    shown = re.findall(r"\(figures/race_(\w+)\.png\)", (run_dir / "report.md").read_text())
    assert shown == ["courses", "rates"]
    assert result["optimizers"][1]["sweep"] is None
    assert result["start"] == [0.5] * 30
    rows = table(run_dir / "paths.csv")
    assert [key for key in rows[0] if key.startswith("x")] == [f"x{number}" for number in range(1, 21)]


@pytest.mark.usefixtures("no_figures")
def test_momentum_helps_on_rosenbrock(tmp_path: Path) -> None:
    """What the config of the repository is there to show."""
    text = Path("configs/rosenbrock.yaml").read_text()
    result, run_dir = hold(tmp_path, text, "compare={starts: 0, rates: 0}")
    plain, heavy, _ = result["optimizers"]
    assert plain["lr"] == heavy["lr"]
    assert plain["usual"]["arrived"] is None
    assert heavy["usual"]["arrived"] is not None
    assert result["minima"][0]["condition"] == pytest.approx(2508.00960128, rel=1e-9)
    best = result["minima"][0]["best"]
    assert best["descent"]["steps_per_digit"] > 40 * best["heavy_ball"]["steps_per_digit"]
    assert plain["theory"][0]["factor"] == pytest.approx(1 - 1e-3 * 0.399360767488, rel=1e-9)
    assert "2508 times as curved" in (run_dir / "report.md").read_text()


@pytest.mark.usefixtures("no_figures")
def test_all_diverge(tmp_path: Path) -> None:
    config = write_config(tmp_path, "surface: rosenbrock\nsteps: 20\noptimizers: [{name: sgd, lr: 9.0}]\n")
    records = []
    with pytest.raises(DivergedError, match="from every start"):
        records.extend(race(config, ["compare={starts: 3, rates: 2}"], tmp_path / "races"))
    (run_dir,) = (tmp_path / "races").iterdir()
    assert json.loads((run_dir / "result.json").read_text())["status"] == "diverged"


@pytest.mark.parametrize(
    ("overrides", "error", "match"),
    [
        (["optimizers=[]"], UsageError, "nothing to race"),
        (["compare.starts=-1"], ConfigError, r"`compare.starts` must be at least 0"),
        (["compare.rate=3"], ConfigError, "did you mean `rates`"),
        (["optimizers=[gauss_newton]"], ConfigError, "needs the outputs of a model"),
        (["start=[1]"], ConfigError, "`start` has 1 number"),
    ],
)
def test_what_is_refused(tmp_path: Path, overrides: list[str], error: type[DlxError], match: str) -> None:
    with pytest.raises(error, match=match):
        list(race(write_config(tmp_path, HIMMELBLAU), overrides, tmp_path / "races"))
    assert not (tmp_path / "races").exists()
