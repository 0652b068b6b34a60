"""The space of a search: its grids, what is wrong with it, and the experiment of a trial."""

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlx.config.experiment import resolved_yaml
from dlx.config.load import Loaded, load_experiment
from dlx.config.space import Dimension, InvalidTrialError, Space
from dlx.core.errors import ConfigError
from dlx.core.settings import Range
from dlx.datasets.diabetes import Diabetes
from dlx.datasets.digits import Digits

Load = Callable[..., Loaded]
EXAMPLES = Digits().load()
REGRESSION = "data: diabetes\nmodel: mlp\nloss: mse\n"


@pytest.fixture
def space(load: Load) -> Callable[..., Space]:
    """Reads the space of a text and overrides."""

    def read(text: str = "", *overrides: str, **base: str) -> Space:
        loaded = load(text, *overrides, **base)
        return Space.of(loaded, Diabetes().load() if base else EXAMPLES)

    return read


@pytest.fixture
def refused(space: Callable[..., Space], tmp_path: Path) -> Callable[..., str]:
    """Gives the rendered faults of a text and overrides."""

    def rendered(text: str = "", *overrides: str, **base: str) -> str:
        with pytest.raises(ConfigError) as caught:
            space(text, *overrides, **base)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return rendered


def heads(rendered: str) -> list[str]:
    """The first line of every fault."""
    return [line for line in rendered.splitlines() if line.startswith(("x.yaml:", "override"))]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"low": 1e-4, "high": 1e-1, "log": True}, [10 ** (i / 3 - 4) for i in range(10)]),
        ({"low": 1e-4, "high": 5e-4, "log": True}, [1e-4 * 5 ** (i / 2) for i in range(3)]),
        ({"low": 1.0, "high": 1.5, "log": True}, [1, 1.5]),
        ({"low": 0.0, "high": 1.0}, [0, 0.25, 0.5, 0.75, 1]),
        ({"low": 0.1, "high": 0.5, "num": 3}, [0.1, 0.3, 0.5]),
        ({"low": 1e-2, "high": 1.0, "log": True, "num": 3}, [0.01, 0.1, 1]),
    ],
)
def test_grid_of_a_range(settings: dict[str, Any], expected: list[float]) -> None:
    dimension = Dimension("optimizer.lr", range=Range(**settings))
    grid = dimension.grid()
    np.testing.assert_allclose(grid, expected, rtol=1e-11)
    assert (grid[0], grid[-1]) == (settings["low"], settings["high"])
    assert not dimension.is_integer


def test_decades_of_a_grid_are_round_numbers() -> None:
    assert {0.0001, 0.001, 0.01, 0.1} < set(Dimension("a", range=Range(low=1e-4, high=1e-1, log=True)).grid())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"low": 1, "high": 9}, (1, 3, 5, 7, 9)),
        ({"low": 1, "high": 3}, (1, 2, 3)),
        ({"low": 4, "high": 64, "log": True, "num": 5}, (4, 8, 16, 32, 64)),
        ({"low": 1, "high": 10, "log": True, "num": 8}, (1, 2, 3, 4, 5, 7, 10)),
    ],
)
def test_grid_of_whole_numbers(settings: dict[str, Any], expected: tuple[int, ...]) -> None:
    dimension = Dimension("training.epochs", range=Range(**settings))
    assert dimension.grid() == expected
    assert all(type(value) is int for value in dimension.grid())
    assert dimension.is_integer


def test_dimensions_are_those_of_the_config(space: Callable[..., Space]) -> None:
    text = (
        "search: {space: {optimizer.lr: {low: 1e-3, high: 1}, model.hidden: [[8], [4, 4]], prior: [null, gaussian]}}\n"
    )
    assert space(text).dimensions == (
        Dimension("optimizer.lr", range=Range(low=1e-3, high=1)),
        Dimension("model.hidden", ([8], [4, 4])),
        Dimension("prior", (None, "gaussian")),
    )
    assert space().dimensions == ()


def test_keys_of_the_space_on_the_command_line(space: Callable[..., Space]) -> None:
    overrides = ["search.space.optimizer.lr=[1e-3, 1e-2]", "search.space.optimizer=[sgd]", "search.method=random"]
    assert space("search: {space: {optimizer.lr: [3]}}\n", *overrides).dimensions == (
        Dimension("optimizer.lr", (1e-3, 1e-2)),
        Dimension("optimizer", ("sgd",)),
    )
    assert space("", *overrides[:1]).dimensions == (Dimension("optimizer.lr", (1e-3, 1e-2)),)


