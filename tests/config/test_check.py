from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from config.checked import SMALL, check, classes, split, values

from dlx.config.load import Loaded, is_of_surface, load_experiment, load_experiment_and_data
from dlx.core.errors import ConfigError, DataError
from dlx.core.types import Examples
from dlx.datasets.iris import Iris

Load = Callable[..., Loaded]


def test_keys_of_the_same_name_in_two_sections(load: Load, tmp_path: Path) -> None:
    """A rule about `training.batch_size` or `seeds` must not read that of another section."""
    text = "training: {batch_size: 9}\ncurvature: {batch_size: 2000}\n"
    (fault,) = (fault for fault in check(load(text).experiment, classes(100, 100)))
    assert fault.path == ("curvature", "batch_size")
    path = tmp_path / "y.yaml"
    path.write_text("data: iris\nmodel: linear\nloss: cross_entropy\ncurvature: {batch_size: null}\ncv: {seeds: 2}\n")
    loaded, _ = load_experiment_and_data(path)
    assert loaded.experiment.training.batch_size == 64
    with pytest.raises(ConfigError, match="a batch of 999 is larger"):
        load_experiment_and_data(path, ["training.batch_size=999", "curvature.batch_size=5"])
    with pytest.raises(ConfigError, match="the seed 1 is given twice"):
        load_experiment_and_data(path, ["seeds=[1, 1]"])


def test_data_that_fit(load: Load) -> None:
    assert check(load().experiment, classes(100, 100)) == []
    assert check(load(base="data: digits\nmodel: mlp\nloss: mse\n").experiment, values(200)) == []


@pytest.mark.parametrize(
    "path",
    [each for each in sorted(Path("configs").glob("*.yaml")) if not is_of_surface(each)],
    ids=lambda path: path.stem,
)
def test_configs_fit_their_data(path: Path) -> None:
    loaded, examples = load_experiment_and_data(path)
    assert loaded == load_experiment(path)
    assert len(examples) > 0


def test_loss_that_does_not_fit(refused: Callable[..., str]) -> None:
    assert refused(classes(100, 100)) == (
        "x.yaml:3:7: `mse` is a loss for regression, but these data are for classification\n"
        "    3 | loss: mse\n      |       ^^^\n"
        "      = losses that fit: binary_cross_entropy, cross_entropy"
    )
    found = refused(classes(50, 50, 50), base=split("{}", "binary_cross_entropy"))
    assert "`binary_cross_entropy` is a loss for 2 classes, but these data have 3\n" in found
    assert "= losses that fit: cross_entropy" in found


@pytest.mark.parametrize(("metric", "at"), [("top_k", 11), ("{name: top_k, k: 3}", 28), ("{name: top_k, k: 10}", 28)])
def test_top_k_of_no_more_classes_than_may_be_named(refused: Callable[..., str], metric: str, at: int) -> None:
    found = refused(classes(50, 50, 50), f"metrics: [{metric}]\n", base=split("{}"))
    assert found.startswith(f"x.yaml:4:{at}: top-k accuracy with k=")
    assert "is always 1 with 3 classes: `k` must be lower" in found


def test_top_k_of_more_classes(load: Load) -> None:
    loaded = load("metrics: [{name: top_k, k: 2}]\n")
    assert check(loaded.experiment, classes(50, 50, 50)) == []


@pytest.mark.parametrize(
    ("data", "loss", "expected"),
    [
        ("digits", "poisson_nll", "x.yaml:3:7: `poisson_nll` needs targets as they are, but data.target_scale is stan"),
        ("{name: digits, target_scale: minmax}", "{name: poisson_nll}", "x.yaml:1:36: `poisson_nll` needs targets as"),
    ],
)  # fmt: skip
def test_loss_of_raw_targets(faults: Callable[..., str], load: Load, data: str, loss: str, expected: str) -> None:
    found = faults(base=f"data: {data}\nmodel: mlp\nloss: {loss}\n")
    assert found.startswith(expected)
    assert found.endswith("= set data.target_scale=none")
    raw = load(base="data: {name: digits, target_scale: none}\nmodel: mlp\nloss: poisson_nll\n")
    assert check(raw.experiment, values(200)) == []


