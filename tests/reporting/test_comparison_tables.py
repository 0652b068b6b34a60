"""Tables of a comparison: what stands in them is what was measured, and a terminal shows them whole."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from reporting.comparisons import CASES, leavings

from dlx.reporting.comparison_tables import (
    TERMINAL,
    against_table,
    comparison_tables,
    course_table,
    narrowed,
    ranking_table,
    terminal_tables,
    tuning_table,
    untuned_table,
)
from dlx.reporting.comparison_texts import budget_text, setting_text, short_number
from dlx.reporting.tables import Table, plain


def row_of(table: Table, optimizer: str) -> dict[str, str]:
    """Give the cells of an optimizer by column; of two columns of one name the last."""
    row = next(row for row in table.rows if row[0].removesuffix(" *") == optimizer)
    return dict(zip(table.header, row, strict=True))


def arm_of(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(arm for arm in result["arms"] if arm["name"] == name)


def test_ranking_holds_what_was_measured() -> None:
    result, _, timing = leavings("four")
    table = ranking_table(result, timing)
    assert table.title == ("ranking by validation loss after the last epoch; 20 settings x 2 seeds, 10 fresh seeds")
    medians = {arm["name"]: statistics.median(arm["tuned"]["loss"]["values"]) for arm in result["arms"]}
    assert [row[0] for row in table.rows] == sorted(medians, key=medians.__getitem__)
    for name, median in medians.items():
        row, tuned = row_of(table, name), arm_of(result, name)["tuned"]
        assert float(row["median loss"]) == pytest.approx(median, rel=1e-3)
        low, high = map(float, row["95 % interval"].split(" to "))
        assert low <= median <= high
        assert float(row["test accuracy"]) == pytest.approx(
            statistics.median(tuned["test"]["accuracy"]["values"]), rel=1e-3
        )
        steps = statistics.median(math.inf if n is None else n for n in tuned["steps_to_target"]["values"])
        reached = sum(n is not None for n in tuned["steps_to_target"]["values"]) * 10
        assert row["reached"] == f"{reached} %"
        if math.isinf(steps):
            assert (row["steps to target"], row["seconds to target"]) == ("never", "never")
        else:
            assert float(row["steps to target"]) == steps
            seconds = steps * timing["seconds_per_step"][name]
            assert float(row["seconds to target"]) == pytest.approx(seconds, rel=0.05)
    assert row_of(table, "momentum")["verdict"] == "reference"
    assert row_of(table, "adam")["verdict"] == "practically better"
    assert row_of(table, "lbfgs")["gradients per step"] == "12.5"


def test_columns_that_say_nothing_are_left_out() -> None:
    result, _, timing = leavings("six")
    assert "gradients per step" not in ranking_table(result, timing).header
    assert "diverged" not in ranking_table(result, timing).header
    failing, _, timing = leavings("failing")
    assert row_of(ranking_table(failing, timing), "adam")["diverged"] == "6 of 10"
    for arm in result["arms"]:
        arm["tuned"]["test"] = arm["untuned"]["test"] = {}
    assert not any("test" in name for table in comparison_tables(result, timing) for name in table.header)


def test_arms_that_failed_stand_last_and_infinite_numbers_have_words() -> None:
    result, _, timing = leavings("failing")
    table = ranking_table(result, timing)
    assert table.rows[-1][0] == "sgd"
    assert set(row_of(table, "sgd").values()) == {"sgd", "-"}
    adam = row_of(table, "adam")
    assert (adam["median loss"], adam["test accuracy"], adam["steps to target"]) == ("failed", "-", "never")
    assert adam["95 % interval"].endswith(" to failed")
    assert row_of(against_table(result), "adam")["difference"] == "infinite"
    assert row_of(untuned_table(result), "adam")["gain"] == "-"


def test_without_a_target_there_are_no_times() -> None:
    result, _, timing = leavings("reference failed")
    assert result["target"] is None
    row = row_of(ranking_table(result, timing), "sgd")
    assert {row[name] for name in ("steps to target", "reached", "seconds to target")} == {"-"}
    assert row_of(course_table(result), "sgd")["steps to target, quartiles"] == "-"


def test_seconds_are_only_there_where_they_were_measured() -> None:
    result, _, timing = leavings("four")
    assert row_of(ranking_table(result, {}), "adam")["seconds to target"] == "-"
    del timing["seconds_per_step"]["adam"]
    assert row_of(ranking_table(result, timing), "adam")["seconds to target"] == "-"
    assert row_of(ranking_table(result, timing), "momentum")["seconds to target"] != "-"


def test_the_best_setting_at_an_edge_is_marked() -> None:
    result, _, timing = leavings("edges")
    marked = {row[0] for row in ranking_table(result, timing).rows}
    assert marked == {"momentum", "adam *", "sgd *"}
    assert row_of(tuning_table(result), "sgd")["at the edge"] == "lr"
    assert row_of(tuning_table(result), "momentum")["at the edge"] == "no"


def test_what_tuning_brought() -> None:
    result, *_ = leavings("four")
    for name in ("sgd", "lbfgs"):
        arm, row = arm_of(result, name), row_of(untuned_table(result), name)
        tuned, untuned = (arm[which]["loss"]["values"] for which in ("tuned", "untuned"))
        gain = statistics.median(untuned) - statistics.median(tuned)
        assert float(row["gain"]) == pytest.approx(gain, rel=1e-3)
        assert row["lower on"] == f"{sum(a < b for a, b in zip(tuned, untuned, strict=True))} of 10"


def test_differences_pair_by_seed() -> None:
    result, *_ = leavings("four")
    reference = arm_of(result, "momentum")["tuned"]["loss"]["values"]
    losses = arm_of(result, "sgd")["tuned"]["loss"]["values"]
    row = row_of(against_table(result), "sgd")
    paired = [a - b for a, b in zip(losses, reference, strict=True)]
    assert float(row["difference"]) == pytest.approx(statistics.median(paired), rel=1e-2)
    assert row["lower on"] == f"{sum(d < 0 for d in paired)} of 10"
    assert "momentum" not in [row[0] for row in against_table(result).rows]


def test_one_seed_has_no_interval() -> None:
    result, _, timing = leavings("one seed")
    assert row_of(ranking_table(result, timing), "sgd")["95 % interval"] == "-"
    assert row_of(against_table(result), "sgd")["95 % interval"] == "-"


def test_the_mean_over_steps_is_in_the_unit_of_the_loss() -> None:
    result, *_ = leavings("four")
    areas = arm_of(result, "adam")["tuned"]["area"]["values"]
    mean = float(row_of(course_table(result), "adam")["mean over all steps"])
    assert mean == pytest.approx(math.exp(statistics.median(areas)), rel=1e-3)
    negative, *_ = leavings("negative")
    areas = arm_of(negative, "adam")["tuned"]["area"]["values"]
    assert float(row_of(course_table(negative), "adam")["mean over all steps"]) == pytest.approx(
        statistics.median(areas), rel=1e-3
    )


def test_tuning_tells_the_width_of_the_good_range_and_what_less_would_have_found() -> None:
    result, *_ = leavings("four")
    arm, row = arm_of(result, "sgd"), row_of(tuning_table(result), "sgd")
    losses = {trial["values"]["lr"]: trial["loss"] for trial in arm["searches"][0]["trials"]}
    best = min(losses.values())
    good = [rate for rate, loss in losses.items() if loss <= 1.1 * best]
    assert row["good trials"] == f"{100 * len(good) / len(losses):.0f} %"
    assert float(row["decades"]) == pytest.approx(math.log10(max(good) / min(good)), abs=0.05)
    assert float(row["of all"]) == pytest.approx(best, rel=1e-3)
    untrained = statistics.fmean(result["untrained"][seed] for seed in ("0", "1"))
    mean = statistics.fmean(min(untrained, loss) for loss in losses.values())
    assert float(row["expected best of 1"]) == pytest.approx(mean, rel=1e-3)


def test_several_searches_have_several_best_settings() -> None:
    result, *_ = leavings("studies")
    rates = setting_text(arm_of(result, "adam")).removeprefix("lr ").split(" / ")
    found = []
    for search in arm_of(result, "adam")["searches"]:
        found += [trial["values"]["lr"] for trial in search["trials"] if trial["trial"] == search["best"]]
    assert [float(rate) for rate in rates] == pytest.approx(found, rel=5e-3)
    assert budget_text(result) == "3 searches of 8 settings x 2 seeds, 10 fresh seeds"
    result["protocol"]["num_trials"] = 12
    assert budget_text(result) == "3 searches of 8 + 4 settings x 2 seeds, 10 fresh seeds"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0997654, "0.0998"), (0.995, "0.995"), (0.99179612, "0.9918"), (0.9, "0.9"), (1.0, "1"), (1e-10, "1e-10")],
)
def test_settings_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize("case", CASES)
def test_a_terminal_shows_every_table_whole(case: str) -> None:
    result, _, timing = leavings(case)
    for table in terminal_tables(result, timing):
        assert max(map(len, plain(table)[1:])) <= TERMINAL
        assert table.header[0] == "optimizer"
    verdicts = [row[-1] for row in terminal_tables(result, timing)[0].rows]
    assert verdicts == [row[-1] for row in ranking_table(result, timing).rows]


def test_the_least_important_columns_go_first() -> None:
    result, _, timing = leavings("four")
    table = ranking_table(result, timing)
    assert narrowed(table, 1000).rows == table.rows
    assert set(table.header) - set(narrowed(table, 170).header) <= {
        "gradients per step", "steps to target", "seconds to target",
    }  # fmt: skip
    assert narrowed(table, 1).header == ("optimizer", "verdict")