def test_an_experiment_is_the_config_with_the_values(space: Callable[..., Space], load: Load) -> None:
    """Against the same values given as overrides, sections first."""
    text = (
        "name: mine\nmodel: {name: mlp, activation: tanh}\noptimizer: {name: adam, rho1: 0.5}\n"
        "cv: {folds: 3}\nsearch:\n  method: random\n  space:\n    optimizer.lr: [0.1, 0.2]\n"
        "    optimizer: [sgd, {name: adam, rho2: 0.9}]\n    model.hidden: [[8], [4, 4]]\n"
        "    data.scale: [minmax, none]\n"
        "    training.clip_norm: [null, 1.0]\n    prior: [null, {name: gaussian, precision: 2}]\n"
    )
    base = "data: {name: digits, split: {valid: 0.25}}\nloss: cross_entropy\n"
    loaded = load(text, base=base)
    space_ = Space.of(loaded, EXAMPLES)
    before = copy.deepcopy(loaded.source.tree)
    choices = [dimension.values or () for dimension in space_.dimensions]
    for point in itertools.product(*choices):
        values = {dimension.key: value for dimension, value in zip(space_.dimensions, point, strict=True)}
        asked = copy.deepcopy(values)
        overrides = [f"{key}={value if value is not None else 'null'}" for key, value in values.items()]
        overrides.sort(key=lambda override: not override.startswith("optimizer="))
        expected = load_experiment(loaded.source.path, [each.replace("'", '"') for each in overrides]).experiment
        assert space_.experiment(values) == expected
        assert values == asked
    assert loaded.source.tree == before


def test_an_experiment_keeps_split_cv_and_search(space: Callable[..., Space]) -> None:
    read = space("search: {space: {optimizer.lr: [0.1, 0.2]}}\ncv: {folds: 3}\n")
    written = read.loaded.experiment
    trial = read.experiment({"optimizer.lr": 0.2})
    assert trial.model_copy(update={"optimizer": written.optimizer}) == written
    assert trial.optimizer == written.optimizer.model_copy(update={"lr": 0.2})
    assert space().experiment({}) == space().loaded.experiment


def test_an_experiment_is_written_and_read_again(space: Callable[..., Space], tmp_path: Path) -> None:
    read = space("search: {space: {optimizer.lr: {low: 1e-3, high: 1.0}, prior: [null, gaussian]}, method: random}\n")
    trial = read.experiment({"optimizer.lr": 0.012345678901234567, "prior": "gaussian"})
    path = tmp_path / "again.yaml"
    path.write_text(resolved_yaml(trial))
    assert load_experiment(path).experiment == trial