def test_targets_that_are_no_counts(refused: Callable[..., str]) -> None:
    base = "data: {name: digits, target_scale: none}\nmodel: mlp\nloss: poisson_nll\n"
    examples = replace(values(200), targets=np.full((200, 1), 0.5))
    assert refused(examples, base=base) == (
        "x.yaml:3:7: `poisson_nll` is a loss for counts (whole numbers from 0), but `target` is 0.5 in example 1, and "
        "199 more are none\n"
        "    3 | loss: poisson_nll\n      |       ^^^^^^^^^^^\n"
        "      = losses that fit: gaussian_nll, huber, laplace_nll, mae, mse"
    )


def test_class_weights_of_another_length(refused: Callable[..., str]) -> None:
    base = split("{}", "{name: cross_entropy, class_weights: [1, 2, 1]}")
    assert refused(classes(100, 100), base=base) == (
        "x.yaml:3:44: `class_weights` needs a number for each of the 2 classes (kind 0, kind 1), but has 3\n"
        "    3 | loss: {name: cross_entropy, class_weights: [1, 2, 1]}\n"
        "      |                                            ^^^^^^^^^"
    )


def test_one_class(refused: Callable[..., str]) -> None:
    found = refused(classes(100), SMALL, base=split("{}"))
    assert found.startswith("x.yaml:1:1: classification needs at least 2 classes, but the data have 1\n")


def test_batch_larger_than_the_training_part(refused: Callable[..., str]) -> None:
    assert refused(values(50), "training: {batch_size: 31}\n") == (
        "x.yaml:4:24: a batch of 31 is larger than the training part, which has 30 examples\n"
        "    4 | training: {batch_size: 31}\n      |                        ^^\n"
        "      = set training.batch_size=30 or less, or full"
    )
    assert refused(values(50), "training: {epochs: 3}\n").startswith("x.yaml:4:1: a batch of 64 is larger")
    assert refused(values(50)).startswith("x.yaml:1:1: a batch of 64 is larger")


ONE_OF_EACH = """\
data: {name: iris, split: {valid: 0.9, folds: 200}}
model: linear
loss: mse
metrics: [r2, r2]
optimizer: {name: adam, lrr: 1}
training: {epochs: 0}
seeds: [1, 1]
"""


def test_faults_of_every_kind_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(ONE_OF_EACH)
    with pytest.raises(ConfigError) as caught:
        load_experiment_and_data(path)
    for part in (
        "x.yaml:1:47: 200 folds need as many examples, but there are 150",
        "x.yaml:3:7: `mse` is a loss for regression, but these data are for classification",
        "x.yaml:4:11: `r2` is a metric for regression, but these data are for classification",
        "x.yaml:4:15: the metric `r2` is given twice",
        "x.yaml:5:25: unknown key `lrr` in `optimizer`",
        "x.yaml:6:20: `training.epochs` must be greater than 0, found 0",
        "x.yaml:7:12: the seed 1 is given twice",
        "7 faults in",
    ):
        assert part in str(caught.value)


def test_a_fault_of_training_does_not_hide_its_other_keys(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    text = "data: {name: iris, split: {valid: 0}}\nmodel: linear\nloss: cross_entropy\n"
    for training, count in (("{epochs: 0}", 2), ("{epochs: 0, batch_size: 999}", 3), ("{epochs: 0, batch_size: x}", 3)):
        path.write_text(f"{text}training: {training}\n")
        with pytest.raises(ConfigError) as caught:
            load_experiment_and_data(path)
        assert "early stopping needs a validation part" in str(caught.value)
        assert ("a batch of 999 is larger" in str(caught.value)) == ("999" in training)
        assert str(caught.value).endswith(f"{count} faults in {path}")


@pytest.mark.parametrize(
    "data",
    ["{name: iris, scale: none, split: {valid: 2}}", "{name: iris, scale: max}", "{name: iris, scal: standard}"],
)
def test_faults_of_the_split_do_not_hide_what_the_data_are(tmp_path: Path, data: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"data: {data}\nmodel: linear\nloss: mse\n")
    with pytest.raises(ConfigError) as caught:
        load_experiment_and_data(path)
    assert "`mse` is a loss for regression" in str(caught.value)
    assert str(caught.value).endswith(f"2 faults in {path}")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("data: {name: iris, split: {folds: 200}}\ntraining: {batch_size: 130}\nloss: cross_entropy\n", 1),
        ("data: iris\nmetrics: [r2, r2]\nloss: cross_entropy\n", 2),
        ("data: iris\nloss: mse\n", 1),  # the metric that nobody asked for follows from the loss
    ],
)
def test_faults_that_only_follow_from_others_are_left_out(tmp_path: Path, text: str, count: int) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"model: linear\n{text}")
    with pytest.raises(ConfigError) as caught:
        load_experiment_and_data(path)
    assert str(caught.value).count("x.yaml:") == count


