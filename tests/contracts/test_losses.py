"""What every registered loss promises: the negative log-likelihood of its distribution, example by example."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor
from torch.func import vmap

from dlx.core.definition import Loss
from dlx.core.registry import registered
from dlx.core.types import Examples, Hyper
from dlx.engine.replay import Replay
from dlx.losses.binary_cross_entropy import BinaryCrossEntropy
from dlx.losses.cross_entropy import CrossEntropy
from dlx.losses.gaussian_nll import GaussianNLL
from dlx.losses.laplace_nll import LaplaceNLL

SMOOTH, WEIGHTS = 0.1, (0.5, 2.0, 1.25)
SETTINGS = [
    BinaryCrossEntropy(label_smoothing=SMOOTH),
    CrossEntropy(label_smoothing=SMOOTH),
    CrossEntropy(class_weights=WEIGHTS),
    CrossEntropy(label_smoothing=SMOOTH, class_weights=WEIGHTS),
    GaussianNLL(sigma=0.3),
    LaplaceNLL(scale=0.3),
]
"""What else than its defaults a loss is tested with."""


def huber_log_density(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of delta 1; its constant by numerical integration."""
    total, _ = integrate.quad(lambda e: np.exp(-special.huber(1.0, e)), -np.inf, np.inf, epsabs=1e-13, epsrel=1e-13)
    return (-special.huber(1.0, y - z) - np.log(total)).sum(-1)


def learned(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take outputs apart: locations, and logs of variances or scales."""
    return z[:, : z.shape[1] // 2], z[:, z.shape[1] // 2 :]


def gaussian_log_density(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    mean, log_variance = learned(z)
    return stats.norm.logpdf(y, mean, np.exp(log_variance / 2)).sum(-1)


def laplace_log_density(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By the generalised normal distribution of power 1: stats.laplace takes the log of a density that underflows."""
    median, log_scale = learned(z)
    return stats.gennorm.logpdf(y, 1, median, np.exp(log_scale)).sum(-1)


LOG_LIKELIHOOD: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "binary_cross_entropy": lambda z, y: stats.bernoulli.logpmf(y, special.expit(z[:, 0])),
    "cross_entropy": lambda z, y: stats.multinomial.logpmf(np.eye(z.shape[1])[y], 1, special.softmax(z, -1)),
    "gaussian_nll": gaussian_log_density,
    "gaussian_nll sigma=0.3": lambda z, y: stats.norm.logpdf(y, z, 0.3).sum(-1),
    "huber": huber_log_density,
    "laplace_nll": laplace_log_density,
    "laplace_nll scale=0.3": lambda z, y: stats.laplace.logpdf(y, z, 0.3).sum(-1),
    "mae": lambda z, y: stats.laplace.logpdf(y, z).sum(-1),
    "mse": lambda z, y: stats.norm.logpdf(y, z, np.sqrt(0.5)).sum(-1),
    "poisson_nll": lambda z, y: stats.poisson.logpmf(y, np.exp(z)).sum(-1),
}
PREDICTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "binary_cross_entropy": lambda z: special.expit(np.hstack([-z, z])),
    "cross_entropy": lambda z: special.softmax(z, -1),
    "gaussian_nll": lambda z: learned(z)[0],
    "gaussian_nll sigma=0.3": lambda z: z,
    "huber": lambda z: z,
    "laplace_nll": lambda z: learned(z)[0],
    "laplace_nll scale=0.3": lambda z: z,
    "mae": lambda z: z,
    "mse": lambda z: z,
    "poisson_nll": np.exp,
}
EXTREMES = (-1000.0, -40.0, 0.0, 40.0, 1000.0)