def test_values_that_do_not_fit_each_other(space: Callable[..., Space]) -> None:
    text = "search: {method: random, space: {model.batch_norm: [false, true], training.batch_size: [64, 1]}}\n"
    read = space(text)
    assert read.experiment({"model.batch_norm": False, "training.batch_size": 1}).training.batch_size == 1
    with pytest.raises(InvalidTrialError, match="batch norm has nothing to normalise over in a batch of one example"):
        read.experiment({"model.batch_norm": True, "training.batch_size": 1})


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("optimizer.lrr", "[1]", "x.yaml:4:18: unknown key `lrr` in `optimizer`\n"),
        ("optimizr.lr", "[1]", "x.yaml:4:18: unknown key `optimizr`\n"),
        ("epochs", "[1]", "x.yaml:4:18: unknown key `epochs`\n"),
        ("model.hidden.x", "[1]", "x.yaml:4:18: `model.hidden` must be a list, found a mapping\n"),
        ("optimizer.lr", "[0.1, -1]", "x.yaml:4:38: `optimizer.lr` must be greater than 0, found -1\n"),
        ("optimizer.lr", "{low: -1.0, high: 1.0}", "x.yaml:4:38: `optimizer.lr` must be greater than 0, found -1"),
        ("model.hidden", "[[4], 5]", "x.yaml:4:38: `model.hidden` must be a list, found 5\n"),
        ("model.activation", "[relu, rely]", "x.yaml:4:43: there is no activation `rely`\n"),
        ("optimizer", "[sgd, {name: adm}]", "x.yaml:4:42: there is no optimizer `adm`\n"),
        ("training.clip_norm", "[null, x]", "x.yaml:4:45: `training.clip_norm` must be a number, found the text `x`\n"),
        ("training.epochs", "{low: 1.0, high: 5.5}",
         "x.yaml:4:35: `training.epochs` must be a whole number, but the range from 1.0 to 5.5 has fractions\n"),
        ("model.activation", "{low: 0, high: 1}",
         "x.yaml:4:36: `model.activation` takes no numbers, so it has no range\n"),
        ("model.hidden", "{low: 0, high: 1}", "x.yaml:4:32: `model.hidden` takes no numbers, so it has no range\n"),
        ("model.batch_norm", "{low: 0, high: 1}", "x.yaml:4:36: `model.batch_norm` takes no numbers, so it has no "),
        ("optimizer", "{low: 0, high: 1}", "x.yaml:4:29: `optimizer` takes no numbers, so it has no range\n"),
        ("optimizer.lr", "{low: 1, high: 1}", "x.yaml:4:38: `low` must be less than `high`, found 1 and 1\n"),
        ("optimizer.lr", "{low: 0, high: 1, log: true}",
         "x.yaml:4:38: a range that is even in the logarithm must begin above 0, found 0\n"),
        ("optimizer.lr", "[0.1, 0.2, 1e-1]", "x.yaml:4:43: the value 0.1 is given twice\n"),
        ("model.hidden", "[[4], [4]]", "x.yaml:4:38: the value [4] is given twice\n"),
        ("data.split.seed", "[1]",
         "x.yaml:4:18: `data.split.seed` cannot vary: every trial must see the same examples in the same folds\n"),
        ("data", "[digits]", "x.yaml:4:18: `data` cannot vary: every trial must see the same examples"),
        ("data.name", "[iris]", "x.yaml:4:18: `data.name` cannot vary: every trial must see the same examples"),
        ("seeds", "[1]", "x.yaml:4:18: `seeds` cannot vary: every trial has the seeds of `cv.seeds`"),
        ("metrics", "[[nll]]", "x.yaml:4:18: `metrics` cannot vary: every trial must be measured alike\n"),
        ("cv.folds", "[3]", "x.yaml:4:18: `cv.folds` cannot vary: it says how the whole search runs"),
        ("search.seed", "[3]", "x.yaml:4:18: `search.seed` cannot vary: it says how the whole search runs"),
        ("dtype", "[float64]", "x.yaml:4:18: `dtype` cannot vary: it says how the whole search runs"),
        ("device", "[cpu]", "x.yaml:4:18: `device` cannot vary: it says how the whole search runs"),
        ("training.batch_size", "[64, 5000]", "x.yaml:4:44: a batch of 5000 is larger than the training part"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["grid", "tpe"])
def test_fault(refused: Callable[..., str], method: str, key: str, values: str, expected: str) -> None:
    text = f"search: {{space: {{{key}: {values}}}, method: {method}}}\n"
    found = refused(text)
    assert found.startswith(expected)
    assert len(heads(found)) == 1


def test_fault_of_an_override_is_shown_there(refused: Callable[..., str]) -> None:
    assert refused("", "search.space.optimizer.lr=[0.1, -1]") == (
        "override 'search.space.optimizer.lr=[0.1, -1]': `optimizer.lr` must be greater than 0, found -1\n"
        "      | search.space.optimizer.lr=[0.1, -1]\n      |                                 ^^"
    )
    assert refused("", "search.space.optimizer.lrr=[0.1]") == (
        "override 'search.space.optimizer.lrr=[0.1]': unknown key `lrr` in `optimizer`\n"
        "      | search.space.optimizer.lrr=[0.1]\n      |              ^^^^^^^^^^^^^\n"
        "      = did you mean `lr`? valid here: lr, rho1, rho2, delta"
    )


