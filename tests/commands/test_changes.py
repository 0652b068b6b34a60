"""A search that is done: what it refuses, and what it may have more of."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands.runs import finish, status
from commands.searches import RANDOM, TPE, cells_by_id, outcome, read, small_search

from dlx.commands.resume import resume
from dlx.core.errors import ConfigError, RunError, UsageError
from dlx.core.records import Cell

pytestmark = pytest.mark.usefixtures("no_search_pictures")

SOBOL = RANDOM.replace("random", "sobol")
NESTED = ("cv.nested=true", "cv.folds=2")
REPEATED = ["cv.repeats=2"]


def bytes_of(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("search", "key"), [([], "cv.repeats"), ([RANDOM], "search.trials"), ([TPE, *NESTED], "search.trials")]
)
def test_done_and_not_extended(tmp_path: Path, search: list[str], key: str) -> None:
    run = small_search(tmp_path, *search)
    before = bytes_of(run)
    with pytest.raises(RunError) as refused:
        next(resume(run, []))
    hint = f"{run} is done: there is nothing to resume; to extend it: dlx resume {run} {key}=N"
    assert (refused.value.exit_code, str(refused.value)) == (3, hint)
    assert bytes_of(run) == before


@pytest.mark.parametrize("split", ["{time_series: true, valid: 0.2}", "{fold_column: x, valid: 0}"])
def test_no_hint_where_nothing_can_grow(tmp_path: Path, split: str) -> None:
    run = small_search(tmp_path, f"data.split={split}", "data.num_examples=20", "training.batch_size=full")
    with pytest.raises(RunError, match=r"is done: there is nothing to resume$"):
        next(resume(run, []))


def is_as_if_fresh(run: Path, folder: Path, *overrides: str) -> None:
    """Compare with a new search; trials.jsonl alone remembers what was told at first."""
    folder.mkdir()
    expected, found = outcome(small_search(folder, *overrides)), outcome(run)
    for each in (expected, found):
        del each["trials.jsonl"]
    assert found == expected


@pytest.mark.parametrize(
    ("search", "more"),
    [
        ([RANDOM], ["search.trials=5"]),
        ([SOBOL], ["search.trials=5"]),
        ([RANDOM], ["search.trials=4", "cv.repeats=2"]),
        ([SOBOL, *NESTED], ["search.trials=4"]),
        ([], REPEATED),
        ([TPE], ["search.trials=7"]),
    ],
)
def test_extended(tmp_path: Path, search: list[str], more: list[str], trained: list[Cell]) -> None:
    """As a fresh search with so many, and no old cell is trained again."""
    run = small_search(tmp_path, *search)
    old, num_begun = cells_by_id(run), len(trained)
    assert num_begun == len(old)
    finish(resume(run, more))
    assert len(trained) == len(cells_by_id(run)), "each cell once"
    assert list(cells_by_id(run).values())[: len(old)] == list(old.values())
    assert status(run) == "done"
    is_as_if_fresh(run, tmp_path / "fresh", *search, *more)


def test_more_repeats_of_a_guided_search(tmp_path: Path, trained: list[Cell]) -> None:
    """Its trials stay: what it was told of them is what it goes on from."""
    run = small_search(tmp_path, TPE)
    values = [trial["values"] for trial in read(run)["trials"]]
    finish(resume(run, REPEATED))
    assert [trial["values"] for trial in read(run)["trials"]] == values
    assert len(trained) == 5 * 3 * 2
    assert all(len(trial["score"]["folds"]) == 6 for trial in read(run)["trials"])
    finish(resume(run, ["search.trials=6"]))
    assert [trial["values"] for trial in read(run)["trials"]][:5] == values
    assert len(trained) == 6 * 3 * 2


GROWABLE = "a resumed run may only have more search.trials or cv.repeats, but this would change "
ANEW = "; begin anew with: dlx cv config.resolved.yaml KEY=VALUE"


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("optimizer.lr=0.2", "optimizer.lr: 0.05 -> 0.2"),
        ("training.epochs=9", "training.epochs: 4 -> 9"),
        ("seeds=3", "seeds: 1 -> 3"),
        ("cv.seeds=2", "cv.seeds: 1 -> 2"),
        ("cv.nested=true", "cv.nested: false -> true"),
        ("cv.repeats=1", "cv.repeats: 2 -> 1"),
        ("search.trials=2", "search.trials: 3 -> 2"),
        ("search.seed=1", "search.seed: 0 -> 1"),
        ("cv={folds: 3, repeats: 3, select: best}", 'cv.select: "one_se" -> "best"'),
    ],
)
@pytest.mark.parametrize("is_done", [True, False])
def test_any_other_change_is_refused(run_of_two: Path, override: str, difference: str, is_done: bool) -> None:
    before = bytes_of(run_of_two)
    with pytest.raises(UsageError) as refused:
        next(
            resume(run_of_two, [override, "cv.repeats=2"] if not is_done and "repeats" not in override else [override])
        )
    assert (refused.value.exit_code, str(refused.value)) == (2, f"{GROWABLE}{difference}{ANEW}")
    assert bytes_of(run_of_two) == before


@pytest.fixture(scope="module")
def run_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlx.reporting.search_figures.draw_search_pictures", lambda *_: [])
        return small_search(tmp_path_factory.mktemp("two"), RANDOM, *REPEATED)


def test_hyperband_has_its_brackets(tmp_path: Path) -> None:
    run = small_search(tmp_path, RANDOM, "search.budget=hyperband", "search.min_epochs=1")
    with pytest.raises(
        UsageError, match=r"^the brackets of hyperband follow from the number of trials, which cannot gr"
    ):
        next(resume(run, ["search.trials=4"]))
    assert (run / "result.json").exists()


def test_a_grid_has_all_its_trials(tmp_path: Path) -> None:
    run = small_search(tmp_path)
    with pytest.raises(ConfigError, match=r"the grid has 4 settings, but search.trials is 9"):
        next(resume(run, ["search.trials=9"]))


def test_what_is_extended_may_be_killed(tmp_path: Path) -> None:
    run = small_search(tmp_path, RANDOM)
    records = resume(run, ["search.trials=6"])
    next(records)
    assert not (run / "result.json").exists(), "it is of fewer trials"
    assert not (run / "best.yaml").exists()
    records.close()  # type: ignore[attr-defined]
    finish(resume(run, []))
    is_as_if_fresh(run, tmp_path / "fresh", RANDOM, "search.trials=6")
