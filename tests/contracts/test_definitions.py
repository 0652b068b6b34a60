"""What every registered definition promises, whatever its family."""

import inspect
import json

import pytest
from pydantic import ValidationError

from dlx.core.definition import Activation, Dataset, Definition, Loss, Metric, Model, Optimizer, Prior, Schedule
from dlx.core.registry import registered
from dlx.core.surface import Surface

FAMILIES = (Activation, Dataset, Loss, Metric, Model, Optimizer, Prior, Schedule, Surface)
DEFINITIONS = [
    pytest.param(name, cls, id=f"{family.__name__}-{name}")
    for family in FAMILIES
    for name, cls in registered(family).items()
]
every_definition = pytest.mark.parametrize(("name", "cls"), DEFINITIONS)


def default_of(cls: type[Definition]) -> Definition:
    return cls.example()


@pytest.mark.parametrize("family", FAMILIES)
def test_family_has_definitions(family: type[Definition]) -> None:
    assert registered(family)


@every_definition
def test_name_is_the_yaml_name(name: str, cls: type[Definition]) -> None:
    field = cls.model_fields["name"]
    assert field.default == name
    assert field.annotation.__args__ == (name,)
    assert default_of(cls).name == name


@every_definition
def test_docstrings(name: str, cls: type[Definition]) -> None:
    summary = inspect.cleandoc(cls.__dict__["__doc__"] or "").splitlines()[0]
    assert len(summary) > 3, "the docstring needs a summary"
    described = {field: info.description for field, info in cls.model_fields.items() if field != "name"}
    assert all(described.values()), described


@every_definition
def test_every_field_is_either_structure_or_tunable(name: str, cls: type[Definition]) -> None:
    definition = default_of(cls)
    structure, tunables = definition.structure(), definition.tunables()
    assert not structure.keys() & tunables.keys()
    fields = {*cls.model_fields, *(definition.model_extra or ())}
    assert (structure.keys() & fields) | tunables.keys() == fields
    assert structure["name"] == name
    assert all(type(value) is float for value in tunables.values())


@every_definition
def test_json_round_trip(name: str, cls: type[Definition]) -> None:
    definition = default_of(cls)
    text = json.dumps(definition.model_dump(mode="json"), allow_nan=False)
    assert cls.model_validate(json.loads(text)) == definition
    json.dumps(definition.structure(), allow_nan=False)


@every_definition
def test_unknown_key_is_refused(name: str, cls: type[Definition]) -> None:
    with pytest.raises(ValidationError) as refused:
        cls.model_validate({**default_of(cls).model_dump(mode="json"), "no_such_key": 1})
    assert [(fault["type"], fault["loc"]) for fault in refused.value.errors()] == [
        ("extra_forbidden", ("no_such_key",))
    ]


@every_definition
def test_values_cannot_change(name: str, cls: type[Definition]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        default_of(cls).name = "other"


@every_definition
def test_tunables_are_finite_numbers(name: str, cls: type[Definition]) -> None:
    for tunable in cls.tunable_names():
        for wrong in (float("nan"), float("inf"), "0.1", True):
            with pytest.raises(ValidationError):
                cls.model_validate({**default_of(cls).model_dump(mode="json"), tunable: wrong})
