from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError, field_validator

from dlx.config.diagnostics import Fault, dotted
from dlx.config.explain import explain
from dlx.config.source import Source
from dlx.core.settings import Settings

Faults = Callable[..., str]
ROOT_KEYS = (
    "name, seeds, plugins, data, model, loss, prior, optimizer, schedule, metrics, training, cv, search, compare, "
    "gradcheck, curvature, landscape, "
    "device, dtype, tf32, threads"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer:\n  name: adam\n  rh1: 0.9\n",
         "x.yaml:6:3: unknown key `rh1` in `optimizer`\n    6 |   rh1: 0.9\n      |   ^^^\n"
         "      = did you mean `rho1`? valid here: lr, rho1, rho2, delta"),
        ("epochs: 3\n",
         "x.yaml:4:1: unknown key `epochs`\n    4 | epochs: 3\n      | ^^^^^^\n"
         f"      = `epochs` belongs under `training:`; valid here: {ROOT_KEYS}"),
        ("high: 3\n",  # a key of a range, which has no place of its own
         f"x.yaml:4:1: unknown key `high`\n    4 | high: 3\n      | ^^^^\n      = valid here: {ROOT_KEYS}"),
        ("training: {lr: 3}\n",
         "x.yaml:4:12: unknown key `lr` in `training`\n    4 | training: {lr: 3}\n      |            ^^\n"
         "      = `lr` belongs under `optimizer:`; valid here: epochs, batch_size, early_stopping, clip_value, "
         "clip_norm, input_noise, weight_noise"),
        ("training: {hidden: [3]}\n",
         "x.yaml:4:12: unknown key `hidden` in `training`\n    4 | training: {hidden: [3]}\n      |            ^^^^^^\n"
         "      = `hidden` belongs under `model:`; valid here: epochs, batch_size, early_stopping, clip_value, "
         "clip_norm, input_noise, weight_noise"),
        ("optimizer: {name: sgd, rho2: 0.9}\n",
         "x.yaml:4:24: unknown key `rho2` in `optimizer`\n    4 | optimizer: {name: sgd, rho2: 0.9}\n"
         "      |                        ^^^^\n      = `rho2` belongs to `adam` under `optimizer:`; valid here: lr"),
        ("schedule: {name: constant, x: 1}\n",
         "x.yaml:4:28: unknown key `x` in `schedule`\n    4 | schedule: {name: constant, x: 1}\n"
         "      |                            ^\n      = valid here: warmup"),
        ("optimizer: adamm\n",
         "x.yaml:4:12: there is no optimizer `adamm`\n    4 | optimizer: adamm\n      |            ^^^^^\n"
         "      = did you mean `adam`? known: "),
        ("optimizer: {lr: 1, name: zzz}\n",
         "x.yaml:4:26: there is no optimizer `zzz`\n    4 | optimizer: {lr: 1, name: zzz}\n"
         "      |                          ^^^\n      = known: "),
        ("optimizer:\n  lr: 1\n",
         "x.yaml:4:1: this optimizer needs a `name`: one of "),
        ("metrics: [confusion_matrix]\n",
         "x.yaml:4:11: there is no metric `confusion_matrix`\n    4 | metrics: [confusion_matrix]\n"
         "      |           ^^^^^^^^^^^^^^^^\n      = leave it out: a metric is one number, and every training "),
        ("prior: 3\n",
         "x.yaml:4:8: expected the name of one prior, or a mapping with `name` and its settings; found 3\n"),
        ("metrics: [accuracy, 3]\n",
         "x.yaml:4:21: expected the name of one metric, or a mapping with `name` and its settings; found 3\n"),
        ("metrics: accuracy\n",
         "x.yaml:4:10: `metrics` must be a list, found the text `accuracy`\n    4 | metrics: accuracy\n"
         "      |          ^^^^^^^^\n      = write `[accuracy]`"),
        ("training: {epochs: 2.5}\n",
         "x.yaml:4:20: `training.epochs` must be a whole number, found 2.5\n    4 | training: {epochs: 2.5}\n"
         "      |                    ^^^"),
        ("training: {epochs: 1e2}\n", "x.yaml:4:20: `training.epochs` must be a whole number, found 1e2\n"),
        ("training: {epochs: true}\n", "x.yaml:4:20: `training.epochs` must be a whole number, found true\n"),
        ("training: {epochs: }\n", "x.yaml:4:12: `training.epochs` must be a whole number, found nothing\n"),
        ("training: {epochs: 0}\n", "x.yaml:4:20: `training.epochs` must be greater than 0, found 0\n"),
        ("training: 3\n", "x.yaml:4:11: `training` must be a mapping, found 3\n"),
        ("training: {early_stopping: none}\n",
         "x.yaml:4:28: `training.early_stopping` must be a mapping, found the text `none`\n"
         "    4 | training: {early_stopping: none}\n      |                            ^^^^\n"
         "      = did you mean `null`?"),
        ("optimizer: {name: adam, rho1: 1}\n",
         "x.yaml:4:31: `optimizer.rho1` must be less than 1, found 1\n"),
        ("optimizer: {name: adam, rho1: -1e-3}\n",
         "x.yaml:4:31: `optimizer.rho1` must be at least 0, found -1e-3\n"),
        ("optimizer: {name: adam, lr: nan}\n", "x.yaml:4:29: `optimizer.lr` must be a number, found the text `nan`\n"),
        ("optimizer: {name: adam, lr: 1_0}\n",
         "x.yaml:4:29: `optimizer.lr` must be a number, found the text `1_0`\n"
         "    4 | optimizer: {name: adam, lr: 1_0}\n"
         "      |                             ^^^\n      = a number has no underscores"),
        ("optimizer: {name: adam, lr: '1'}\n",
         "x.yaml:4:29: `optimizer.lr` must be a number, found the text `1`\n"
         "    4 | optimizer: {name: adam, lr: '1'}\n"
         "      |                             ^^^\n      = write it without quotes"),
        ("tf32: yes\n",
         "x.yaml:4:7: `tf32` must be `true` or `false`, found the text `yes`\n    4 | tf32: yes\n      |       ^^^\n"
         "      = did you mean `true`?"),
        ("dtype: float46\n",
         "x.yaml:4:8: `dtype` must be `float32` or `float64`, found the text `float46`\n    4 | dtype: float46\n"
         "      |        ^^^^^^^\n      = did you mean `float64`?"),
        ("device: gpu\n",
         "x.yaml:4:9: `device` cannot be the text `gpu`\n    4 | device: gpu\n      |         ^^^\n"
         "      = Where to compute: cpu, cuda, cuda:N for"),
        ("name: .hidden\n", "x.yaml:4:7: `name` cannot be the text `.hidden`\n"),
        (f"name: {'a' * 65}\n", "x.yaml:4:7: `name` must have at most 64 characters, found 65\n"),
        ("seeds: 0\n", "x.yaml:4:8: `seeds` must be greater than 0, found 0\n"),
        ("seeds: abc\n", "x.yaml:4:8: `seeds` must be a whole number or a list, found the text `abc`\n"),
        ("seeds:\n", "x.yaml:4:1: `seeds` must be a whole number or a list, found nothing\n"),
        ("seeds: {a: 1}\n", "x.yaml:4:8: `seeds` must be a whole number or a list, found a mapping\n"),
        ("seeds: []\n", "x.yaml:4:8: `seeds` must have at least 1 entry, found 0\n"),
        ("seeds: [1, -2]\n", "x.yaml:4:12: `seeds.1` must be at least 0, found -2\n"),
        ("seeds: [4294967296]\n", "x.yaml:4:9: `seeds.0` must be less than 4294967296, found 4294967296\n"),
        ("seeds: [x]\n", "x.yaml:4:9: `seeds.0` must be a whole number, found the text `x`\n"),
    ],
)  # fmt: skip
def test_fault(faults: Faults, text: str, expected: str) -> None:
    found = faults(text)
    assert found.startswith(expected)
    assert "faults in" not in found
    assert "Input should" not in found