def torchs_cross_entropy(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Of one logit z for two classes: with the logits 0 and z."""
    is_binary = loss.name == "binary_cross_entropy"
    logits = torch.cat([torch.zeros_like(outputs), outputs], -1) if is_binary else outputs
    weights = getattr(loss, "class_weights", None)
    return torch.nn.CrossEntropyLoss(
        None if weights is None else torch.tensor(weights, dtype=outputs.dtype),
        reduction="none",
        label_smoothing=getattr(loss, "label_smoothing", None) or 0.0,
    )(logits, targets)


def fits(loss: Loss, num_targets: int) -> bool:
    is_classification = loss.task == "classification"
    targets = np.arange(6) % num_targets if is_classification else np.zeros((6, num_targets))
    names = tuple(f"t{number}" for number in range(num_targets))
    return loss.mismatch(Examples(np.zeros((6, 1)), targets, loss.task, ("x",), names)) is None


def spell(loss: Loss) -> str:
    """Name a loss with those settings that are not its defaults."""
    settings = loss.model_dump(exclude_defaults=True)
    return " ".join([loss.name, *(f"{key}={value}" for key, value in settings.items())])


def oracle_of(table: dict[str, Callable], loss: Loss) -> Callable:
    """Find what belongs to a loss; what smoothing and weights leave as it is, under its bare name."""
    return table[spell(loss)] if spell(loss) in table else table[loss.name]


LOSSES = [*(cls() for cls in registered(Loss).values()), *SETTINGS]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=spell)
every_case = pytest.mark.parametrize(
    ("loss", "num_targets", "batch"),
    [
        pytest.param(loss, num_targets, batch, id=f"{spell(loss)}-{num_targets}-{batch}")
        for loss in LOSSES
        for num_targets in (1, 2, 3, 7)
        if fits(loss, num_targets)
        for batch in (1, 5, 33)
    ],
)


def settings_of(loss: Loss, dtype: torch.dtype = torch.float64) -> Hyper:
    return Hyper({name: torch.tensor(value, dtype=dtype) for name, value in loss.tunables().items()})


def draw(loss: Loss, num_targets: int, *shape: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_targets)
    outputs = 3 * torch.randn(*shape, loss.num_outputs(num_targets), generator=generator, dtype=dtype)
    if loss.task == "classification":
        return outputs, torch.randint(num_targets, shape, generator=generator)
    if loss.raw_targets:
        return outputs, torch.poisson(torch.full((*shape, num_targets), 3.0, dtype=dtype), generator=generator)
    return outputs, 3 * torch.randn(*shape, num_targets, generator=generator, dtype=dtype)


def gradient_of(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    outputs = outputs.detach().requires_grad_()
    value = loss.value(outputs, targets, settings_of(loss, outputs.dtype))
    return torch.autograd.grad(value.sum(), outputs)[0]


def extremes(loss: Loss, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    num_targets = next(number for number in (3, 2, 1) if fits(loss, number))
    num_outputs = loss.num_outputs(num_targets)
    rows = torch.cartesian_prod(*[torch.tensor(EXTREMES, dtype=dtype)] * num_outputs).reshape(-1, num_outputs)
    if loss.task == "classification":
        targets = torch.arange(num_targets).repeat(len(rows))
        return rows.repeat_interleave(num_targets, 0), targets
    targets = rows.flip(0)[:, :num_targets]
    return rows, targets.abs() if loss.raw_targets else targets


@every_case
def test_each_example_stands_alone(loss: Loss, num_targets: int, batch: int) -> None:
    outputs, targets = draw(loss, num_targets, batch)
    h = settings_of(loss)
    for function in (loss.value, loss.nll):
        whole = function(outputs, targets, h)
        singles = [function(outputs[i : i + 1], targets[i : i + 1], h) for i in range(batch)]
        assert whole.shape == (batch,)
        torch.testing.assert_close(whole, torch.cat(singles), rtol=1e-14, atol=0)


@every_case
def test_derivative_is_autograds(loss: Loss, num_targets: int, batch: int) -> None:
    outputs, targets = draw(loss, num_targets, batch)
    derivative = loss.derivative(outputs, targets, settings_of(loss))
    torch.testing.assert_close(derivative, gradient_of(loss, outputs, targets), rtol=1e-12, atol=1e-14)
    h = settings_of(loss)
    assert torch.autograd.gradcheck(lambda z: loss.value(z, targets, h), outputs.requires_grad_())


@every_case
def test_nll_is_scipys(loss: Loss, num_targets: int, batch: int) -> None:
    outputs, targets = draw(loss, num_targets, batch)
    expected = -oracle_of(LOG_LIKELIHOOD, loss)(outputs.numpy(), targets.numpy())
    np.testing.assert_allclose(loss.nll(outputs, targets, settings_of(loss)), expected, rtol=1e-10, atol=1e-13)


@every_case
def test_value_is_torchs_or_nll_up_to_scale_and_constant(loss: Loss, num_targets: int, batch: int) -> None:
    """What smoothing and weights make of a loss is no likelihood of the targets; torch says what it is."""
    outputs, targets = draw(loss, num_targets, batch)
    h = settings_of(loss)
    if loss.task == "classification":
        expected = torchs_cross_entropy(loss, outputs, targets)
        torch.testing.assert_close(loss.value(outputs, targets, h), expected, rtol=1e-12, atol=1e-14)
    if spell(loss) != loss.name and loss.task == "classification":
        return
    other = outputs.flip(0) + 0.5
    change = loss.value(other, targets, h) - loss.value(outputs, targets, h)
    nll_change = loss.nll(other, targets, h) - loss.nll(outputs, targets, h)
    scale = (nll_change @ change) / (change @ change).clamp(min=1e-300)
    assert scale == pytest.approx(num_targets if loss.name in ("gaussian_nll", "laplace_nll", "poisson_nll") else scale)
    assert scale > 0 or not change.any()
    torch.testing.assert_close(nll_change, scale * change, rtol=1e-9, atol=1e-12)


@every_case
def test_predictions_are_scipys(loss: Loss, num_targets: int, batch: int) -> None:
    outputs, _ = draw(loss, num_targets, batch)
    predictions = loss.predict(outputs)
    assert predictions.shape == (batch, num_targets)
    np.testing.assert_allclose(predictions, oracle_of(PREDICTIONS, loss)(outputs.numpy()), rtol=1e-12)
    if loss.task == "classification":
        torch.testing.assert_close(predictions.sum(-1), torch.ones(batch, dtype=torch.float64), rtol=1e-14, atol=0)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_outputs(loss: Loss, dtype: torch.dtype) -> None:
    outputs, targets = extremes(loss, dtype)
    h = settings_of(loss, dtype)
    value, derivative = loss.value(outputs, targets, h), loss.derivative(outputs, targets, h)
    for result in (value, derivative, loss.nll(outputs, targets, h), loss.predict(outputs)):
        assert result.isfinite().all()
        assert result.dtype == dtype
    assert (value >= 0).all() or not loss.is_nonnegative
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(derivative, gradient_of(loss, outputs, targets), rtol=10 * eps, atol=eps)


@every_loss
def test_inputs_are_left_alone(loss: Loss) -> None:
    outputs, targets = extremes(loss, torch.float64)
    before = outputs.clone(), targets.clone()
    for function in (loss.value, loss.derivative, loss.nll):
        function(outputs, targets, settings_of(loss))
    loss.predict(outputs)
    assert all(torch.equal(now, then) for now, then in zip((outputs, targets), before, strict=True))


@every_case
def test_vmap_over_members(loss: Loss, num_targets: int, batch: int, same_bits: Callable) -> None:
    outputs, targets = draw(loss, num_targets, 3, batch, dtype=torch.float32)
    h = settings_of(loss, torch.float32)
    for function in (loss.value, loss.nll, loss.derivative):
        together = vmap(lambda z, y, f=function: f(z, y, h))(outputs, targets)
        twins = vmap(lambda z, y, f=function: f(z, y, h))(outputs[[1, 1]], targets[[1, 1]])
        assert same_bits(together[1], twins[0])
        torch.testing.assert_close(together[1], function(outputs[1], targets[1], h))


@every_loss
def test_it_is_replayed(loss: Loss) -> None:
    """With a setting of its own for each of two members; what cannot be recorded costs twice the time."""
    count: list[int] = []
    outputs, targets = draw(loss, 3 if fits(loss, 3) else 2, 2, 5, dtype=torch.float32)
    h = {name: torch.tensor([value, value / 2]) for name, value in loss.tunables().items()}

    @torch.enable_grad()
    def evaluate(z: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        count.append(1)
        z = z.detach().requires_grad_()
        value = vmap(lambda z, y, h: loss.value(z, y, Hyper(h)))(z, y, h)
        nll = vmap(lambda z, y, h: loss.nll(z, y, Hyper(h)))(z, y, h)
        return value.detach(), nll.detach(), vmap(loss.predict)(z).detach(), *torch.autograd.grad(value.sum(), z)

    replay = Replay(evaluate)
    for _ in range(3):
        replay(outputs, targets)
    assert len(count) == 2, "eager once, recorded once, then replayed"


@every_loss
def test_operations_are_safe(loss: Loss, only_safe_operations: Callable) -> None:
    if not loss.exact:
        pytest.skip("says of itself that it is not exact")
    outputs, targets = extremes(loss, torch.float32)
    with only_safe_operations():
        gradient_of(loss, outputs, targets)
        loss.derivative(outputs, targets, settings_of(loss, torch.float32))
        loss.nll(outputs, targets, settings_of(loss, torch.float32))
        loss.predict(outputs)