def test_all_faults_at_once(refused: Callable[..., str]) -> None:
    text = (
        "search:\n  trials: 2\n  simpler: [-optimizer.lr, model.hiden]\n  space:\n"
        "    optimizer.lr: [-1, 0.1]\n    optimizer.lrr: [1, 2]\n    model.hidden: [[4], x]\n    seeds: [1, 2]\n"
        "    training.epochs: {low: 3, high: 2}\ncv: {score: acuracy}\n"
    )
    found = refused(text)
    assert heads(found) == [
        "x.yaml:6:28: `model.hiden` is no key of the space",
        "x.yaml:8:20: `optimizer.lr` must be greater than 0, found -1",
        "x.yaml:9:5: unknown key `lrr` in `optimizer`",
        "x.yaml:10:25: `model.hidden` must be a list, found the text `x`",
        "x.yaml:11:5: `seeds` cannot vary: every trial has the seeds of `cv.seeds`, so that their scores are paired",
        "x.yaml:12:28: `low` must be less than `high`, found 3 and 2",
        "x.yaml:13:13: `acuracy` is not measured, so it cannot decide",
    ]
    assert "did you mean `accuracy`? known: loss, accuracy" in found
    assert "did you mean `model.hidden`? known: optimizer.lr, " in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("search: {space: {optimizer: [sgd, adam], optimizer.rho1: [0.8, 0.9]}}\n",
         "x.yaml:4:42: unknown key `rho1` in `optimizer`, where `optimizer` is sgd\n"),
        ("search: {space: {optimizer.rho1: [0.8], optimizer: [{name: sgd, lr: 0.1}, adam]}, method: sobol}\n",
         "x.yaml:4:18: unknown key `rho1` in `optimizer`, where `optimizer` is {name: sgd, lr: 0.1}\n"),
        ("search: {space: {training.batch_size: [8, 1], model.batch_norm: [false, true]}}\n",
         "x.yaml:4:43: batch norm has nothing to normalise over in a batch of one example, where `model.batch_norm` "
         "is true\n"),
        ("search: {space: {training.batch_size: [8, 1], model.batch_norm: [true], optimizer.lr: [1, 2]}}\n",
         "x.yaml:4:43: batch norm has nothing to normalise over in a batch of one example, where `model.batch_norm` "
         "is true\n"),
        ("training: {batch_size: 1}\nsearch: {space: {model.batch_norm: [false, true]}}\n",
         "x.yaml:4:24: batch norm has nothing to normalise over in a batch of one example, where `model.batch_norm` "
         "is true\n"),
        ("search: {space: {optimizer: [sgd, newton], training.clip_norm: [null, 1.0], model.hidden: [[4]]}}\n",
         "x.yaml:4:71: `newton` does more with a gradient than follow it, so it cannot be clipped, where `optimizer` "
         "is newton\n"),
        ("search: {space: {optimizer: [sgd, {name: torch}], optimizer.class: [SGD]}}\n",
         "x.yaml:4:51: unknown key `class` in `optimizer`, where `optimizer` is sgd\n"),
        ("search: {space: {prior: [null, gaussian], prior.precision: [1, 2]}}\n",
         "x.yaml:4:43: `prior.precision` has no place where `prior` is null\n"),
        ("search: {space: {training.early_stopping: [null, {min_delta: 1}], training.early_stopping.patience: [2]}}\n",
         "x.yaml:4:67: `training.early_stopping.patience` has no place where `training.early_stopping` is null\n"),
    ],
)  # fmt: skip
def test_combinations_that_cannot_be(refused: Callable[..., str], text: str, expected: str) -> None:
    found = refused(text)
    assert found.startswith(expected)
    assert len(heads(found)) == 1


def test_a_key_that_only_a_choice_has_can_be_written_into_it(refused: Callable[..., str], space: Callable) -> None:
    found = refused("search: {space: {optimizer: [sgd, adam], optimizer.rho1: [0.8, 0.9]}}\n")
    assert found.endswith("= write `rho1` into those choices of `optimizer` that have it")
    space("search: {space: {optimizer: [sgd, {name: adam, rho1: 0.8}, {name: adam, rho1: 0.9}]}}\n")


@pytest.mark.parametrize(
    "entries",
    [
        "optimizer: [{name: torch}], optimizer.class: [SGD, Adam], optimizer.lr: {low: 1e-3, high: 1e-1}",
        "training.input_noise: {low: 0, high: 1}, prior: [null, {name: gaussian, precision: 1}]",
        "training.clip_norm: [null, 1.0], training.batch_size: [full, 32], data.scale: [none, minmax]",
        "training.early_stopping: [null, {patience: 3}], schedule: [constant, cosine]",
        "model: [linear, {name: mlp, hidden: [8]}], loss: [cross_entropy]",
        "training: [{epochs: 3}, {epochs: 4}], prior.name: [gaussian, laplace]",
    ],
)
@pytest.mark.parametrize("method", ["grid", "random"])
def test_spaces_that_can_be(space: Callable[..., Space], entries: str, method: str) -> None:
    read = space(f"search: {{space: {{{entries}}}, method: {method}}}\n")
    for point in itertools.product(*(dimension.grid() for dimension in read.dimensions)):
        read.experiment({dimension.key: value for dimension, value in zip(read.dimensions, point, strict=True)})