def test_fault_inside_a_definition_in_a_definition(faults: Faults) -> None:
    found = faults(base="data: digits\nmodel: {name: mlp, hidden: [3, 0], activation: rel}\nloss: cross_entropy\n")
    assert "x.yaml:2:32: `model.hidden.1` must be greater than 0, found 0\n" in found
    assert "x.yaml:2:48: there is no activation `rel`\n" in found
    assert "did you mean `relu`? known: elu, " in found


def test_missing_keys(faults: Faults) -> None:
    assert faults(base="loss: mse\n") == (
        "x.yaml:1:1: missing key `data`\n"
        "      = one of breast_cancer, csv, diabetes, digits, iris, parquet, two_moons, wine\n"
        "x.yaml:1:1: missing key `model`\n      = one of linear, mlp\n"
        "2 faults in x.yaml"
    )


def test_all_faults_at_once_in_their_order(faults: Faults) -> None:
    found = faults("training: {epochs: 0, lr: 1}\nloss: foo\noptimizer: {name: adam, lr: 017}\n", "tf32=1")
    heads = [line for line in found.splitlines() if line.startswith(("x.yaml", "override"))]
    assert heads == [
        "x.yaml:4:20: `training.epochs` must be greater than 0, found 0",
        "x.yaml:4:23: unknown key `lr` in `training`",
        "x.yaml:5:1: the key `loss` is given twice",
        "x.yaml:6:29: a number must not begin with a zero, as `017` does",
        "override 'tf32=1': `tf32` must be `true` or `false`, found 1",
    ]
    assert found.endswith("5 faults in x.yaml")


