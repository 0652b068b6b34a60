"""Looking definitions up by name, in configs and in packages."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ValidationError

from dlx.core.definition import Activation, Definition, Loss, Model, Optimizer
from dlx.core.registry import Registered, nearest, registered
from dlx.losses.mse import MeanSquaredError
from dlx.models.activations import Tanh
from dlx.models.linear import Linear
from dlx.optimizers.adam import Adam


class Config(BaseModel):
    loss: Annotated[Loss, Registered()] = MeanSquaredError()
    optimizer: Annotated[Optimizer, Registered()] = Adam()
    model: Annotated[Model, Registered()] = Linear()


def faults(**sections: Any) -> list[tuple[str, tuple, dict]]:
    with pytest.raises(ValidationError) as refused:
        Config.model_validate(sections)
    return [(fault["type"], fault["loc"], fault.get("ctx", {})) for fault in refused.value.errors()]


BASE = """
from abc import abstractmethod
from typing import Literal
from dlx.core.definition import Definition

class Pet(Definition):
    package = "{package}"
    family = "pet"

    @abstractmethod
    def sound(self) -> str: ...
"""
DOG = """
from typing import Literal
from {package}.base import Pet

class Dog(Pet):
    name: Literal["dog"] = "dog"

    def sound(self) -> str:
        return "woof"
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., type[Definition]]]:
    """Writes a package of definitions and gives its family; the package is forgotten after the test."""
    packages = []

    def plant(package: str, **files: str) -> type[Definition]:
        packages.append(package)
        (tmp_path / package).mkdir()
        for name, text in {"__init__": "", "base": BASE, **files}.items():
            (tmp_path / package / f"{name}.py").write_text(text.replace("{package}", package))
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(f"{package}.base").Pet

    yield plant
    for name in [name for name in sys.modules if name.split(".")[0] in packages]:
        del sys.modules[name]


def test_two_definitions_of_one_name(planted: Callable[..., type[Definition]]) -> None:
    pet = planted("twins", dog=DOG, wolf=DOG)
    with pytest.raises(TypeError, match=r"two definitions of the pet `dog`: .*twins\.dog\.Dog.*twins\.wolf\.Dog"):
        registered(pet)


def test_name_means_defaults() -> None:
    assert Config.model_validate({"optimizer": "adam"}).optimizer == Adam()


def test_mapping_means_settings() -> None:
    assert Config.model_validate({"optimizer": {"name": "adam", "lr": 0.5}}).optimizer == Adam(lr=0.5)


def test_definition_means_itself() -> None:
    adam = Adam(lr=0.25)
    assert Config(optimizer=adam).optimizer is adam


def test_nested_definition() -> None:
    config = Config.model_validate(
        {"loss": "mse", "model": {"name": "mlp", "hidden": [3], "activation": {"name": "tanh"}}}
    )
    assert config.model.activation == Tanh()
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_unknown_name_lists_the_known_and_the_nearest() -> None:
    ((kind, where, context),) = faults(loss="Cross_Entrophy")
    assert (kind, where) == ("definition_unknown", ("loss",))
    assert context["nearest"] == "cross_entropy"
    assert context["known"] == list(registered(Loss))


@pytest.mark.parametrize("value", [3, None, ["adam"], True])
def test_neither_name_nor_mapping(value: Any) -> None:
    assert [fault[:2] for fault in faults(optimizer=value)] == [("definition_type", ("optimizer",))]


@pytest.mark.parametrize("value", [{}, {"lr": 0.1}, {"name": 3}, {"name": None}])
def test_mapping_without_name(value: dict) -> None:
    assert [fault[:2] for fault in faults(optimizer=value)] == [("definition_name", ("optimizer",))]


def test_definition_of_another_family() -> None:
    assert [fault[:2] for fault in faults(loss=Adam())] == [("definition_type", ("loss",))]
    assert [fault[:2] for fault in faults(loss="adam")] == [("definition_unknown", ("loss",))]


def test_all_faults_at_once_with_their_places() -> None:
    found = faults(
        loss="hinge",
        optimizer={"name": "adam", "lr": -1.0, "momentum": 0.9},
        model={"name": "mlp", "hidden": [3, 0], "activation": "rellu"},
    )
    assert [fault[:2] for fault in found] == [
        ("definition_unknown", ("loss",)),
        ("greater_than", ("optimizer", "lr")),
        ("extra_forbidden", ("optimizer", "momentum")),
        ("greater_than", ("model", "hidden", 1)),
        ("definition_unknown", ("model", "activation")),
    ]


def test_json_schema_offers_names_and_classes() -> None:
    names, *classes = Config.model_json_schema()["properties"]["loss"]["anyOf"]
    assert names == {"enum": list(registered(Loss))}
    assert [each["properties"]["name"]["const"] for each in classes] == list(registered(Loss))


def test_names_are_sorted_and_concrete() -> None:
    names = list(registered(Activation))
    assert names == sorted(names)
    assert Optimizer not in registered(Optimizer).values()
    assert all(not cls.__abstractmethods__ for cls in registered(Optimizer).values())


@pytest.mark.parametrize(
    ("word", "expected"), [("adm", "adam"), ("ADAM", "adam"), ("momentun", "momentum"), ("xyz", None), ("", None)]
)
def test_nearest(word: str, expected: str | None) -> None:
    assert nearest(word, ["adam", "momentum", "sgd"]) == expected


def test_new_file_is_found(planted: Callable[..., type[Definition]]) -> None:
    found = registered(planted("pets_that_work", dog=DOG))
    assert list(found) == ["dog"]
    assert found["dog"]().sound() == "woof"


def test_import_error_in_a_definition_propagates(planted: Callable[..., type[Definition]]) -> None:
    family = planted("pets_that_break", dog=DOG, snake="import no_such_module_at_all")
    with pytest.raises(ModuleNotFoundError) as error:
        registered(family)
    assert error.value.name == "no_such_module_at_all"


def test_the_nearest_word_is_found_whatever_its_case() -> None:
    assert nearest("nadam", ["Adam", "NAdam"]) == "NAdam"
    assert nearest("ADAM", ["adam", "adamw"]) == "adam"
