from collections.abc import Callable

import pytest

from dlx.config.load import Loaded

Load = Callable[..., Loaded]
Faults = Callable[..., str]


def test_last_override_wins(load: Load) -> None:
    loaded = load("training: {epochs: 3}\n", "training.epochs=4", "training.epochs=5", "training.batch_size=8")
    assert (loaded.experiment.training.epochs, loaded.experiment.training.batch_size) == (5, 8)
    assert loaded.source.overrides == ("training.epochs=4", "training.epochs=5", "training.batch_size=8")


def test_a_mapping_replaces_its_section(load: Load) -> None:
    loaded = load("optimizer: {name: adam, lr: 0.5}\n", "optimizer={name: sgd}", "training={epochs: 7}")
    assert loaded.experiment.optimizer.model_dump() == {"name": "sgd", "lr": 0.01}
    assert loaded.experiment.training.epochs == 7


@pytest.mark.parametrize("text", ["", "optimizer: adam\n", "optimizer: {name: adam}\n", "optimizer:\n"])
def test_a_key_of_a_definition_that_is_only_named_or_is_the_default(load: Load, text: str) -> None:
    optimizer = load(text, "optimizer.lr=1e-4").experiment.optimizer
    assert optimizer.model_dump(include={"name", "lr"}) == {"name": "adam", "lr": 1e-4}


def test_a_definition_of_another_name(load: Load) -> None:
    loaded = load("optimizer: {name: adam, rho1: 0.5}\n", "optimizer=sgd", "optimizer.lr=0.1")
    assert loaded.experiment.optimizer.model_dump() == {"name": "sgd", "lr": 0.1}


def test_an_absent_section_is_made(load: Load) -> None:
    loaded = load("training: {early_stopping: null}\n", "training.early_stopping.patience=2", "data.split.seed=null")
    assert loaded.experiment.training.early_stopping is not None
    assert loaded.experiment.training.early_stopping.patience == 2
    assert loaded.experiment.data.split.seed is None
    assert loaded.experiment.data.name == "digits"


def test_an_entry_of_a_list(load: Load) -> None:
    loaded = load("seeds: [1, 2]\nmetrics: [nll]\n", "seeds.1=5", "metrics.0=accuracy")
    assert loaded.experiment.seed_list == (1, 5)
    assert [metric.name for metric in loaded.experiment.metrics] == ["accuracy"]


@pytest.mark.parametrize(
    ("value", "name"), [("123", "123"), ("1e-3", "1e-3"), ("true", "true"), ("'5'", "5"), ("null", "x"), ("", "x")]
)
def test_values_are_typed_by_the_schema(load: Load, value: str, name: str) -> None:
    assert load("", f"name={value}").experiment.name == name
    assert load(f"name: {value}\n").experiment.name == name


def test_a_fault_in_the_file_can_be_overridden(load: Load) -> None:
    assert load("training: {epochs: many}\n", "training.epochs=3").experiment.training.epochs == 3
    assert load("training: {epochs: many}\n", "training={}").experiment.training.epochs == 30


