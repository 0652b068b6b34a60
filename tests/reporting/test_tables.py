"""Tables: rounding, missing parts, diverged members, and gaps that are taken within each seed."""

import copy
import math
import statistics
from typing import Any

import pytest
from reporting.results import DIVERGED, finished, one_seed, several_seeds

from dlx.reporting import tables


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4123456, "0.4123"),
        (0.9, "0.9000"),
        (0.99996, "1.000"),
        (0, "0"),
        (-0.00012346, "-0.0001235"),
        (0.000012345, "1.234e-05"),
        (12345.6, "12346"),
        (99999.9, "1.000e+05"),
        (1e30, "1.000e+30"),
        (-2.5, "-2.500"),
        (None, "undefined"),
        (math.nan, "undefined"),
        (math.inf, "inf"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert tables.format_number(value) == text


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.91234, 0.01267, "0.912 ± 0.013"),
        (0.91234, 0.0996, "0.91 ± 0.10"),
        (0.91234, 0.00996, "0.912 ± 0.010"),
        (1234.5, 123.4, "1230 ± 120"),
        (1.5, 12.3, "2 ± 12"),
        (-0.001, 0.12, "0.00 ± 0.12"),
        (1.234e-7, 1.2e-8, "(1.23 ± 0.12)e-07"),
        (1.2345e30, 1.2e29, "(1.23 ± 0.12)e+30"),
        (1.0, 1e30, "(0.0 ± 1.0)e+30"),
        (0.5, 0.0, "0.5000 ± 0"),
        (0.5, 1e-12, "0.5000000 ± 1.0e-12"),
        (0.0, 0.5, "0.00 ± 0.50"),
        (0.5, None, "0.5000"),
        (None, None, "undefined"),
        (math.nan, 1.0, "undefined"),
    ],
)
def test_mean_and_deviation(mean: float | None, std: float | None, text: str) -> None:
    assert tables.format_mean(mean, std) == text


def test_one_seed_has_plain_values() -> None:
    best, last = tables.score_tables(one_seed())
    assert best.title == "best weights (lowest validation loss)"
    assert best.header == ("", "loss", "accuracy")
    assert best.rows == (
        ("train", "0.1000", "0.9800"),
        ("valid", "0.2000", "0.9500"),
        ("test", "0.2500", "0.9400"),
        ("gap (test - train)", "0.1500", "-0.0400"),
    )
    assert last.title == "last weights"
    assert last.rows[-1] == ("gap (test - train)", "0.2800", "-0.0800")


def test_gap_is_taken_within_each_seed() -> None:
    result = several_seeds()
    gaps = [member["test"]["loss"] - member["train"]["loss"] for member in result["members"]]
    apart = statistics.stdev(member["test"]["loss"] for member in result["members"])
    assert tables.gap(result, "loss", "train", "test") == (
        pytest.approx(statistics.fmean(gaps)),
        pytest.approx(statistics.stdev(gaps)),
    )
    assert statistics.stdev(gaps) != pytest.approx(apart)
    best = tables.score_tables(result)[0]
    assert best.title.endswith(", mean ± standard deviation over 3 seeds")
    assert best.rows[2][1] == tables.format_mean(
        statistics.fmean(member["test"]["loss"] for member in result["members"]), apart
    )


def without(result: dict[str, Any], *parts: str) -> dict[str, Any]:
    result = copy.deepcopy(result)
    for member in result["members"]:
        for place in (member, member["last"], result["summary"], result["summary"]["last"]):
            for part in parts:
                place.pop(part, None)
    return result


def test_without_test_the_gap_is_to_valid() -> None:
    best = tables.score_tables(without(one_seed(), "test"))[0]
    assert [row[0] for row in best.rows] == ["train", "valid", "gap (valid - train)"]
    assert tables.headline(without(one_seed(), "test")) == "valid accuracy 0.9500  valid loss 0.2000"


def test_without_valid_there_are_only_last_weights() -> None:
    (table,) = tables.score_tables(without(one_seed(), "valid"))
    assert (table.title, table.rows[1]) == ("last weights", ("test", "0.3000", "0.9100"))


def test_best_weights_that_are_the_last_are_shown_once() -> None:
    result = several_seeds(DIVERGED)
    for member in result["members"][:2]:
        member["best_epoch"] = member["last_epoch"]
    assert len(tables.score_tables(result)) == 2, "one seed has others"
    result["members"][2]["best_epoch"] = result["members"][2]["last_epoch"]
    (table,) = tables.score_tables(result)
    assert table.title.startswith("best weights (lowest validation loss), which are also the last, mean ±")


def test_train_alone_has_no_gap() -> None:
    (table,) = tables.score_tables(without(one_seed(), "valid", "test"))
    assert [row[0] for row in table.rows] == ["train"]


def test_gap_of_one_seed_is_no_sharper_than_its_scores() -> None:
    result = one_seed()
    for score, (train, test) in {"loss": (0.02143, 12.3456), "accuracy": (1e-7, 0.5)}.items():
        result["summary"]["train"][score]["mean"] = result["members"][0]["train"][score] = train
        result["summary"]["test"][score]["mean"] = result["members"][0]["test"][score] = test
    assert tables.score_tables(result)[0].rows[-1][1:] == ("12.32", "0.5000")


def test_undefined_score_has_no_gap() -> None:
    result = one_seed()
    result["members"][0]["test"]["accuracy"] = None
    result["summary"]["test"]["accuracy"] = {"mean": None, "std": None}
    assert tables.score_tables(result)[0].rows[2:] == (
        ("test", "0.2500", "undefined"),
        ("gap (test - train)", "0.1500", "undefined"),
    )
    assert tables.member_table(result).rows[0][-1] == "undefined"


def test_scores_too_large_to_add() -> None:
    assert tables.mean_and_std([1.7e308, 1.7e308]) == (None, None)


def test_diverged_members_do_not_count() -> None:
    result = several_seeds(DIVERGED)
    assert tables.score_tables(result) == tables.score_tables(several_seeds())
    table = tables.member_table(result)
    assert table.header == ("seed", "stopped by", "best epoch", "last epoch", "test loss", "test accuracy")
    assert table.rows[0][:4] == ("0", "patience", "10", "15")
    assert table.rows[-1] == ("9", "diverged", "-", "2", "-", "-")
    assert tables.divergence_texts(result) == [
        "seed 9 diverged: first non-finite loss at step 52, last finite loss 1.000e+30"
    ]


def test_all_diverged() -> None:
    result = finished([DIVERGED, {**DIVERGED, "seed": 3, "last_finite_loss": None}])
    assert tables.score_tables(result) == []
    assert tables.headline(result) is None
    assert tables.member_table(result).header == ("seed", "stopped by", "best epoch", "last epoch")
    assert tables.divergence_texts(result)[1].endswith("at step 52, no finite loss before")


def test_plain_is_aligned() -> None:
    table = tables.Table("title", ("", "loss"), (("train", "0.1"), ("gap", "-10.25")))
    assert tables.plain(table) == ["title", "            loss", "  train      0.1", "  gap     -10.25"]


def test_markdown_shows_every_character() -> None:
    table = tables.Table("a|b", ("", "my_metric"), (("<x>", "1"),))
    assert tables.markdown(table) == "A\\|b:\n\n|  | my\\_metric |\n| --- | ---: |\n| \\<x\\> | 1 |\n"
