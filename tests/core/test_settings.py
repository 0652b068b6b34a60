"""Sections of a config: strict, closed and fixed."""

import pytest
from pydantic import BaseModel, ValidationError

from dlx.core.settings import EarlyStopping, Split, Training

WRONG = [
    (Split, {"valid": 1.0}),
    (Split, {"test": -0.1}),
    (Split, {"seed": -1}),
    (Split, {"seed": 0.5}),
    (Split, {"folds": 1}),
    (Split, {"folds": "leave_two_out"}),
    (Split, {"fold": -1}),
    (Split, {"outer_fold": -1}),
    (Split, {"groups": 3}),
    (Training, {"epochs": 0}),
    (Training, {"batch_size": 2.5}),
    (Training, {"early_stopping": True}),
    (EarlyStopping, {"patience": 0}),
    (EarlyStopping, {"min_delta": float("nan")}),
]


@pytest.mark.parametrize("section", [Split, Training, EarlyStopping])
def test_defaults_round_trip_and_are_closed(section: type[BaseModel]) -> None:
    assert section.model_validate(section().model_dump(mode="json")) == section()
    with pytest.raises(ValidationError, match="Extra inputs"):
        section.model_validate({"no_such_key": 1})
    assert all(field.description for field in section.model_fields.values())


@pytest.mark.parametrize(("section", "values"), WRONG)
def test_wrong_values_are_refused(section: type[BaseModel], values: dict) -> None:
    with pytest.raises(ValidationError):
        section.model_validate(values)
