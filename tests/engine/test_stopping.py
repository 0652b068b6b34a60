import math

import numpy as np
import pytest

from dlx.core.records import Divergence
from dlx.core.settings import EarlyStopping, Training
from dlx.engine.stopping import Course


def run(losses: list[float], **rule: float) -> Course:
    course = Course()
    training = Training(epochs=100, early_stopping=EarlyStopping(**rule) if rule else None)
    for epoch, loss in enumerate(losses, 1):
        course.observe(epoch, loss, training)
        if course.stop_reason:
            break
    return course


def test_patience_counts_epochs_without_improvement() -> None:
    course = run([3, 2, 2.5, 2.4, 2.3, 1], patience=3)
    assert (course.best_epoch, course.best_loss, course.stop_reason, course.waited) == (2, 2, "patience", 3)


def test_a_small_improvement_is_best_but_does_not_restart_the_wait() -> None:
    course = run([3, 2.95, 2.9, 2.85], patience=3, min_delta=0.5)
    assert (course.best_epoch, course.stop_reason) == (4, "patience")


def test_an_equal_loss_is_no_improvement() -> None:
    assert run([2, 2, 2], patience=2).best_epoch == 1


def test_without_a_rule_it_never_stops_early() -> None:
    course = run([1.0] + [2.0] * 98)
    assert (course.best_epoch, course.stop_reason) == (1, None)


def test_the_last_epoch_stops_everyone() -> None:
    course = Course()
    course.observe(7, 1.0, Training(epochs=7))
    assert course.stop_reason == "max_epochs"


@pytest.mark.parametrize(
    ("losses", "scores", "expected"),
    [
        ([1.0, 2.0], [3.0], None),
        ([1.0, math.inf, 2.0], [3.0], Divergence(12, 1.0)),
        ([math.nan, 1.0], [3.0], Divergence(11, 0.5)),
        ([1.0, 2.0], [math.nan], Divergence(13, 2.0)),
    ],
)
def test_the_first_nonfinite_step(losses: list[float], scores: list[float], expected: Divergence | None) -> None:
    course = Course(last_loss=0.5)
    course.check_finite(np.array(losses), scores, steps_before=10)
    assert course.divergence == expected
    assert course.stop_reason == ("diverged" if expected else None)