def test_faults_of_the_data_set_itself_hide_it(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("data: {name: two_moons, noise: -1}\nmodel: linear\nloss: mse\n")
    with pytest.raises(ConfigError) as caught:
        load_experiment_and_data(path)
    assert str(caught.value).count("x.yaml:") == 1


def test_faults_come_before_data_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Iris) -> Examples:
        raise DataError("gone")

    monkeypatch.setattr(Iris, "load", fail)
    path = tmp_path / "x.yaml"
    path.write_text("data: iris\nmodel: linear\nloss: cross_entropy\n")
    with pytest.raises(DataError, match="gone"):
        load_experiment_and_data(path)
    with pytest.raises(ConfigError, match="given twice"):
        load_experiment_and_data(path, ["seeds=[1, 1]"])


def test_all_faults_at_once(refused: Callable[..., str]) -> None:
    found = refused(classes(50), "training: {batch_size: 99}\n", base=split("{stratify: true}", "mse"))
    assert found.endswith("3 faults in x.yaml")


def test_a_rule_that_cannot_train_this(load: Load) -> None:
    with pytest.raises(ConfigError) as refused:
        load("optimizer: newton\n", base="data: diabetes\nmodel: mlp\nloss: mae\n")
    text = str(refused.value)
    assert "`newton` divides by the curvature of the loss, but `mae` has none" in text
    assert "rules that fit: " in text
    assert "adam" in text
    assert "newton" not in text.split("rules that fit: ")[1]
    load("optimizer: newton\n", base="data: diabetes\nmodel: mlp\nloss: huber\n")


MLP = "data: {{name: digits{split}}}\nmodel: {{name: mlp{model}}}\nloss: mse\n"


@pytest.mark.parametrize(
    ("extra", "base", "message"),
    [
        ("schedule: plateau\ntraining: {early_stopping: null}\n", {"split": ", split: {valid: 0}"}, "watches the vali"),
        ("schedule: {name: plateau, patience: 5}\n", {}, "stops after 5 epochs without an improvement, before"),
        ("training: {batch_size: 1}\n", {"model": ", batch_norm: true"}, "nothing to normalise over in a batch of one"),
        ("training: {clip_norm: 1e-60}\n", {}, "`training.clip_norm` is 1e-60, which is 0 in float32"),
        ("training: {input_noise: 1e300}\n", {}, "`training.input_noise` is 1e+300, which is inf in float32"),
        ("optimizer: {name: torch, class: Adam, eps: 1e-60}\n", {}, "`optimizer.eps` is 1e-60, which is 0 in float32"),
        ("optimizer: newton\ntraining: {clip_norm: 1.0}\n", {}, "`newton` does more with a gradient than follow it"),
    ],
)  # fmt: skip
def test_training_that_cannot_work(extra: str, base: dict[str, str], message: str, load: Load) -> None:
    with pytest.raises(ConfigError) as error:
        load(extra, base=MLP.format(**{"split": "", "model": "", **base}))
    assert message in str(error.value)


def test_schedule_and_batch_that_can_work(load: Load) -> None:
    text = "schedule: plateau\ntraining: {batch_size: 2}\n"
    base = MLP.format(split="", model=", batch_norm: true, dropout: 0.999")
    assert check(load(text, base=base).experiment, values(200)) == []
