"""What every registered update rule promises: the book's formula, row by row, in place."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from dlx.core.definition import FirstOrder, Optimizer
from dlx.core.noise import mix
from dlx.core.registry import registered


def book_sgd(x: Any, g: Any, h: Any, memory: dict) -> Any:
    return x - h.lr * g


def book_momentum(x: Any, g: Any, h: Any, memory: dict) -> Any:
    memory["v"] = h.momentum * memory.get("v", 0) - h.lr * g
    return x + memory["v"]


def book_nesterov(x: Any, g: Any, h: Any, memory: dict) -> Any:
    return book_momentum(x, g, h, memory)


def book_adagrad(x: Any, g: Any, h: Any, memory: dict) -> Any:
    memory["r"] = memory.get("r", 0) + g * g
    return x - h.lr * g / (h.delta + mpmath.sqrt(memory["r"]))


def book_rmsprop(x: Any, g: Any, h: Any, memory: dict) -> Any:
    memory["r"] = h.rho * memory.get("r", 0) + (1 - h.rho) * g * g
    return x - h.lr * g / mpmath.sqrt(h.delta + memory["r"])


def book_rmsprop_nesterov(x: Any, g: Any, h: Any, memory: dict) -> Any:
    memory["r"] = h.rho * memory.get("r", 0) + (1 - h.rho) * g * g
    memory["v"] = h.momentum * memory.get("v", 0) - h.lr * g / mpmath.sqrt(h.delta + memory["r"])
    return x + memory["v"]


def book_adam(x: Any, g: Any, h: Any, memory: dict) -> Any:
    t = memory["t"] = memory.get("t", 0) + 1
    s = memory["s"] = h.rho1 * memory.get("s", 0) + (1 - h.rho1) * g
    r = memory["r"] = h.rho2 * memory.get("r", 0) + (1 - h.rho2) * g * g
    return x - h.lr * (s / (1 - h.rho1**t)) / (mpmath.sqrt(r / (1 - h.rho2**t)) + h.delta)


def book_adamw(x: Any, g: Any, h: Any, memory: dict) -> Any:
    return book_adam((1 - h.lr * h.weight_decay) * x, g, h, memory)


def book_torch(x: Any, g: Any, h: Any, memory: dict) -> Any:
    """Adamax, its default: Kingma and Ba (2015), algorithm 2, with eps where torch has it."""
    t = memory["t"] = memory.get("t", 0) + 1
    rho1, rho2, eps = mpmath.mpf(0.9), mpmath.mpf(0.999), mpmath.mpf(1e-8)
    m = memory["m"] = rho1 * memory.get("m", 0) + (1 - rho1) * g
    u = memory["u"] = max(rho2 * memory.get("u", 0), abs(g) + eps)
    return x - h.lr / (1 - rho1**t) * m / u


# Goodfellow, Bengio and Courville (2016), algorithms 8.1 to 8.7, and Loshchilov and Hutter (2019), algorithm 2, for one
# coordinate; their own form of the schedule.
BOOK = {
    "adagrad": book_adagrad,
    "adam": book_adam,
    "adamw": book_adamw,
    "momentum": book_momentum,
    "nesterov": book_nesterov,
    "rmsprop": book_rmsprop,
    "rmsprop_nesterov": book_rmsprop_nesterov,
    "sgd": book_sgd,
    "torch": book_torch,
}


def whole_newton(x: Any, g: Any, hessian: Any, h: Any, memory: dict) -> Any:
    shifted = hessian + h.damping * mpmath.eye(len(x))
    return x - h.lr * mpmath.inverse(shifted) * g


def whole_least_squares(x: Any, g: Any, hessian: Any, h: Any, memory: dict) -> Any:
    return x - mpmath.inverse(hessian) * g


# Rules that do not work coordinate by coordinate: the next point from the point, gradient and Hessian, on a quadratic.
# On least squares the Gauss-Newton matrix is the Hessian.
WHOLE = {"gauss_newton": whole_newton, "least_squares": whole_least_squares, "newton": whole_newton}
ELSEWHERE = {name: f"tests/optimizers/test_{name}.py" for name in ("cma_es", "evolution", "lbfgs")}
"""Where rules that need more than a quadratic have their independent computation."""
LOOK_AHEAD = {"nesterov", "rmsprop_nesterov"}
"""Rules whose gradient is taken at theta + momentum v."""
TORCH: dict[str, Callable[[Any, list[Tensor]], torch.optim.Optimizer]] = {
    "adagrad": lambda h, p: torch.optim.Adagrad(p, h.lr, eps=h.delta),
    "adam": lambda h, p: torch.optim.Adam(p, h.lr, (h.rho1, h.rho2), eps=h.delta),
    "adamw": lambda h, p: torch.optim.AdamW(p, h.lr, (h.rho1, h.rho2), eps=h.delta, weight_decay=h.weight_decay),
    "momentum": lambda h, p: torch.optim.SGD(p, h.lr, momentum=h.momentum),
    "sgd": lambda h, p: torch.optim.SGD(p, h.lr),
}
SETTINGS = [  # every rule takes those that it knows
    {"lr": 0.05, "delta": 0.5, "momentum": 0.9, "damping": 0.3},
    # Adaptive rules of short memory jump about a minimum, where the last bit grows to the first: so rho is near 1.
    {"lr": 0.005, "delta": 1e-8, "momentum": 0.5, "rho": 0.98, "rho1": 0.8, "rho2": 0.95, "weight_decay": 0.3},
]
ROTATION = np.array([[0.6, -0.8], [0.8, 0.6]])
HESSIAN = ROTATION @ np.diag([1.0, 10.0]) @ ROTATION.T
DESIGN = np.random.default_rng(0).normal(size=(12, 2))
PROBLEMS = {  # Hessian and linear term of a quadratic
    "rotated quadratic": (HESSIAN, np.array([3.0, -4.0])),
    "least squares": (2 / 12 * DESIGN.T @ DESIGN, 2 / 12 * DESIGN.T @ (DESIGN @ [2.0, -1.0] + 0.5)),
}
START = (1.0, 1.5)
STEPS = 50

RULES = registered(Optimizer)
every_rule = pytest.mark.parametrize("cls", RULES.values(), ids=RULES)
first_order = [cls for cls in RULES.values() if issubclass(cls, FirstOrder)]
every_first_order = pytest.mark.parametrize("cls", first_order, ids=lambda cls: cls.__name__)
every_problem = pytest.mark.parametrize("problem", PROBLEMS)
every_setting = pytest.mark.parametrize("setting", SETTINGS, ids=["setting 0", "setting 1"])


def with_known(cls: type[Optimizer], setting: dict[str, float]) -> Optimizer:
    return cls.model_validate({name: value for name, value in setting.items() if name in cls.tunable_names()})


def scaled(cls: type[Optimizer], factor: float) -> Optimizer:
    return cls.model_validate({name: value * factor for name, value in cls().tunables().items()})


class Diagonal:
    """M quadratics with their minima at 1: sum_p curvature/2 (theta - 1)**2, curvature [M, P]."""

    def __init__(self, curvature: Tensor) -> None:
        self.curvature = curvature
        self.keys = torch.full((len(curvature),), 7, dtype=torch.int32)

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        return self.value(theta), self.curvature * (theta - 1)

    def value(self, theta: Tensor) -> Tensor:
        distance = theta - 1
        return (0.5 * self.curvature * distance * distance).sum(1)

    def hessian(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.value_and_gradient(theta), torch.diag_embed(self.curvature)

    gauss_newton = hessian

    def residuals(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        root = (self.curvature.double() / 2).sqrt()
        return torch.diag_embed(root), root


class Quadratic:
    """Quadratics with one Hessian, [2, 2], and linear term, [2]; their gradient is H theta - b."""

    def __init__(self, problem: str) -> None:
        self.matrix, self.linear = (torch.from_numpy(each) for each in PROBLEMS[problem])

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(theta)), theta @ self.matrix - self.linear

    def hessian(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.value_and_gradient(theta), self.matrix.expand(len(theta), 2, 2)

    gauss_newton = hessian

    def value(self, theta: Tensor) -> Tensor:
        return torch.zeros(len(theta))

    def residuals(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        root = torch.linalg.cholesky(self.matrix / 2).mT
        right = root @ torch.linalg.solve(self.matrix, self.linear)
        return root.expand(len(theta), 2, 2), right.expand(len(theta), 2)


def trajectory(rule: Optimizer, problem: str, stack: Callable, factor: Callable[[int], float]) -> Tensor:
    """Theta after each step, [STEPS, 2]; the learning rate of step k is times factor(k)."""
    theta, objective = torch.tensor([START, START], dtype=torch.float64), Quadratic(problem)
    state, h, path = rule.init(theta), stack([rule] * 2), []
    lr = h.lr.clone() if "lr" in rule.tunable_names() else torch.zeros(2, 1)
    for k in range(STEPS):
        h.lr = lr * factor(k)
        rule.step(theta, state, h, objective)
        path.append(theta[0].clone())
    return torch.stack(path)


def book_trajectory(rule: FirstOrder, problem: str, factor: Callable[[int], Any]) -> np.ndarray:
    hessian, linear = (np.vectorize(mpmath.mpf, otypes=[object])(each) for each in PROBLEMS[problem])
    h = SimpleNamespace(**{name: mpmath.mpf(value) for name, value in rule.tunables().items()})
    lr, theta, memories, path = h.lr, [mpmath.mpf(x) for x in START], ({}, {}), []
    for k in range(STEPS):
        h.lr = lr * factor(k)
        is_ahead = rule.name in LOOK_AHEAD
        ahead = [h.momentum * memory.get("v", 0) if is_ahead else 0 for memory in memories]
        gradient = hessian @ (np.array(theta) + ahead) - linear
        coordinates = zip(theta, gradient, memories, strict=True)
        theta = [BOOK[rule.name](x, g, h, memory) for x, g, memory in coordinates]
        path.append([float(x) for x in theta])
    return np.array(path)


def linear_decay(k: int) -> Any:
    share = mpmath.mpf(min(k, 30)) / 30
    return (1 - share) + share * mpmath.mpf("0.01")


@every_first_order
@every_problem
@every_setting
@pytest.mark.parametrize("factor", [lambda k: mpmath.mpf(1), linear_decay], ids=["constant", "linear decay"])
def test_follows_the_book(cls: type[FirstOrder], problem: str, setting: dict, factor: Any, stack: Callable) -> None:
    rule = with_known(cls, setting)
    with mpmath.workdps(50):
        expected = book_trajectory(rule, problem, factor)
        path = trajectory(rule, problem, stack, lambda k: float(factor(k)))
    np.testing.assert_allclose(path, expected, rtol=1e-12)


@every_problem
@every_setting
@pytest.mark.parametrize("name", WHOLE)
def test_follows_the_book_as_a_whole(name: str, problem: str, setting: dict, stack: Callable) -> None:
    rule = with_known(RULES[name], setting)
    path = trajectory(rule, problem, stack, lambda k: float(linear_decay(k)))
    with mpmath.workdps(50):
        hessian, linear = (mpmath.matrix(each.tolist()) for each in PROBLEMS[problem])
        h = SimpleNamespace(**{key: mpmath.mpf(value) for key, value in rule.tunables().items()})
        lr, x, memory, expected = getattr(h, "lr", 0), mpmath.matrix(START), {}, []
        for k in range(STEPS):
            h.lr = lr * linear_decay(k)
            x = WHOLE[name](x, hessian * x - linear, hessian, h, memory)
            expected.append([float(each) for each in x])
    np.testing.assert_allclose(path, expected, rtol=1e-12, atol=1e-13)


@every_problem
@every_setting
@pytest.mark.parametrize("name", TORCH)
def test_follows_torch(name: str, problem: str, setting: dict, stack: Callable) -> None:
    rule = with_known(RULES[name], setting)
    hessian, linear = (torch.from_numpy(each) for each in PROBLEMS[problem])
    theta = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    peer = TORCH[name](SimpleNamespace(**rule.tunables()), [theta])
    for ours in trajectory(rule, problem, stack, lambda k: 1.0):
        theta.grad = theta.detach() @ hessian - linear
        peer.step()
        torch.testing.assert_close(ours, theta.detach(), rtol=1e-12, atol=0)


@every_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_parameters", [1, 7, 17, 33, 1003])
def test_rows_stand_alone(
    cls: type[Optimizer], num_parameters: int, dtype: torch.dtype, stack: Callable, same_bits: Callable
) -> None:
    if not issubclass(cls, FirstOrder):
        num_parameters = min(num_parameters, 40)  # a matrix of 1003 x 1003 takes minutes
    rules = [scaled(cls, factor) for factor in (1.0, 0.5, 0.9)]
    generator = torch.Generator().manual_seed(num_parameters)
    start, curvature = torch.randn(2, 3, num_parameters, generator=generator, dtype=dtype)

    def run(rows: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        theta, objective = start[rows].clone(), Diagonal(curvature[rows].abs())
        state, h = cls().init(theta), stack([rules[row] for row in rows], dtype)
        for _ in range(20):
            cls().step(theta, state, h, objective)
        return theta, state

    theta, state = run([0, 1, 2])
    for row in range(3):
        theta_alone, state_alone = run([row, row])
        assert same_bits(theta[row], theta_alone[0])
        assert all(same_bits(state[name][row], state_alone[name][0]) for name in state)


@every_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_step_is_in_place(cls: type[Optimizer], dtype: torch.dtype, stack: Callable) -> None:
    theta, objective = torch.zeros(3, 5, dtype=dtype), Diagonal(torch.ones(3, 5, dtype=dtype))
    state, h = cls().init(theta), stack([cls()] * 3, dtype)
    settings = {name: value.clone() for name, value in vars(h).items() if isinstance(value, Tensor)}
    before = theta.clone(), {name: (part.data_ptr(), part.shape) for name, part in state.items()}, theta.data_ptr()
    value = cls().step(theta, state, h, objective)
    torch.testing.assert_close(value, objective.value_and_gradient(before[0])[0])
    assert not torch.equal(theta, before[0])
    assert {name: (part.data_ptr(), part.shape) for name, part in state.items()} == before[1]
    assert theta.data_ptr() == before[2]
    assert all(len(part) == 3 and part.dtype == dtype and part.data_ptr() != before[2] for part in state.values())
    assert all(torch.equal(getattr(h, name), value) for name, value in settings.items())


@every_rule
def test_diagnostics_do_not_depend_on_the_order_of_the_state(cls: type[Optimizer]) -> None:
    state = cls().init(torch.zeros(2, 3))  # a state that was saved comes back in alphabetical order
    names = [list(cls().diagnostics(dict(sorted(state.items(), reverse=way)))) for way in (False, True)]
    assert names[0] == names[1]


@every_rule
def test_descends(cls: type[Optimizer], stack: Callable) -> None:
    objective = Diagonal(torch.tensor([[1.0, 10.0]] * 2))
    theta = torch.tensor([[2.0, 2.0], [0.0, 2.0]])
    state, h = cls().init(theta), stack([cls()] * 2, torch.float32)
    if issubclass(cls, FirstOrder):
        h.lr = 10 * h.lr
    first = cls().step(theta, state, h, objective)
    for _ in range(100):
        objective.keys = mix(objective.keys + 1)
        last = cls().step(theta, state, h, objective)
    assert (last < 0.1 * first).all()


@every_first_order
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("still", ["gradient", "lr"])
def test_nothing_moves_without_gradient_or_rate(
    cls: type[FirstOrder], still: str, dtype: torch.dtype, stack: Callable
) -> None:
    theta = torch.linspace(-1, 1, 10, dtype=dtype).reshape(2, 5)
    rule = with_known(cls, {"weight_decay": 0.0})
    before, state, h = theta.clone(), rule.init(theta), stack([rule] * 2, dtype)
    if still == "lr":
        h.lr = 0 * h.lr
    for _ in range(3):
        rule.update(theta, torch.full_like(theta, 0.0 if still == "gradient" else 2.0), state, h)
    assert torch.equal(theta, before)


@every_rule
def test_operations_are_safe(cls: type[Optimizer], stack: Callable, only_safe_operations: Callable) -> None:
    if not cls.exact:
        pytest.skip("says of itself that it is not exact")
    theta, h = torch.zeros(2, 5), stack([cls()] * 2, torch.float32)
    with only_safe_operations():
        cls().step(theta, cls().init(theta), h, Diagonal(torch.ones(2, 5)))


def test_each_has_an_oracle() -> None:
    without = registered(Optimizer).keys() - BOOK.keys() - WHOLE.keys() - ELSEWHERE.keys()
    assert not without, "add an independent computation of each to BOOK, WHOLE or ELSEWHERE, in this file"
    assert all((Path(__file__).parents[2] / path).exists() for path in ELSEWHERE.values())
