"""The rules of torch.optim, row by row, are those of torch.optim alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from objectives import rosenbrock
from torch import Tensor

from dlx.config.experiment import Experiment, json_schema, resolved_yaml
from dlx.config.load import load_experiment
from dlx.core.errors import ConfigError
from dlx.optimizers.torch import UNFIT, Torch

CASES: list[dict[str, Any]] = [
    {"class": "ASGD", "lr": 0.002, "t0": 3.0},
    {"class": "Adadelta", "rho": 0.8},
    {"class": "Adagrad", "lr": 0.05, "lr_decay": 0.1, "initial_accumulator_value": 0.5},
    {"class": "Adam", "lr": 0.02, "betas": [0.8, 0.95], "amsgrad": True},
    {"class": "AdamW", "lr": 0.02, "weight_decay": 0.2},
    {"class": "Adamax", "lr": 0.02},
    {"class": "NAdam", "lr": 0.02, "momentum_decay": 0.01},
    {"class": "RAdam", "lr": 0.0005, "decoupled_weight_decay": True, "weight_decay": 0.1},
    {"class": "RMSprop", "lr": 0.002, "momentum": 0.5, "centered": True},
    {"class": "Rprop", "lr": 0.01, "etas": [0.4, 1.1]},
    {"class": "SGD", "lr": 0.0005, "momentum": 0.9, "nesterov": True},
]
every_class = pytest.mark.parametrize("case", CASES, ids=lambda case: case["class"])
STARTS = [[-1.2, 1.0, 0.3], [0.5, -0.4, 0.2]]


def gradient_of(x: Tensor) -> Tensor:
    at = x.detach().requires_grad_()
    return torch.autograd.grad(rosenbrock(at), at)[0]


@every_class
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_follow_torch_under_a_schedule(case: dict[str, Any], dtype: torch.dtype, stack: Callable) -> None:
    rule = Torch.model_validate(case)
    theta = torch.tensor(STARTS, dtype=dtype)
    state, h = rule.init(theta), stack([rule, rule.model_copy(update={"lr": rule.lr / 3})], dtype)
    rates = h.lr.clone()
    alone = [torch.tensor(start, dtype=dtype, requires_grad=True) for start in STARTS]
    settings = {key: value for key, value in case.items() if key not in ("class", "lr")}
    peers = [
        getattr(torch.optim, case["class"])([x], lr=float(lr), **settings) for x, lr in zip(alone, rates, strict=True)
    ]
    for k in range(30):
        h.lr = rates / (1 + k)
        rule.update(theta, torch.stack([gradient_of(row) for row in theta]), state, h)
        for x, peer, lr in zip(alone, peers, h.lr, strict=True):
            peer.param_groups[0]["lr"] = float(lr)
            x.grad = gradient_of(x)
            peer.step()
        tolerance = {"rtol": 1e-12, "atol": 1e-14} if dtype == torch.float64 else {"rtol": 0, "atol": 0}
        torch.testing.assert_close(theta, torch.stack([x.detach() for x in alone]), **tolerance)


@every_class
def test_state_survives_a_copy_and_rows_may_be_dropped(case: dict[str, Any], stack: Callable) -> None:
    """As checkpoints and compaction do: a row in another place, its state in new memory, goes on to the same bits."""
    rule = Torch.model_validate(case)
    theta = torch.tensor([*STARTS, [0.1, 0.2, -0.3]])
    state, h = rule.init(theta), stack([rule] * 3, torch.float32)

    def steps(theta: Tensor, state: Any, h: Any) -> None:
        for _ in range(7):
            rule.update(theta, torch.stack([gradient_of(row) for row in theta]), state, h)

    steps(theta, state, h)
    kept = [2, 1]
    theta_kept, state_kept = theta[kept], {name: part[kept] for name, part in state.items()}
    steps(theta, state, h)
    steps(theta_kept, state_kept, stack([rule] * 2, torch.float32))
    assert torch.equal(theta_kept, theta[kept])


def test_every_class_is_tried_or_refused() -> None:
    classes = {
        name
        for name in dir(torch.optim)
        if isinstance(cls := getattr(torch.optim, name), type) and issubclass(cls, torch.optim.Optimizer)
    }
    assert classes - {"Optimizer"} == {case["class"] for case in CASES} | UNFIT.keys()


CONFIG = "data: digits\nmodel: mlp\nloss: cross_entropy\n"


def load(folder: Path, optimizer: str, *overrides: str) -> Experiment:
    path = folder / "c.yaml"
    path.write_text(f"{CONFIG}optimizer: {optimizer}\n")
    return load_experiment(path, overrides).experiment


def test_reads_resolves_and_overrides(tmp_path: Path) -> None:
    experiment = load(tmp_path, "{name: torch, class: NAdam, lr: 0.02, betas: [0.5, 0.9]}")
    text = resolved_yaml(experiment)
    assert "class: NAdam" in text
    assert "momentum_decay: 0.004" in text, "every default is filled in"
    (tmp_path / "again.yaml").write_text(text)
    again = load_experiment(tmp_path / "again.yaml").experiment
    assert again.optimizer == experiment.optimizer
    assert again.optimizer.structure() == experiment.optimizer.structure()
    changed = load(tmp_path, "torch", "optimizer.class=Adadelta", "optimizer.rho=0.5").optimizer
    assert changed.structure()["class"] == "Adadelta"
    assert changed.structure()["rho"] == 0.5
    assert changed.tunables() == {"lr": 1.0}, "the class's own"
    arms = json_schema()["$defs"]["Experiment"]["properties"]["optimizer"]["anyOf"]
    (described,) = (each for each in arms if each.get("title") == "Torch")
    assert described["properties"]["class"]["enum"] == [case["class"] for case in CASES]


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        ("{name: torch, class: NAdam, momentum_dacey: 0.1}", ["unknown key `momentum_dacey`", "`momentum_decay`?"]),
        ("{name: torch, class: Adagrad, rho: 0.1}", ["valid here: class, lr, lr_decay, weight_decay, initial"]),
        ("{name: torch, class: Nadam}", ["did you mean `NAdam`?"]),
        ("{name: torch, class: LBFGS}", ["cannot be used: it needs several gradients", "optimizer=lbfgs"]),
        ("{name: torch, class: Muon}", ["cannot be used: it sees whole matrices"]),
        (
            "{name: torch, class: Adam, betas: [0.9, 1.5]}",
            ["refuses these settings: Invalid beta parameter at index 1"],
        ),
        *(
            (f"{{name: torch, class: Adam, betas: {betas}}}", ["expected a list of 2 numbers, such as [0.9, 0.999]"])
            for betas in ("[0.9]", "0.9", "[0.8, 0.9, 0.99]", "null", "{a: 1}")
        ),
        ("{name: torch, class: Rprop, step_sizes: 1}", ["expected a list of 2 numbers, such as [1e-06, 50]"]),
        ("{name: torch, class: [Adam], foo: 1}", ["`optimizer.class` must be `ASGD`", "found a list"]),
        ("{name: torch, class: {a: 1}, foo: 1}", ["`optimizer.class` must be `ASGD`", "found a mapping"]),
        ("{name: torch, class: SGD, nesterov: true}", ["Nesterov momentum requires a momentum"]),
        ("{name: torch, class: SGD, nesterov: 1}", ["`optimizer.nesterov` must be `true` or `false`"]),
        ("{name: torch, class: SGD, foreach: true}", ["unknown key `foreach`"]),
        ("{name: torch, class: SGD, lr: -1}", ["`optimizer.lr` must be greater than 0"]),
    ],
)
def test_faults_of_a_config(optimizer: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, optimizer)
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_a_wrong_entry_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "{name: torch, class: Adam, betas: [0.9, a]}")
    assert "`optimizer.betas.1` must be a number" in str(refused.value)
    assert "faults" not in str(refused.value)


def test_state_is_a_row_of_each_part() -> None:
    for case in CASES:
        state = Torch.model_validate(case).init(torch.zeros(2, 3))
        assert len(state) > 1
        assert state["taken"].shape == (2, 1)
        assert all(len(part) == 2 for part in state.values())
