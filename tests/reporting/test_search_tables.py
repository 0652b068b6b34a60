"""Tables of a search against its cells, and trials.csv against its result."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from reporting.searches import CASES, TWO, grid, quality, searched
from scipy import stats

from dlx.reporting.search_tables import MAX_ROWS, ranked_table, search_tables, trials_csv
from dlx.reporting.tables import markdown, plain


def columns(result: dict[str, Any], max_rows: int = MAX_ROWS) -> dict[str, list[str]]:
    table = ranked_table(result, max_rows)
    return dict(zip(table.header, map(list, zip(*table.rows, strict=True)), strict=True))


def test_ranked_table_of_a_grid() -> None:
    result, cells = CASES["grid"]()
    found = columns(result)
    assert list(found) == [
        "rank", "trial", "lr", "hidden", "held-out accuracy", "training", "gap", "best epoch", "parameters", "note",
    ]  # fmt: skip
    assert [int(each) for each in found["rank"]] == list(range(1, 13))
    best = [line for line in cells if line["trial"] == int(found["trial"][0])]
    scores = [line["test"]["accuracy"] for line in best]
    mean, se = map(float, found["held-out accuracy"][0].split(" ± "))
    assert mean == pytest.approx(np.mean(scores), abs=1e-4)
    assert se == pytest.approx(stats.sem(scores), abs=1e-4)
    gap = np.mean([line["test"]["accuracy"] - line["train"]["accuracy"] for line in best])
    assert float(found["gap"][0]) == pytest.approx(gap, abs=1e-4)
    assert int(found["best epoch"][0]) == np.median([line["best_epoch"] for line in best])
    assert found["parameters"][0] == f"{best[0]['num_parameters']:,}"
    values = result["trials"][int(found["trial"][0])]["values"]
    assert float(found["lr"][0]) == values["optimizer.lr"]
    assert json.loads(found["hidden"][0]) == values["model.hidden"]


def test_marks() -> None:
    result, _ = CASES["grid"]()
    selection = result["selection"]
    assert selection["best"] != selection["chosen"]
    notes = dict(zip(map(int, columns(result)["trial"]), columns(result)["note"], strict=True))
    assert notes[selection["best"]] == "best"
    assert notes[selection["chosen"]] == "=, chosen"
    equal = {number for number, note in notes.items() if "=" in note}
    assert equal == set(selection["indistinguishable"])
    assert columns(CASES["one trial"]()[0])["note"] == ["best, chosen"]


def test_failed_trials_come_last_with_their_reason() -> None:
    result, _ = CASES["failures"]()
    notes = columns(result, 100)["note"]
    assert [note.split(" ")[0] for note in notes[7:21]] == ["dropped"] * 14
    assert notes[20] == "dropped after 2 epochs"
    assert notes[21] == "diverged: 3 of 5 cells diverged, the first in fold 0 at step 14"
    assert notes[23].startswith("invalid: optimizer.rho1: sgd has no such setting expected lr;")
    assert len(notes[23]) <= 70
    assert columns(result, 100)["held-out accuracy"][-1] == "-"


def test_so_many_rows_at_most_but_the_chosen_one() -> None:
    result, _ = CASES["random"]()
    table = ranked_table(result)
    assert len(table.rows) == MAX_ROWS
    assert table.title.endswith("; 40 more in trials.csv")
    last = max(result["trials"], key=lambda trial: trial["rank"])
    result["selection"]["chosen"] = last["trial"]
    table = ranked_table(result)
    assert len(table.rows) == MAX_ROWS
    assert table.rows[-1][1] == str(last["trial"])
    assert table.rows[-2][0].strip() == str(MAX_ROWS - 1)
    assert "more" not in ranked_table(result, 60).title


def test_direction_and_meaning_are_said() -> None:
    assert "mse (lower is better), mean ± standard error over folds" in ranked_table(CASES["huge"]()[0]).title
    assert "(higher is better), ± jackknife standard error" in ranked_table(CASES["leave one out"]()[0]).title


def test_undefined_scores() -> None:
    result, _ = CASES["grid"]()
    result["trials"][3]["score"] |= {"mean": None, "se": None}
    place = columns(result)["trial"].index("3")
    assert columns(result)["held-out accuracy"][place] == "undefined"
    assert columns(result)["gap"][place] == "-"


def test_tables_of_a_nested_search() -> None:
    result, _ = CASES["nested"]()
    _, chosen, outer = search_tables(result)
    assert [row[0] for row in chosen.rows] == ["train", "valid", "held-out"]
    assert len(outer.rows) == 5
    assert [float(row[-2]) for row in outer.rows] == pytest.approx(
        [each["score"] for each in result["estimate"]["outer"]], abs=1e-4
    )
    result["estimate"]["outer"][2] |= dict.fromkeys(("trial", "values", "epochs", "score", "selection_score"))
    row = search_tables(result)[2].rows[2]
    assert row == ("2", "-", "-", "-", "-", "undefined", "undefined")


@pytest.mark.parametrize("case", CASES)
def test_every_table_can_be_written(case: str) -> None:
    for table in search_tables(CASES[case]()[0]):
        assert {len(row) for row in table.rows} == {len(table.header)}
        assert len(plain(table)) == len(table.rows) + 2
        assert markdown(table).count("\n") == len(table.rows) + 4


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_holds_everything() -> None:
    result, _ = CASES["failures"]()
    rows = read(trials_csv(result))
    assert [int(row["rank"]) for row in rows] == list(range(1, 25))
    for row in rows:
        trial = result["trials"][int(row["trial"])]
        assert row["status"] == trial["status"]
        assert row["reason"] == trial.get("reason", "")
        assert {key: json.loads(row[key]) for key in trial["values"]} == trial["values"]
        for part, scores in trial.get("means", {}).items():
            for name, score in scores.items():
                found = [float(row[f"{part}_{name}_{which}"]) for which in ("mean", "se")]
                assert found == [score["mean"], score["se"]]
        assert row["is_best"] == str(trial["trial"] == result["selection"]["best"])
        equal = trial.get("difference", {}).get("indistinguishable")
        assert row["indistinguishable"] == ("" if equal is None else str(equal))


def test_csv_of_words_nulls_and_undefined_scores() -> None:
    space = {"model.activation": ["relu", "tanh, or not"], "training.clip_norm": [None, 1.0]}
    result, _ = searched(space, grid(space))
    result["trials"][0]["score"]["mean"] = None
    rows = sorted(read(trials_csv(result)), key=lambda row: int(row["trial"]))
    assert [row["model.activation"] for row in rows] == ["relu", "relu", "tanh, or not", "tanh, or not"]
    assert [row["training.clip_norm"] for row in rows] == ["null", "1.0", "null", "1.0"]
    assert rows[0]["score_mean"] == ""


def test_csv_with_seeds() -> None:
    result, _ = searched(TWO, grid(TWO), quality, seeds=(0, 1))
    assert {row["seed_std"] for row in read(trials_csv(result))} == {"0.0042"}
