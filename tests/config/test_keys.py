from dlx.config.experiment import Experiment
from dlx.config.keys import home_of, keys_of, section_at
from dlx.core.definition import Metric, Optimizer
from dlx.core.settings import EarlyStopping, Split, Training
from dlx.models.mlp import MLP

TREE = {"data": "digits", "model": {"name": "mlp"}, "metrics": ["accuracy"]}


def test_sections() -> None:
    assert section_at(Experiment, (), TREE) is Experiment
    assert section_at(Experiment, ("training",), TREE) is Training
    assert section_at(Experiment, ("training", "early_stopping"), TREE) is EarlyStopping
    assert section_at(Experiment, ("data", "split"), TREE) is Split
    assert section_at(Experiment, ("optimizer",), TREE) is Optimizer
    assert section_at(Experiment, ("metrics", 0), TREE) is Metric
    assert section_at(Experiment, ("threads",), TREE) is None
    assert section_at(Experiment, ("no", "such", "key"), TREE) is None


def test_keys() -> None:
    assert keys_of(MLP) == ["hidden", "activation", "batch_norm", "dropout", "init"]
    assert "name" in keys_of(Experiment)


def test_homes() -> None:
    assert home_of(Experiment, "patience", TREE) == "`patience` belongs under `training.early_stopping:`"
    assert home_of(Experiment, "noise", TREE) == "`noise` belongs to `two_moons` under `data:`"
    assert home_of(Experiment, "nonsense", TREE) is None