class Inner(Settings):
    """A section with a key that must be given."""

    key: int
    """An integer."""


class Odd(Settings):
    """Fields of kinds that no built-in definition has, but a user's may."""

    inner: Inner
    word: str = Field(default="abc", min_length=2)
    either: int | Literal["all"] | None = None
    table: dict[str, int] = Field(default_factory=dict)
    even: int = Field(default=2, multiple_of=2, le=8)

    @field_validator("word")
    @classmethod
    def _no_x(cls, word: str) -> str:
        if "x" in word:
            raise ValueError("must not have an x")
        return word


def odd_faults(tree: dict[str, object]) -> list[Fault]:
    with pytest.raises(ValidationError) as caught:
        Odd.model_validate(tree)
    return explain(caught.value, Source(Path("x"), "", tree), Odd)


@pytest.mark.parametrize(
    ("tree", "path", "message"),
    [
        ({"inner": {}}, "inner.key", "missing key `key` in `inner`"),
        ({"inner": {"key": 1}, "word": "a"}, "word", "`word` must have at least 2 characters, found 1"),
        ({"inner": {"key": 1}, "word": "ax"}, "word", "`word`: must not have an x"),
        ({"inner": {"key": 1}, "even": 3}, "even", "`even` must be a multiple of 2, found 3"),
        ({"inner": {"key": 1}, "even": 10}, "even", "`even` must be at most 8, found 10"),
        (
            {"inner": {"key": 1}, "either": "al"},
            "either",
            "`either` must be a whole number or `all`, found the text `al`",
        ),
        ({"inner": {"key": 1}, "table": {"a": "b"}}, "table.a", "`table.a` must be a whole number, found the text `b`"),
        ({"inner": {"key": 1}, "table": 3}, "table", "`table` must be a mapping, found 3"),
    ],
)
def test_kinds_that_only_plugins_use(tree: dict[str, object], path: str, message: str) -> None:
    (fault,) = odd_faults(tree)
    assert (dotted(fault.path), fault.message) == (path, message)
