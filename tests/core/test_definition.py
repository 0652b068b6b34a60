"""What the base classes give every definition."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, PositiveFloat, ValidationError

from dlx.core.definition import Definition, Tunable


class Knobs(Definition):
    """A definition of no family, so that no registry sees it."""

    name: Literal["knobs"] = "knobs"
    rate: Tunable[PositiveFloat] = 0.5
    share: Tunable[Annotated[float, Field(ge=0, lt=1)]] = 0.25
    depth: int = 3


def test_tunables_keep_their_order() -> None:
    assert Knobs.tunable_names() == ("rate", "share")
    assert Knobs(rate=2.0).tunables() == {"rate": 2.0, "share": 0.25}


def test_structure_is_the_rest() -> None:
    assert Knobs(depth=4).structure() == {"name": "knobs", "depth": 4}
    assert Knobs(rate=1.0).structure() == Knobs(rate=2.0).structure()


class Optional(Definition):
    """A tunable that may be null; of no family."""

    name: Literal["optional"] = "optional"
    rate: Tunable[PositiveFloat | None] = None


def test_a_tunable_that_is_null_is_structure() -> None:
    assert Optional().tunables() == {}
    assert Optional().structure() == {"name": "optional", "rate": None}
    assert Optional(rate=2.0).tunables() == {"rate": 2.0}
    assert Optional(rate=2.0).structure() == {"name": "optional"}


def test_integers_are_floats_for_tunables() -> None:
    (rate, _) = Knobs.model_validate({"rate": 2}).tunables().values()
    assert type(rate) is float


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"share": 1.0}, {"depth": 3.0}, {"depth": "3"}, {"name": "other"}])
def test_constraints_hold(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        Knobs.model_validate(wrong)
