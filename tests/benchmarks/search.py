"""Speed of ``dlx cv`` against its peers, in one run, the sides in turn. By hand, on an idle machine:

    uv run --with skorch python tests/benchmarks/search.py [training commands scaling]

The work is the same on every side: digits, 12 settings of the learning rate on the same 5 stratified folds, inputs
standardised on the training part of each, MLP 64-H-10 with ReLU, 20 epochs, batches of 64, momentum 0.9, accuracy on
the held-out fold; all cores. ``training`` measures a search's training and evaluation in processes that have imported
everything and are warm, ``commands`` whole commands, imports included, and ``scaling`` ten times the trials.

    scikit-learn   GridSearchCV(MLPClassifier, n_jobs=cores)
    skorch         GridSearchCV(NeuralNetClassifier, n_jobs=cores), if it is installed
    bare loop      Optuna's ask and tell on the grid, a bare torch loop for every fold of a trial, one process per core
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import dlx  # noqa: F401  sets MKL_CBWR, which must come before torch

import torch  # isort: skip
from torch import nn  # isort: skip

CORES, ROUNDS = len(os.sched_getaffinity(0)), 5
EPOCHS, BATCH, FOLDS = 20, 64, 5
RATES = [float(f"{rate:.3g}") for rate in np.geomspace(1e-3, 1e-1, 12)]
CONFIG = """
name: digits
data: {{name: digits, split: {{valid: 0}}}}
model: {{name: mlp, hidden: [{hidden}]}}
loss: cross_entropy
optimizer: {{name: momentum, lr: 0.01, momentum: 0.9}}
training: {{epochs: {epochs}, batch_size: {batch}, early_stopping: null}}
cv: {{folds: {folds}}}
search: {{space: {{optimizer.lr: {rates}}}}}
"""
SKLEARN = f"""
import warnings
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
warnings.simplefilter("ignore")
def search(hidden, rates, refit=False):
    x, y = load_digits(return_X_y=True)
    net = MLPClassifier((hidden,), solver="sgd", momentum=0.9, nesterovs_momentum=False, alpha=0, batch_size={BATCH},
                        max_iter={EPOCHS}, tol=0, n_iter_no_change={EPOCHS}, random_state=0)
    folds = StratifiedKFold({FOLDS}, shuffle=True, random_state=0)
    grid = GridSearchCV(make_pipeline(StandardScaler(), net), {{"mlpclassifier__learning_rate_init": rates}}, cv=folds,
                        n_jobs={CORES}, refit=refit)
    return grid.fit(x, y)
"""
SKORCH = (
    SKLEARN.split("def search", maxsplit=1)[0]
    + f"""
import torch
from skorch import NeuralNetClassifier
torch.set_num_threads(1)
def search(hidden, rates):
    x, y = load_digits(return_X_y=True)
    module = torch.nn.Sequential(torch.nn.Linear(64, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))
    net = NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss, optimizer__momentum=0.9, train_split=None,
                              max_epochs={EPOCHS}, batch_size={BATCH}, iterator_train__shuffle=True, verbose=0)
    folds = StratifiedKFold({FOLDS}, shuffle=True, random_state=0)
    grid = GridSearchCV(make_pipeline(StandardScaler(), net), {{"neuralnetclassifier__lr": rates}}, cv=folds,
                        n_jobs={CORES}, refit=False)
    return grid.fit(x.astype("float32"), y)
"""
)


def write_config(folder: Path, hidden: int, rates: list[float] = RATES) -> Path:
    """Write the config of a search."""
    path = folder / f"digits-{hidden}-{len(rates)}.yaml"
    path.write_text(CONFIG.format(hidden=hidden, epochs=EPOCHS, batch=BATCH, folds=FOLDS, rates=rates))
    return path


def dlx_search(config: Path) -> float:
    """Time what ``dlx cv`` does between loading its data and judging: training and evaluation of all cells."""
    from dlx.commands.cv import load_search
    from dlx.search.cross_validation import Standing
    from dlx.search.journal import Journal
    from dlx.search.study import Study

    setup, _ = load_search(config, [])
    with tempfile.TemporaryDirectory() as folder, Journal.open(Path(folder)) as journal:
        study = Study(setup, journal, lambda wanted, member: Standing())
        start = time.perf_counter()
        for _ in study.run():
            pass
        seconds = time.perf_counter() - start
    assert ((study.best and study.best.mean) or 0) > 0.95, "the search learned nothing"
    return seconds


def scripted_search(script: str, hidden: int, rates: list[float]) -> float:
    """Time a peer's search in this process; its workers are warm after the first."""
    names: dict[str, Any] = {}
    exec(script, names)  # noqa: S102  the same text that is run as a whole command
    start = time.perf_counter()
    found = names["search"](hidden, rates)
    seconds = time.perf_counter() - start
    assert found.best_score_ > 0.95, "the search learned nothing"
    return seconds


def bare_trial(hidden: int, rate: float, folds: list[tuple[Any, ...]]) -> float:
    """Train and score one setting on every fold by a bare torch loop."""
    torch.set_num_threads(1)
    scores = []
    for x, y, held_x, held_y in folds:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, foreach=False, fused=True)
        loss = nn.CrossEntropyLoss()
        for _ in range(EPOCHS):
            order = torch.randperm(len(x))
            for start in range(0, len(x), BATCH):
                chosen = order[start : start + BATCH]
                optimizer.zero_grad()
                loss(model(x[chosen]), y[chosen]).backward()
                optimizer.step()
        with torch.no_grad():
            scores.append(float((model(held_x).argmax(1) == held_y).double().mean()))
    return statistics.mean(scores)