def test_keys_with_dots_in_a_mapping_of_free_keys(load: Load) -> None:
    text = "search: {space: {optimizer.lr: [3], model.hidden: [[8]]}}\n"
    loaded = load(text, "search.space.optimizer.lr=[1, 2]", "search.space.loss={low: 0, high: 1}", "search.trials=4")
    space = loaded.experiment.search.space
    assert list(space) == ["optimizer.lr", "model.hidden", "loss"]
    assert (space["optimizer.lr"], loaded.experiment.search.trials) == ((1, 2), 4)
    assert list(load("", "search.space.optimizer.lr=[1, 2]").experiment.search.space) == ["optimizer.lr"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimizer.lrr=1",
         "override 'optimizer.lrr=1': unknown key `lrr` in `optimizer`\n      | optimizer.lrr=1\n"
         "      |           ^^^\n      = did you mean `lr`? valid here: lr, rho1, rho2, delta"),
        ("optimiser.lr=1",
         "override 'optimiser.lr=1': unknown key `optimiser`\n      | optimiser.lr=1\n      | ^^^^^^^^^\n"
         "      = did you mean `optimizer`? valid here: name, "),
        ("training.epochs=-1",
         "override 'training.epochs=-1': `training.epochs` must be greater than 0, found -1\n"
         "      | training.epochs=-1\n      |                 ^^"),
        ("data.split={fold: 1, valud: 1}",
         "override 'data.split={fold: 1, valud: 1}': unknown key `valud` in `data.split`\n"
         "      | data.split={fold: 1, valud: 1}\n      |                      ^^^^^\n"
         "      = did you mean `valid`? valid here: "),
        ("epochs", "override 'epochs': expected KEY=VALUE, found no `=`\n      | epochs\n      | ^^^^^^\n"
         "      = write KEY=VALUE without blanks, such as optimizer.lr=0.1"),
        ("seeds=0,1,2",
         "override 'seeds=0,1,2': `seeds` must be a whole number or a list, found the text `0,1,2`\n"
         "      | seeds=0,1,2\n      |       ^^^^^\n      = write `[0,1,2]`"),
        ("training.early_stopping=false",
         "override 'training.early_stopping=false': `training.early_stopping` must be a mapping, found false\n"
         "      | training.early_stopping=false\n      |                         ^^^^^\n"
         "      = When to stop early; null switches it off."),
        ("", "override '': expected KEY=VALUE, found no `=`\n      | \n      | ^".replace("| \n", "|\n")),
        ("=3", "override '=3': an empty key\n      | =3\n      | ^\n      = write KEY=VALUE"),
        ("training..epochs=3",
         "override 'training..epochs=3': an empty key\n      | training..epochs=3\n      |          ^\n"),
        ("name.x=1",
         "override 'name.x=1': `name` is the text `scalar`, which has no keys\n      | name.x=1\n      | ^^^^"),
        ("threads.a.b=1",
         "override 'threads.a.b=1': `threads` is 2, which has no keys\n      | threads.a.b=1\n      | ^^^^^^^"),
        ("seeds.2=1",
         "override 'seeds.2=1': `seeds` is a list and has no entry `2`\n      | seeds.2=1\n      |       ^\n"
         "      = its entries are 0 to 1; to change their number, give all"),
        ("seeds.x=1", "override 'seeds.x=1': `seeds` is a list and has no entry `x`\n"),
        ("seeds.x.y=1", "override 'seeds.x.y=1': `seeds` is a list and has no entry `x`\n"),
        ("search.space.optimizer.lr=0.1",
         "override 'search.space.optimizer.lr=0.1': `search.space.optimizer.lr` must be a list or a mapping, "
         "found 0.1\n      | search.space.optimizer.lr=0.1\n      |                           ^^^"),
        ("search.space.optimizer.lr={low: 1, hihg: 2, high: 3}",
         "override 'search.space.optimizer.lr={low: 1, hihg: 2, high: 3}': unknown key `hihg` in "
         "`search.space.optimizer.lr`\n      | search.space.optimizer.lr={low: 1, hihg: 2, high: 3}\n"
         "      |                                    ^^^^\n      = did you mean `high`? valid here: low, high, log, "
         "num"),
        ("search.space.x..y=[1]", "override 'search.space.x..y=[1]': an empty key\n"),
        ("loss=@",
         "override 'loss=@': not valid YAML: found character '@' that cannot start any token\n      | loss=@\n"
         "      |      ^"),
        ("seeds=[1", "override 'seeds=[1': not valid YAML: "),
        ("threads=017",
         "override 'threads=017': a number must not begin with a zero, as `017` does\n      | threads=017\n"
         "      |         ^^^\n"),
        ("training={epochs: 1, epochs: 2}",
         "override 'training={epochs: 1, epochs: 2}': the key `epochs` is given twice\n"
         "      | training={epochs: 1, epochs: 2}\n      |                      ^^^^^^"),
        ("prior.precision=1",
         "override 'prior.precision=1': this prior needs a `name`: one of gaussian, laplace\n"
         "      | prior.precision=1\n      | ^^^^^"),
        (".".join("a" * 40) + "=1", f"override '{'.'.join('a' * 40)}=1': nested more than 32 levels deep\n"),
        ("name=\udcff", "override 'name=\ufffd': a character that must not be in a text file\n"),
    ],
)  # fmt: skip
def test_fault(faults: Faults, override: str, expected: str) -> None:
    found = faults("name: scalar\nthreads: 2\nseeds: [1, 2]\noptimizer: adam\n", override)
    assert found.startswith(expected)
    assert "faults in" not in found


def test_a_faulty_override_has_no_after_effects(faults: Faults) -> None:
    found = faults("", "loss=@", base="data: digits\nmodel: mlp\n")
    assert "missing" not in found


def test_keys_within_an_unknown_definition_are_not_to_blame(faults: Faults) -> None:
    model = "data: digits\nmodel: {name: mlp, activation: relu}\nloss: cross_entropy\n"
    found = faults("", "model.name=mpl", "model.activation.slope=1", base=model)
    assert found.startswith("override 'model.name=mpl': there is no model `mpl`")
    assert "faults" not in found


def test_second_override_is_the_one_shown(faults: Faults) -> None:
    assert "override 'threads=x'" in faults("", "seeds=3", "threads=x")
