"""report.md: every section says what the numbers support, and nothing about the clock."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.results import DIVERGED, course, finished, member, one_seed, several_seeds
from scipy import stats

from dlx.core.errors import RunError
from dlx.reporting.report import fit_sentences, replace_file, report_text, stopping_sentences, write_report

FACTS = {"data": "digits: 1797 examples", "model": "mlp, 9_610 parameters"}


def test_report_of_several_seeds(tmp_path: Path) -> None:
    _, result = course({0: 22, 2: 19, 3: 30}, {1: 6})
    write_report(tmp_path, result, FACTS)
    text = (tmp_path / "report.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert "# digits: train\n\n4 seeds, trained for 6 to 30 epochs; 1 of 4 diverged.\n" in text
    assert "- model: mlp, 9\\_610 parameters\n" in text
    assert "| gap (test - train) | 0.194 ± 0.022 |" in text
    assert "![Learning curve of digits](figures/learning_curve.png)" in text
    assert "- seed 1 diverged: first non-finite loss at step 52, last finite loss 1.000e+30.\n" in text
    assert "dlx train RUN/config.resolved.yaml\n" in text
    assert "dlx train RUN/config.resolved.yaml 'seeds=[3]'" in text
    assert text.count("\n\n\n") == 0


def test_how_long() -> None:
    assert "\nSeed 4, trained for 3 epochs.\n" in report_text(course({4: 3}, {})[1], FACTS)
    assert "\nSeed 4, trained for 1 epoch.\n" in report_text(course({4: 1}, {})[1], FACTS)
    assert "\n2 seeds, trained for 3 epochs.\n" in report_text(course({4: 3, 5: 3}, {})[1], FACTS)


def test_fit_of_several_seeds() -> None:
    text = " ".join(fit_sentences(several_seeds(DIVERGED)))
    assert "the train loss is 0.123 ± 0.025, the test loss 0.276 ± 0.028: the gap is 0.1523 ± 0.0025 over 3" in text
    assert "The test loss is the higher one in 3 of 3 seeds." in text
    assert "overfitting." in text
    assert "chance" not in text


def test_overfitting_is_said_only_if_every_seed_shows_it() -> None:
    result = several_seeds()
    assert "in all 3 seeds: overfitting" in " ".join(fit_sentences(result))
    result["members"][1]["last"]["test"]["loss"] = 0.0
    assert ": overfitting" not in " ".join(fit_sentences(result))


def test_a_negative_gap_is_no_overfitting() -> None:
    result = several_seeds()
    assert "A large gap means overfitting." in " ".join(fit_sentences(result))
    for each in result["members"]:
        each["test"]["loss"] = each["train"]["loss"] / 2
    text = " ".join(fit_sentences(result))
    assert "A negative gap says that the test examples happen to be the easier ones" in text
    assert "A large gap" not in text


def with_gaps(*gaps: float, level: float = 0.0) -> dict[str, Any]:
    """Seeds with these gaps at losses of any level."""
    members = []
    for seed, each in enumerate(gaps):
        one = member(seed)
        one["train"]["loss"], one["test"]["loss"] = level + 0.3 * seed, level + 0.3 * seed + each
        members.append(one)
    return finished(members)


@pytest.mark.parametrize("level", [0.5, -3.0, -1e3])
@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((0.11, 0.1, 0.12, 0.1), "The gap is positive"),
        ((0.1, -0.11, 0.12, -0.1), "These seeds cannot tell the gap from 0"),
        ((0.5, 0.001, 0.002), "These seeds cannot tell the gap from 0"),
        ((-0.1, -0.11, -0.12), "A negative gap"),
        ((0.1,), "The gap is positive:"),
        ((-0.1,), "A negative gap says"),
    ],
)
def test_verdict_on_the_gap(gaps: tuple[float, ...], expected: str, level: float) -> None:
    """It is of paired differences: losses that are negative, or differ more between seeds, change nothing."""
    text = " ".join(fit_sentences(with_gaps(*gaps, level=level)))
    assert expected in text
    if len(gaps) > 1:
        low, high = stats.t.interval(0.95, len(gaps) - 1, np.mean(gaps), stats.sem(gaps))
        found = text.partition("of its mean over seeds: ")[2].partition(")")[0].split(" to ")
        assert [float(each) for each in found] == pytest.approx([low, high], rel=1e-3, abs=1e-9)


def test_signs_of_underfitting() -> None:
    text = " ".join(fit_sentences(one_seed()))
    assert "Of the training examples, 2.00 % are classified wrongly" in text
    assert "last of all epochs" not in text
    regression = finished([{**member(0), "stop_reason": "max_epochs", "best_epoch": 15}], ("r2",))
    regression["summary"]["train"]["r2"] = {"mean": 0.53, "std": None}
    text = " ".join(fit_sentences(regression))
    assert "Of the variance of the training targets, 47.0 % is not explained" in text
    assert "lowest at the last of all epochs here: trained too briefly, it underfits." in text


def test_fit_of_one_seed() -> None:
    text = " ".join(fit_sentences(one_seed()))
    assert "the train loss is 0.1000, the test loss 0.2500: the gap is 0.1500." in text
    assert text.endswith("One seed does not tell how much of this is chance.")


def test_an_interval_over_seeds_on_one_split_says_so() -> None:
    luck = "the luck of the split, which all seeds share, is not in it"
    for seed, is_said in ((0, True), (7, True), (None, False)):
        text = " ".join(fit_sentences({**several_seeds(), "split_seed": seed}))
        assert "95 % interval" in text
        assert (luck in text) == is_said
    assert luck not in " ".join(fit_sentences({**one_seed(), "split_seed": 0})), "one seed has no interval"


def test_what_a_loss_says_of_itself_stands_beside_it() -> None:
    text = " ".join(fit_sentences({**one_seed(), "loss_remark": "It is smoothed."}))
    assert "the gap is 0.1500. It is smoothed. " in text


def dropped(result: dict[str, Any], part: str) -> dict[str, Any]:
    result = copy.deepcopy(result)
    for place in (result["summary"], result["summary"]["last"], *result["members"]):
        place.pop(part)
    return result


def test_fit_without_test_warns_of_the_choice() -> None:
    result = dropped(one_seed(), "test")
    assert "chosen by this validation loss" in " ".join(fit_sentences(result))
    assert "test" not in " ".join(stopping_sentences(result)).lower()


def test_without_valid_nothing_is_chosen() -> None:
    result = dropped(one_seed(), "valid")
    result["members"][0]["stop_reason"] = "max_epochs"
    assert "With the last weights" in " ".join(fit_sentences(result))
    assert list(stopping_sentences(result)) == [
        "The seed trained for all epochs.",
        "There is no validation data, so nothing chose an epoch: the best weights are the last.",
    ]


def test_stopping_counts_reasons() -> None:
    result = finished([member(0), {**member(1), "stop_reason": "max_epochs"}, DIVERGED])
    text = " ".join(stopping_sentences(result))
    assert text.startswith("1 of 2 seeds that did not diverge stopped early")
    assert "1 of 2 seeds that did not diverge trained for all epochs." in text
    assert "of epochs 10 to 11." in text


def test_all_diverged() -> None:
    text = report_text(course({}, {0: 3, 1: 1})[1], FACTS)
    assert "2 of 2 diverged" in text
    assert "## Fit" not in text
    assert "## Early stopping" not in text


def test_one_seed_has_one_command() -> None:
    assert "seeds=" not in report_text(course({4: 3}, {})[1], FACTS)


def test_replace_leaves_the_old_file_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*taken"):
        replace_file(tmp_path / "taken", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_what_is_learned_by_heart_is_not_underfitted() -> None:
    result = one_seed()
    result["summary"]["train"]["accuracy"]["mean"] = 1.0
    text = " ".join(fit_sentences(result))
    assert "learned by heart: there is no underfitting" in text
    assert "classified wrongly" not in text