def fold_tensors() -> list[tuple[Any, ...]]:
    """Give scaled tensors of every fold."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    inputs, targets = load_digits(return_X_y=True)
    found = []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(inputs, targets):
        scale = StandardScaler().fit(inputs[train])
        x, held = (torch.from_numpy(scale.transform(inputs[part])).float() for part in (train, test))
        y, held_y = (torch.from_numpy(targets[part]) for part in (train, test))
        found.append((x, y, held, held_y))
    return found


class BareLoops:
    """Optuna's grid over a pool of processes, started once."""

    def __init__(self) -> None:
        self._pool = multiprocessing.get_context("spawn").Pool(CORES)
        self._folds = fold_tensors()

    def search(self, hidden: int) -> float:
        """Time a search."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        start = time.perf_counter()
        study = optuna.create_study(direction="maximize")
        for rate in RATES:
            study.enqueue_trial({"lr": rate})
        trials = [study.ask() for _ in RATES]
        rates = [trial.suggest_float("lr", min(RATES), max(RATES)) for trial in trials]
        scores = self._pool.starmap(bare_trial, [(hidden, rate, self._folds) for rate in rates], chunksize=1)
        for trial, score in zip(trials, scores, strict=True):
            study.tell(trial, score)
        seconds = time.perf_counter() - start
        assert study.best_value > 0.95, "the search learned nothing"
        return seconds


def alternate(sides: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """Measure the sides in turn, after one round that does not count; give medians of seconds."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            seconds = side()
            times[name] += [seconds] if number else []
    return {name: statistics.median(values) for name, values in times.items()}


def product_rate(hidden: int) -> float:
    """Measure this machine's rate on the products of one step of 30 members, all cores at once; operations a second."""
    from concurrent.futures import ThreadPoolExecutor

    torch.set_num_threads(1)
    x, w = torch.randn(30, BATCH, 64), torch.randn(30, 64, hidden)

    def run(_: int) -> None:
        for _ in range(300):
            torch.bmm(x, w)

    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(run, range(CORES)))
        start = time.perf_counter()
        list(pool.map(run, range(CORES)))
        return CORES * 300 * 2 * 30 * BATCH * 64 * hidden / (time.perf_counter() - start)


def training(folder: Path) -> None:
    """Compare training and evaluation of the search, start-up excluded."""
    loops = BareLoops()
    for hidden, bound in ((32, 8), (128, 4)):
        sides: dict[str, Callable[[], float]] = {
            "dlx": partial(dlx_search, write_config(folder, hidden)),
            "scikit-learn": partial(scripted_search, SKLEARN, hidden, RATES),
            "bare loops": partial(loops.search, hidden),
        }
        if importlib.util.find_spec("skorch"):
            sides["skorch"] = partial(scripted_search, SKORCH, hidden, RATES)
        seconds = alternate(sides)
        own = seconds.pop("dlx")
        steps = len(RATES) * FOLDS * EPOCHS * 23
        operations = steps * 6 * BATCH * (64 * hidden + hidden * 10)
        limit = operations / product_rate(hidden)
        print(f"64-{hidden}-10: dlx {own:.2f} s, {own / steps * 1e6:.1f} us a member-step; "
              f"its matrix products alone at this machine's rate {limit:.2f} s ({own / limit:.1f} x)")  # fmt: skip
        for name, theirs in seconds.items():
            wanted = f" (bound {bound})" if name == "scikit-learn" else ""
            print(f"    {name} {theirs:.2f} s: {theirs / own:.1f} x{wanted}")


def whole(words: list[str]) -> float:
    """Time a whole command."""
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - start


def commands(folder: Path) -> None:
    """Compare whole commands: start, imports, search, refit of the best; dlx also judges, draws and reports."""
    script = folder / "peer.py"
    script.write_text(SKLEARN + f"\nprint(search(32, {RATES}, refit=True).best_params_)\n")
    dlx_command = [str(Path(sys.executable).with_name("dlx")), "cv", str(write_config(folder, 32)), "--runs-dir"]
    seconds = alternate(
        {
            "dlx": partial(whole, [*dlx_command, str(folder)]),
            "scikit-learn": partial(whole, [sys.executable, str(script)]),
        }
    )
    print(f"whole commands, 64-32-10: dlx {seconds['dlx']:.2f} s, scikit-learn {seconds['scikit-learn']:.2f} s: "
          f"{seconds['scikit-learn'] / seconds['dlx']:.1f} x")  # fmt: skip


def scaling(folder: Path) -> None:
    """Ten times the trials: time and memory."""
    many = [float(f"{rate:.6g}") for rate in np.geomspace(1e-3, 1e-1, 120)]
    seconds = alternate(
        {
            "12": partial(dlx_search, write_config(folder, 32)),
            "120": partial(dlx_search, write_config(folder, 32, many)),
        },
        rounds=3,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"64-32-10: 12 trials {seconds['12']:.2f} s, 120 trials {seconds['120']:.2f} s: "
          f"{seconds['120'] / seconds['12']:.1f} x (bound 10), {peak:.2f} GiB at most (bound 2 GB)")  # fmt: skip


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["training", "commands", "scaling"]
    with tempfile.TemporaryDirectory() as name:
        for part in chosen:
            {"training": training, "commands": commands, "scaling": scaling}[part](Path(name))
