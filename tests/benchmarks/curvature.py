"""Work for the highest eigenvalue of a network's Hessian. By hand:

    uv run python tests/benchmarks/curvature.py

MLPs of about 100,000 parameters on digits, all training examples as one batch, float64, one thread: at their initial
weights, and trained. Until the residual bound of the highest eigenvalue is 1 % of it: products with the Hessian, and
the work in gradients, once as it is counted (a product is two gradients, the start one), once as it takes time on this
machine. The peer is ``scipy.sparse.linalg.eigsh`` (ARPACK) at the same tolerance, on the same products.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import dlx  # noqa: F401  sets MKL_CBWR, which must come before torch

import torch  # isort: skip
from scipy.sparse.linalg import LinearOperator, eigsh  # isort: skip

from dlx.commands.subject import load_subject
from dlx.commands.train import train
from dlx.core.records import Finished
from dlx.core.settings import Curvature
from dlx.curvature.lanczos import Krylov
from dlx.curvature.spectrum import GRADIENTS_PER_PRODUCT, start_vector
from dlx.engine.error_surface import ErrorSurface

CONFIG = """
name: digits
data: {name: digits}
model: {name: mlp, hidden: [280, 280]}
loss: cross_entropy
optimizer: {name: adam, lr: 1e-3}
training: {epochs: 10, batch_size: 64, early_stopping: null}
"""
ACTIVATIONS, SEEDS, ROUNDS = ("relu", "tanh"), (0, 1, 2), 5


def seconds(function: Callable[[], object]) -> float:
    """Give the median time of a call, after one that does not count for each recording."""
    function(), function()
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def measure(name: str, surface: ErrorSurface) -> None:
    """Print what it takes at one point."""
    theta, tolerance = surface.theta, Curvature().tolerance
    _, gradient = surface.gradient(theta)
    krylov = Krylov(lambda v: surface.hessian_times(theta, v[None])[0], start_vector(gradient, 0), 200)
    krylov.extend()
    while not krylov.ritz().is_found(-1, tolerance):
        krylov.extend()
    ritz = krylov.ritz()
    products = krylov.size
    vector = krylov.vector(-1)
    residual = float((surface.hessian_times(theta, vector[None])[0] - ritz.values[-1] * vector).norm())
    ratio = seconds(lambda: surface.hessian_times(theta, vector[None])) / seconds(lambda: surface.gradient(theta))
    count = 0

    def matvec(v: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return surface.hessian_times(theta, torch.from_numpy(v.reshape(1, -1)))[0].numpy()

    operator = LinearOperator((len(theta), len(theta)), matvec=matvec, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=len(theta))
    (peer,) = eigsh(operator, k=1, which="LA", tol=tolerance, return_eigenvectors=False, v0=start)
    print(
        f"{name:22}{len(theta):9,}{float(ritz.values[-1]):11.5f}{residual / float(ritz.values[-1]):9.2%}{products:10}"
        f"{GRADIENTS_PER_PRODUCT * products + 1:10}{ratio * products + 1:12.1f}{peer:11.5f}{count:9}"
    )


def main() -> None:
    """Measure every network at both points."""
    print(
        f"{'':22}{'P':>9}{'highest':>11}{'residual':>9}{'products':>10}{'gradients':>10}{'by time':>12}"
        f"{'scipy':>11}{'products':>9}"
    )
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "digits.yaml"
        config.write_text(CONFIG)
        for activation in ACTIVATIONS:
            for seed in SEEDS:
                overrides = [f"model.activation={activation}", f"seeds=[{seed}]", "device=cpu"]
                subject = load_subject(config, overrides)
                measure(f"{activation}, seed {seed}, initial", subject.surface(subject.train))
                *_, last = train(config, overrides, Path(folder) / "runs")
                assert isinstance(last, Finished)
                subject = load_subject(last.run_dir, [])
                measure(f"{activation}, seed {seed}, trained", subject.surface(subject.train))


if __name__ == "__main__":
    main()
