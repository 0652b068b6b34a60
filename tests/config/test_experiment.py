import copy
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dlx.config.check import contradictions
from dlx.config.experiment import Experiment, json_schema, resolved_yaml
from dlx.config.load import Loaded, load_any, load_experiment
from dlx.config.source import read_source
from dlx.core.errors import ConfigError, UsageError
from dlx.core.settings import Split, Training

Load = Callable[..., Loaded]
Faults = Callable[..., str]
DIGITS = Path("configs/digits.yaml")
CONFIGS = sorted(Path("configs").glob("*.yaml"))
SPLIT = "data: {name: digits, split: {%s}}\nmodel: mlp\nloss: cross_entropy\n"
pytestmark = pytest.mark.filterwarnings("error")


def test_the_schema_loads_nothing_heavy() -> None:
    code = (
        "import sys, dlx.config.load\n"
        "print([name for name in ('torch', 'sklearn', 'matplotlib', 'typer', 'rich') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_defaults(load: Load) -> None:
    experiment = load().experiment
    assert experiment.name == "x"
    assert experiment.seed_list == range(1)
    assert experiment.prior is None
    assert experiment.optimizer.name == "adam"
    assert experiment.schedule.name == "constant"
    assert [metric.name for metric in experiment.metrics] == ["accuracy"]
    assert (experiment.device, experiment.dtype, experiment.tf32, experiment.threads) == ("auto", "float32", False, 1)
    regression = load(base="data: diabetes\nmodel: linear\nloss: mse\n").experiment
    assert [metric.name for metric in regression.metrics] == ["r2"]


def test_seeds(load: Load) -> None:
    assert list(load("seeds: 5\n").experiment.seed_list) == [0, 1, 2, 3, 4]
    assert list(load("seeds: [7]\n").experiment.seed_list) == [7]


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
def test_devices(load: Load, device: str) -> None:
    assert load(f"device: {device}\n").experiment.device == device


@pytest.mark.parametrize(
    ("stem", "name"), [("a b", "a-b"), (".x", "x"), ("é" * 80, "-" * 64), ("1e-3", "1e-3"), ("...", "experiment")]
)
def test_name_of_the_file(tmp_path: Path, stem: str, name: str) -> None:
    path = tmp_path / f"{stem}.yaml"
    path.write_text("data: digits\nmodel: mlp\nloss: cross_entropy\n")
    assert load_experiment(path).experiment.name == name


@pytest.mark.parametrize(
    ("split", "text", "expected"),
    [
        ("folds: 3, fold: 3", "", "x.yaml:1:46: there is no fold 3: with folds=3 they are 0 to 2\n"),
        ("fold: 1", "", "x.yaml:1:36: a `fold` without `folds`\n"),
        ("folds: 3, test: 0.1", "",
         "x.yaml:1:46: `test` together with `folds`: the held-out fold is the test part\n"
         "    1 | data: {name: digits, split: {folds: 3, test: 0.1}}\n"
         "      |                                              ^^^\n"
         "      = set data.split.test=null, or data.split.folds=null"),
        ("valid: 0.5, test: 0.5", "",
         "x.yaml:1:48: the fractions for validation and test, 0.5 + 0.5, leave nothing to train\n"),
        ("valid: 0.8", "", "x.yaml:1:37: the fractions for validation and test, 0.8 + 0.2, leave nothing to"),
        ("valid: 0", "",
         "x.yaml:1:37: early stopping needs a validation part, but data.split.valid is 0\n"
         "    1 | data: {name: digits, split: {valid: 0}}\n      |                                     ^\n"
         "      = set training.early_stopping=null or data.split.valid>0"),
        ("valid: 0", "training: {early_stopping: {patience: 3}}\n",
         "x.yaml:4:28: early stopping needs a validation part, but data.split.valid is 0\n"),
        ("", "metrics: [accuracy, mse]\n",
         "x.yaml:4:21: `mse` is a metric for regression, but `cross_entropy` is for classification\n"
         "    4 | metrics: [accuracy, mse]\n      |                     ^^^\n"
         "      = for classification: accuracy, "),
        ("", "metrics: [nll, nll]\n", "x.yaml:4:16: the metric `nll` is given twice\n"),
        ("", "seeds: [3, 1, 3]\n", "x.yaml:4:15: the seed 3 is given twice\n"),
    ],
)  # fmt: skip
def test_keys_that_contradict_each_other(faults: Faults, split: str, text: str, expected: str) -> None:
    found = faults(text, base=SPLIT % split)
    assert found.startswith(expected)
    assert "faults in" not in found


def test_contradictions_of_defaults_and_strings(faults: Faults) -> None:
    assert faults("", "data.split.valid=0").startswith("override 'data.split.valid=0': early stopping needs")
    assert faults("", "data.split={folds: 2, fold: 2}").startswith("override 'data.split={folds: 2, fold: 2}': there")


def test_no_early_stopping_needs_no_validation_part(load: Load) -> None:
    assert load("training: {early_stopping: null}\n", base=SPLIT % "valid: 0").experiment.data.split.valid == 0


def test_an_experiment_built_in_python_can_be_checked() -> None:
    experiment = Experiment.model_validate({"data": "iris", "model": "mlp", "loss": "cross_entropy", "seeds": [1, 1]})
    (fault,) = contradictions(dict(experiment))
    assert (fault.path, fault.message) == (("seeds", 1), "the seed 1 is given twice")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_load_and_round_trip(path: Path, tmp_path: Path) -> None:
    experiment = load_any(path).experiment
    assert experiment.name == path.stem
    again = tmp_path / "other.yaml"
    again.write_text(resolved_yaml(experiment), encoding="utf-8")
    assert load_any(again).experiment == experiment
    assert list(read_source(again).tree) == list(type(experiment).model_fields)
    assert validates(read_source(path).tree, json_schema())
    assert validates(read_source(again).tree, json_schema())


@pytest.mark.parametrize("name", ["no", "1e-3", "017", "1_0", "null", "true", "1", "-.5", "0x10", "-", "1.", "0e0"])
@pytest.mark.parametrize("lr", [1e-6, 1e-300, 1.0, 1e22, 123456.789, 5e-324])
def test_round_trip_of_what_looks_like_something_else(load: Load, tmp_path: Path, name: str, lr: float) -> None:
    experiment = load("", f"name='{name}'", f"optimizer.lr={lr!r}", "dtype=float64").experiment
    assert (experiment.name, experiment.optimizer.tunables()["lr"]) == (name, lr)
    again = tmp_path / "again.yaml"
    again.write_text(resolved_yaml(experiment))
    assert load_experiment(again).experiment == experiment
    tree = read_source(again).tree
    assert type(tree["name"]) is str
    assert type(tree["optimizer"]["lr"]) is float


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        yield from subschemas(part)


def is_free(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a mapping may have a value under a key that its schema does not name."""
    others = schema.get("additionalProperties", True)
    return validates(value, others, root) if isinstance(others, dict) else bool(others)


def validates(value: Any, schema: dict[str, Any], root: dict[str, Any] | None = None) -> bool:
    """The part of JSON Schema that pydantic writes."""
    root = schema if root is None else root
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool}
    kinds |= {"integer": int, "number": (int, float)}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    properties = schema.get("properties", {})
    return (
        ("$ref" not in schema or validates(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root))
        and (
            "if" not in schema
            or validates(value, schema["then" if validates(value, schema["if"], root) else "else"], root)
        )
        and ("anyOf" not in schema or any(validates(value, arm, root) for arm in schema["anyOf"]))
        and ("enum" not in schema or value in schema["enum"])
        and ("const" not in schema or value == schema["const"])
        and ("type" not in schema or (isinstance(value, kinds[schema["type"]])))
        and (schema.get("type") not in ("integer", "number") or is_number)
        and (not is_number or schema.get("minimum", value) <= value <= schema.get("maximum", value))
        and (not is_number or schema.get("exclusiveMinimum", value - 1) < value)
        and (not is_number or value < schema.get("exclusiveMaximum", value + 1))
        and (not isinstance(value, str) or re.search(schema.get("pattern", ""), value) is not None)
        and (not isinstance(value, list) or all(validates(one, schema.get("items", {}), root) for one in value))
        and (not isinstance(value, dict) or set(schema.get("required", ())) <= set(value))
        and (
            not isinstance(value, dict)
            or all(
                validates(one, properties[key], root) if key in properties else is_free(one, schema, root)
                for key, one in value.items()
            )
        )
    )


def test_json_schema() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "dlx experiment"
    objects = [part for part in subschemas(schema) if part.get("type") == "object"]
    sections = [part for part in objects if "title" in part and "properties" in part]
    assert all(part in sections or isinstance(part["additionalProperties"], dict) for part in objects)  # free keys
    assert {"EarlyStopping", "Split", "Training", "MLP", "Adam", "ReLU", "Accuracy"} <= {
        one["title"] for one in sections
    }
    for section in sections:
        assert section["additionalProperties"] is False
        for key, field in section["properties"].items():
            assert key == "name" or "$ref" in field or field.get("description"), (section["title"], key)


@pytest.mark.parametrize(
    ("path", "value", "is_valid"),
    [
        (("optimizer",), "adam", True),
        (("optimizer",), "adamm", False),
        (("optimizer",), {"name": "sgd", "lr": 0.1}, True),
        (("optimizer",), {"lr": 0.1}, False),
        (("optimizer",), {"name": "sgd", "rho1": 0.1}, False),
        (("optimizer",), {"name": "torch", "class": "NAdam", "momentum_decay": 0.1, "betas": [0.5, 0.9]}, True),
        (("optimizer",), {"name": "torch", "class": "NAdam", "no_such": 0.1}, False),
        (("optimizer",), {"name": "torch", "class": "Lion"}, False),
        (("model",), {"name": "mlp", "activation": {"name": "tanh"}}, True),
        (("model",), {"name": "mlp", "activation": "tanhh"}, False),
        (("model",), {"name": "mlp", "hidden": [0]}, False),
        (("metrics",), ["nll", {"name": "accuracy"}], True),
        (("metrics",), ["foo"], False),
        (("seeds",), [1], True),
        (("seeds",), 0, False),
        (("epochs",), 3, False),
        (("device",), "gpu", False),
        (("name",), None, True),
    ],
)
def test_json_schema_agrees_with_the_reader(path: tuple[str], value: Any, is_valid: bool) -> None:
    tree: dict[str, Any] = {"data": "digits", "model": "mlp", "loss": "cross_entropy", path[0]: value}
    assert validates(tree, json_schema()) is is_valid
    if is_valid:
        Experiment.model_validate(tree)
    else:
        with pytest.raises(ValidationError):
            Experiment.model_validate(tree)


# Whatever is written, a user sees a message about it and never a traceback.

TEXTS = [path.read_text(encoding="utf-8") for path in CONFIGS]
TREES = [read_source(path).tree for path in CONFIGS]
SIGNS = st.sampled_from([*"\n\t\0\x85[]{},'\">?%#é", ": ", "- ", "&a ", "*a", "!!int ", "---\n", "<<: "])
VALID = st.sampled_from(["null", "true", "lr", "0", "-1", "1e3", "epochs: 3\n", "seeds: [1, 1]\n", "name: 5\n"])
PIECES = SIGNS | VALID | st.sampled_from(["017", "1e999", ".nan", "no", ""])
WORDS = st.sampled_from(["adam", "mlp", "digits", "mse", "sgd", "relu", "none", "", "x", "auto", "1", "two_moons"])
INNER_KEYS = st.sampled_from(["name", "lr", "split", "valid", "hidden", "x", "fold", "folds"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INNER_KEYS, inner, max_size=3),
    max_leaves=5,
)
PARTS = [*Experiment.model_fields, *Split.model_fields, *Training.model_fields, "hidden", "activation"]
KEYS = st.lists(st.sampled_from([*PARTS, "lr", "0", "1", "x"]) | st.text(max_size=3), min_size=1, max_size=4)
FLOW = VALUES.map(lambda value: yaml.safe_dump(value, default_flow_style=True)) | st.text(max_size=6)
OVERRIDES = st.tuples(KEYS.map(".".join), FLOW).map("=".join) | st.text(max_size=8)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "x.yaml"


def survives(path: Path, text: str, overrides: list[str]) -> None:
    """A config is refused in our own words, or it loads and can be written out."""
    path.write_text(text, encoding="utf-8", newline="")
    message = ""
    try:
        loaded = load_any(path, overrides)
    except UsageError as error:
        message = str(error)
    else:
        path.write_text(resolved_yaml(loaded.experiment), encoding="utf-8")
        assert load_any(path).experiment == loaded.experiment
    assert "Input should" not in message
    assert "\n\n" not in message


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.data(), st.sampled_from(TEXTS))
def test_random_text_edits(scratch: Path, data: st.DataObject, text: str) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        first = data.draw(st.integers(0, len(text)))
        last = min(len(text), first + data.draw(st.integers(0, 5)))
        text = text[:first] + data.draw(PIECES) + text[last:]
    survives(scratch, text, [])


def mutate(tree: Any, data: st.DataObject) -> Any:
    keys: list[Any] = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    if not keys or data.draw(st.integers(0, 3)) == 0:
        return data.draw(VALUES)
    key = data.draw(st.sampled_from(keys))
    if isinstance(tree, dict) and data.draw(st.integers(0, 4)) == 0:
        tree[data.draw(st.sampled_from(["nmae", "lr", "epochs", "split", ""]))] = tree.pop(key)
    else:
        tree[key] = mutate(tree[key], data)
    return tree


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.data(), st.sampled_from(TREES))
def test_random_tree_mutations(scratch: Path, data: st.DataObject, tree: dict[str, Any]) -> None:
    mutated = copy.deepcopy(tree)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated = mutate(mutated, data)
    survives(scratch, yaml.safe_dump(mutated, allow_unicode=True), [])


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.sampled_from(TEXTS), st.lists(OVERRIDES, min_size=1, max_size=3))
def test_random_overrides(scratch: Path, text: str, overrides: list[str]) -> None:
    survives(scratch, text, overrides)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimizer.delta=1e-300", "`optimizer.delta` is 1e-300, which is 0 in float32"),
        ("prior={name: gaussian, precision: 1e300}", "`prior.precision` is 1e+300, which is inf in float32"),
        ("seeds=1000000000", "`seeds` must be at most 100000"),
        ("threads=100000", "`threads` must be at most 256"),
        ("device=cuda:256", "`device`"),
        ("model.hidden=[1000000000]", "must be at most 1000000"),
    ],
)
def test_numbers_that_no_machine_or_precision_can_hold(override: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_experiment(DIGITS, [override])


def test_a_small_number_fits_float64() -> None:
    assert load_experiment(DIGITS, ["optimizer.delta=1e-300", "dtype=float64"])
