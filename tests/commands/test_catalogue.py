"""What a config can name, listed and described; every definition's example is a valid piece of a config."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from experiments import NEEDS

from dlx.commands.catalogue import KINDS, SECTIONS, describe_definition, list_definitions
from dlx.config.load import load_any
from dlx.config.source import read_source
from dlx.core.definition import Loss
from dlx.core.errors import UsageError
from dlx.core.registry import registered

EVERY = [pytest.param(key, name, id=f"{key}-{name}") for key, family in KINDS.items() for name in registered(family)]


@pytest.mark.parametrize(("key", "name"), EVERY)
def test_every_definition(key: str, name: str, tmp_path: Path) -> None:
    cls = registered(KINDS[key])[name]
    text = next(each for each in describe_definition(name).split("\n\n\n") if f"{name} ({cls.family})" in each)
    assert inspect.getdoc(cls) in text
    for setting in set(cls.model_fields) - {"name"}:
        assert f"\n  {setting}" in text
    assert "\n  name: " not in text.partition("Example:")[0], "the name is no setting"
    assert any(line.split()[:1] == [name] for line in list_definitions(key).splitlines())
    # The example, pasted into a config, loads and says what the definition is by itself.
    example = text.partition("Example:\n")[2]
    path = tmp_path / "x.yaml"
    path.write_text("\n".join(line.removeprefix("  ") for line in example.splitlines()))
    given = read_source(path).tree
    data = "{name: iris, target_scale: none}"  # which every loss takes
    rest = {"data": data, "model": "mlp", "loss": "mse" if "regression" in text else "cross_entropy"}
    rest = {} if key == "surface" else rest
    rest |= {section: NEEDS[name][section] for section in ("model", "loss") if name in NEEDS}
    path.write_text(path.read_text() + "".join(f"\n{k}: {v}" for k, v in rest.items() if k not in given))
    experiment: Any = load_any(path).experiment
    value = experiment.model.activation if key == "activation" else getattr(experiment, key)
    assert (value[0] if key == "metrics" else value) == cls()


def test_ranges_and_defaults() -> None:
    text = describe_definition("adam")
    assert "  rho1: a number >= 0 and < 1; default 0.9, may differ between members\n      Share of the mean" in text
    assert "Kingma and Ba (2015)" in text
    assert "theta <- theta - lr s_hat / (sqrt(r_hat) + delta)" in text
    moons = describe_definition("two_moons")
    assert "  scale: one of standard, minmax, none; default standard\n" in moons
    assert "  split.folds: a whole number >= 2 or leave_one_out or null; default null\n" in moons
    hidden = "  hidden: a list, each entry a whole number > 0 and <= 1e+06; default [64, 32]\n"
    assert hidden in describe_definition("mlp")
    assert "  activation: one of elu, gelu, " in describe_definition("mlp")


def keys_of(tree: dict[str, Any]) -> set[str]:
    """The keys of a mapping and of those in it, dotted."""
    inner = {f"{key}.{each}" for key, value in tree.items() if isinstance(value, dict) for each in keys_of(value)}
    return set(tree) | inner


@pytest.mark.parametrize("key", SECTIONS)
def test_every_section(key: str, tmp_path: Path) -> None:
    """All of its keys with their meaning, and an example that says what the section is by itself."""
    text = describe_definition(key)
    assert text.startswith(f"{key} (section of a config)\n\n{inspect.getdoc(SECTIONS[key])}")
    wanted = SECTIONS[key]()
    settings, _, example = text.partition("Example, the defaults:\n")
    listed = re.findall(r"^  (\S+): .*; default .+\n      \S", settings, re.M)
    assert set(listed) == keys_of(wanted.model_dump(mode="json"))
    path = tmp_path / "x.yaml"
    given = "\n".join(line.removeprefix("  ") for line in example.splitlines())
    path.write_text(f"{given}\ndata: iris\nmodel: mlp\nloss: cross_entropy\n")
    experiment: Any = load_any(path).experiment
    assert getattr(experiment, key) == wanted
    assert any(line.split()[0] == key for line in list_definitions("section").splitlines())


def test_what_sections_there_are() -> None:
    assert set(SECTIONS) == {"training", "cv", "search", "compare", "gradcheck", "curvature", "landscape"}
    text = describe_definition("search")
    assert "  space: a mapping, each value a mapping or a list, each entry any value; default {}\n" in text
    assert "  seed: a whole number >= 0 and < 4294967296; default 0\n" in text
    assert "  early_stopping: a mapping or null; default {patience: 5, min_delta: 0.0}\n" in describe_definition(
        "training"
    )


def test_a_name_of_two_kinds_is_described_twice() -> None:
    text = describe_definition("mse")
    assert "mse (loss)" in text
    assert "distribution: Gaussian of variance 1/2" in text
    assert "mse (metric)" in text
    assert "better: lower" in text


def test_the_list_has_everything() -> None:
    text = list_definitions()
    assert [line for line in text.splitlines() if line and not line.startswith(" ")] == [*KINDS, "section"]
    assert list_definitions("loss").count("\n") == 1 + len(registered(Loss))
    assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize(
    ("call", "argument", "message"),
    [
        (list_definitions, "optimiser", "did you mean `optimizer`? known: data, model"),
        (list_definitions, "", "known: data, model"),
        (
            describe_definition,
            "adagrd",
            "there is no definition `adagrd`; did you mean `adagrad`? `dlx list` shows all",
        ),
        (describe_definition, "curvatur", "did you mean `curvature`?"),
        (describe_definition, "../x", "there is no definition"),
    ],
)
def test_unknown_names(call: object, argument: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        call(argument)  # type: ignore[operator]
    assert message in str(error.value)