def test_many_settings_are_checked_within_bounds(space: Callable[..., Space]) -> None:
    """A grid of forty million settings takes no longer than its first hundreds."""
    entries = ", ".join(f"training.{key}: {{low: 0.1, high: 0.9, num: 200}}" for key in ("input_noise", "weight_noise"))
    read = space(f"search: {{space: {{{entries}, optimizer.lr: {{low: 0.1, high: 1.0, num: 1000}}}}}}\n")
    assert len(read.dimensions) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("search: {trials: 5, space: {optimizer.lr: [1, 2], model.hidden: [[1], [2], [3]]}}\n",
         "x.yaml:4:18: the grid has 6 settings, but search.trials is 5\n"),
        ("search: {trials: 8, space: {optimizer.lr: {low: 1e-3, high: 1e-1, log: true}}}\n",
         "x.yaml:4:18: the grid has 7 settings, but search.trials is 8\n"),
        ("search: {trials: 2}\n", "x.yaml:4:18: the grid has 1 setting, but search.trials is 2\n"),
        ("search: {method: tpe}\n", "x.yaml:4:18: `tpe` has nothing to draw: search.space is empty\n"),
        ("search: {method: cma_es, space: {optimizer.lr: [1, 2]}}\n",
         "x.yaml:4:18: `cma_es` needs a range of numbers, but the space has lists alone\n"),
        ("search: {space: {training.epochs: [1, 2]}, budget: halving}\n",
         "x.yaml:4:18: `training.epochs` cannot vary with search.budget=halving, which decides them itself\n"),
        ("search: {space: {training: [{epochs: 30}, {epochs: 9}]}, method: random, budget: hyperband}\n",
         "x.yaml:4:18: `training.epochs` cannot vary with search.budget=hyperband, which decides them itself\n"),
        ("training: {epochs: 9}\nsearch: {space: {training: [{batch_size: 9}]}, budget: halving}\n",
         "x.yaml:5:18: `training.epochs` cannot vary with search.budget=halving, which decides them itself\n"),
    ],
)  # fmt: skip
def test_methods_that_cannot_be(refused: Callable[..., str], text: str, expected: str) -> None:
    found = refused(text)
    assert found.startswith(expected)
    assert len(heads(found)) == 1


@pytest.mark.parametrize(
    "search",
    [
        "{space: {training.epochs: [1, 2]}}",
        "{space: {training: [{epochs: 30}, {batch_size: 9}], training.clip_norm: [1, 2]}, budget: halving}",
    ],
)
def test_epochs_that_can_vary_or_do_not(space: Callable[..., Space], search: str) -> None:
    assert space(f"search: {search}\n").dimensions


@pytest.mark.parametrize("search", ["trials: 7", "trials: null", "trials: 8, method: random", "method: cma_es"])
def test_methods_that_can_be(space: Callable[..., Space], search: str) -> None:
    assert space(f"search: {{{search}, space: {{optimizer.lr: {{low: 1e-3, high: 1e-1, log: true}}}}}}\n")


@pytest.mark.parametrize(
    "key", ["loss: [mse, mae]", "loss: [huber], loss.delta: [1, 2]", "data.target_scale: [none, minmax]"]
)
def test_settings_that_the_loss_cannot_compare(refused: Callable[..., str], space: Callable, key: str) -> None:
    text = f"search: {{space: {{{key}}}}}\n"
    found = refused(f"{text}cv: {{score: loss}}\n", base=REGRESSION)
    assert "cannot be compared by the loss\n" in found
    assert found.endswith("= set cv.score=r2")
    assert len(heads(found)) == 1
    assert refused(f"{text}metrics: []\n", base=REGRESSION).endswith("= give `metrics`, whose first decides")
    for judged in ("", "cv: {score: r2}\n", "metrics: [rmse]\n", "metrics: [mae, rmse]\ncv: {score: rmse}\n"):
        assert space(text + judged, base=REGRESSION)


def test_one_loss_can_be_compared(space: Callable[..., Space]) -> None:
    assert space("cv: {score: loss}\nsearch: {space: {loss: [mae], data.target_scale: [minmax]}}\n", base=REGRESSION)


def test_a_score_that_is_not_measured(refused: Callable[..., str]) -> None:
    assert refused("cv: {score: f1}\n") == (
        "x.yaml:4:13: `f1` is not measured, so it cannot decide\n    4 | cv: {score: f1}\n      |             ^^\n"
        "      = known: loss, accuracy, or add it to `metrics`"
    )
