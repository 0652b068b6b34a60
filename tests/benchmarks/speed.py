"""Speed of the engine against bare torch loops, in one run, the sides in turn. By hand, on an idle machine:

    uv run python tests/benchmarks/speed.py

Every side runs at its best thread count. A bare loop is an ordinary module on tensors in memory, no DataLoader, no
evaluation, no records, with the faster of torch's fused and foreach optimizers. dlx does what ``dlx train`` does:
batches in the order of its streams, evaluation of train and valid after each epoch, a line of metrics.jsonl for it.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import dlx  # noqa: F401  sets MKL_CBWR, which must come before torch

import torch  # isort: skip
from torch import nn  # isort: skip

from dlx.commands.results import epoch_line
from dlx.core.definition import FirstOrder
from dlx.core.records import Cell, EpochDone
from dlx.core.registry import registered
from dlx.core.settings import Training
from dlx.core.types import Hyper, Spec
from dlx.datasets.digits import Digits
from dlx.engine.device import prepare_torch
from dlx.engine.feed import DeviceExamples
from dlx.engine.fit import chunk, fit
from dlx.engine.population import MemberFactory, Population, Recipe
from dlx.engine.program import Program
from dlx.losses.cross_entropy import CrossEntropy
from dlx.metrics.accuracy import Accuracy
from dlx.models.mlp import MLP
from dlx.optimizers.adam import Adam
from dlx.optimizers.momentum import Momentum
from dlx.schedules.constant import Constant
from dlx.tracking.ledger import Ledger

BATCH, CORES, ROUNDS = 64, len(os.sched_getaffinity(0)), 5
CPU = torch.device("cpu")
RULES = {"adam": Adam(), "momentum": Momentum()}
EXAMPLES = Digits().load()
DATA = DeviceExamples.load(EXAMPLES, CPU, torch.float32)


def bare_loop(hidden: int, rule: str, flavour: str, num_steps: int, threads: int = 1, regular: bool = False) -> float:
    """Time a bare torch loop, with batch norm and dropout if regular; microseconds a step."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers = [nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(0.5)] if regular else [nn.ReLU()]
    model = nn.Sequential(nn.Linear(64, hidden), *layers, nn.Linear(hidden, 10))
    build: dict[str, Callable[..., Any]] = {
        "adam": lambda p, **kw: torch.optim.Adam(p, lr=1e-3, **kw),
        "momentum": lambda p, **kw: torch.optim.SGD(p, lr=1e-2, momentum=0.9, **kw),
    }
    optimizer = build[rule](model.parameters(), **{flavour: True})
    inputs = torch.from_numpy(((EXAMPLES.inputs - 8) / 6)[:1088]).float()
    targets = torch.from_numpy(EXAMPLES.targets[:1088])
    loss = nn.CrossEntropyLoss()

    def run(steps: int) -> None:
        order, place = torch.randperm(1088), 0
        for _ in range(steps):
            if place + BATCH > 1088:
                order, place = torch.randperm(1088), 0
            chosen = order[place : place + BATCH]
            place += BATCH
            optimizer.zero_grad()
            loss(model(inputs[chosen]), targets[chosen]).backward()
            optimizer.step()

    run(50)
    start = time.perf_counter()
    run(num_steps)
    return (time.perf_counter() - start) / num_steps * 1e6


def make_populations(
    num_members: int, hidden: int, rule: str, epochs: int, chunks: int, regular: bool = False
) -> list[Population]:
    """Build populations of the digits MLP, with batch norm and dropout if regular."""
    training = Training(epochs=epochs, batch_size=BATCH, early_stopping=None)
    spec = Spec((64,), 10, torch.float32)
    model, metrics = MLP(hidden=(hidden,), batch_norm=regular, dropout=0.5 * regular), (Accuracy(),)
    recipe = Recipe(model, CrossEntropy(), None, RULES[rule], Constant(), metrics, training, spec)
    factory = MemberFactory(EXAMPLES)
    members = [factory.member(Cell(seed), recipe, Digits()) for seed in range(num_members)]
    return [Population.build(part, CPU) for part in chunk(members, chunks)]


def dlx_fit(
    num_members: int, hidden: int, rule: str, epochs: int, threads: int, chunks: int, regular: bool = False
) -> float:
    """Time a fit with records; microseconds a member-step."""
    prepare_torch(threads, tf32=False)
    populations = make_populations(num_members, hidden, rule, epochs, chunks, regular)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "metrics.jsonl")
        start = time.perf_counter()
        for record in fit(populations, DATA):
            if isinstance(record, EpochDone):
                ledger.append(epoch_line(record, time.perf_counter() - start))
        seconds = time.perf_counter() - start
        ledger.close()
    return seconds / (epochs * 17 * num_members) * 1e6


def _serve(connection: Any) -> None:
    """Run bare loops on request, in a process of one's own."""
    with contextlib.suppress(EOFError):  # the other end has closed: done
        while True:
            connection.send(bare_loop(*connection.recv()))


class Peers:
    """One process per core, started once, so that start-up is in no measurement."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(CORES)]
        self._connections = [mine for mine, _ in pairs]
        self._processes = [context.Process(target=_serve, args=(theirs,), daemon=True) for _, theirs in pairs]
        for process in self._processes:
            process.start()
        self.measure(32, "adam", "fused", 10)  # until all have imported torch

    def measure(self, hidden: int, rule: str, flavour: str, num_steps: int, regular: bool = False) -> float:
        """Time one bare loop per core at once; microseconds a member-step over all cores."""
        for connection in self._connections:
            connection.send((hidden, rule, flavour, num_steps, 1, regular))
        return statistics.mean(connection.recv() for connection in self._connections) / CORES


def alternate(sides: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure the sides in turn."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            times[name].append(side())
    return times


def compare(title: str, own: dict[str, Callable[[], float]], peer: dict[str, Callable[[], float]], bound: str) -> None:
    """Print the ratio of the best of each side's variants, by their medians, and its spread over rounds."""
    times = alternate({**own, **peer})
    median = {name: statistics.median(each) for name, each in times.items()}
    mine, other = min(own, key=median.__getitem__), min(peer, key=median.__getitem__)
    ratios = sorted(a / b for a, b in zip(times[mine], times[other], strict=True))
    print(f"\n{title}   ({bound})")
    for name in times:
        print(f"  {name:38} {median[name]:8.1f} us  ({min(times[name]):.1f} - {max(times[name]):.1f})")
    print(f"  dlx / peer {statistics.median(ratios):.2f} ({ratios[0]:.2f} - {ratios[-1]:.2f}),", end=" ")
    print(f"peer / dlx {1 / statistics.median(ratios):.2f}")


def lone() -> None:
    """M = 1, H = 128, Adam."""
    own = {f"dlx, {t} thread": lambda t=t: dlx_fit(1, 128, "adam", 60, t, 1) for t in (1, 2)}
    peer = {
        f"bare, {flavour}, {t} thread": lambda f=flavour, t=t: bare_loop(128, "adam", f, 1000, t)
        for flavour in ("fused", "foreach")
        for t in (1, 2)
    }
    compare("M = 1, H = 128, Adam: time per step, records included", own, peer, "at most 2, aim 1.5")


def population(peers: Peers, hidden: int, rule: str, bound: str, regular: bool = False) -> None:
    """M = 60 on all cores."""
    own = {
        f"dlx, {CORES} chunks of 1 thread": lambda: dlx_fit(60, hidden, rule, 30, 1, CORES, regular),
        f"dlx, 1 chunk of {CORES} threads": lambda: dlx_fit(60, hidden, rule, 30, CORES, 1, regular),
    }
    peer = {
        f"bare, {flavour}, {CORES} processes": lambda f=flavour: peers.measure(hidden, rule, f, 3000, regular)
        for flavour in ("fused", "foreach")
    }
    layers = ", batch norm and dropout" if regular else ""
    compare(f"M = 60, H = {hidden}{layers}, {rule}: time per member-step, {CORES} cores", own, peer, bound)


def populations() -> None:
    """M = 60, plain and with batch norm and dropout."""
    peers = Peers()
    for hidden, bound in ((32, "peer / dlx at least 5"), (128, "peer / dlx at least 2, aim 3")):
        for rule in RULES:
            population(peers, hidden, rule, bound)
        population(peers, hidden, "adam", "peer / dlx at least 3", regular=True)


def many() -> None:
    """Train 10,000 members of the digits MLP in chunks, in a process of their own, against 500: time and memory."""
    code = (
        "import resource, sys; sys.path.insert(0, {folder!r}); from speed import dlx_fit; "
        "print(dlx_fit({num}, 128, 'adam', 3, 1, {cores}), "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)"
    )
    print("\n10,000 members, H = 128, Adam (at most 4 GB, no slower per member)")
    for num in (500, 10_000):
        program = code.format(folder=str(Path(__file__).parent), num=num, cores=CORES)
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        microseconds, gigabytes = map(float, done.stdout.split())
        print(f"  {num:6} members: {microseconds:.0f} us a member-step, {gigabytes:.2f} GiB at most")


def breakdown(num_members: int, hidden: int) -> None:
    """Print where the time of a step goes, one chunk on one thread, and its floor."""
    prepare_torch(1, tf32=False)
    (population,) = make_populations(num_members, hidden, "adam", 1000, 1)
    program = Program(population, DATA)
    for _ in range(3):
        program.advance(1e9)
        program.finish_epoch()
    rows, objective = program._rows, program.objective

    def clock(action: Callable[[], Any], repeats: int) -> float:
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(repeats):
                action()
            best = min(best, (time.perf_counter() - start) / repeats)
        return best * 1e6 / num_members

    def epoch() -> None:
        program.advance(1e9)
        program.finish_epoch()

    n = max(3, 200 // num_members)
    with torch.no_grad():
        gradient = torch.randn_like(rows.theta) * 1e-3
        rule = population.recipe.optimizer
        parts = {
            "replay: value and gradient": clock(lambda: objective.value_and_gradient(rows.theta), 17 * n),
            "update": clock(lambda: rule.update(rows.theta, gradient.clone(), population.state, program._h), n),
            "order and gather, scale": clock(
                lambda: list(rows.feed.batches(torch.from_numpy(program._plan.draw(1)), program._weights, 0)), n
            )
            / 17,
            "evaluation": clock(
                lambda: [program._evaluator.scores(population.weights, part) for part in ("train", "valid")], n
            )
            / 17,
        }
    total = clock(epoch, n) / 17
    parts["records, decisions, loop (the rest)"] = total - sum(parts.values())
    print(f"\nM = {num_members}, H = {hidden}, Adam, one thread: {total:.1f} us a member-step")
    for name, microseconds in parts.items():
        print(f"  {name:38} {microseconds:8.1f} us  {microseconds / total:5.0%}")
    _floor(num_members, hidden, clock)


def _floor(num_members: int, hidden: int, clock: Callable[..., float]) -> None:
    """Print the floor: the matrix products alone, and the bytes that Adam must move at the speed of a copy."""
    x, w = torch.randn(num_members, BATCH, 64), torch.randn(num_members, hidden, 64)
    a, v = torch.randn(num_members, BATCH, hidden), torch.randn(num_members, 10, hidden)
    d = torch.randn(num_members, BATCH, 10)

    def products() -> None:
        torch.bmm(x, w.mT), torch.bmm(a, v.mT), torch.bmm(d, v), torch.bmm(d.mT, a), torch.bmm(a.mT, x)

    num_parameters = 64 * hidden + hidden + 10 * hidden + 10
    theta = torch.randn(num_members, num_parameters)
    copy = clock(theta.clone, 200) / 2  # read or write once
    print(f"  floor: matrix products {clock(products, 100):.1f} us, Adam's 7 passes over theta {7 * copy:.1f} us")


def rules(num_members: int = 60, num_parameters: int = 10_000) -> None:
    """Time the update of every rule against its memory traffic: theta, gradient and state, read and written once."""
    prepare_torch(1, tf32=False)
    theta = torch.randn(num_members, num_parameters)
    gradient = torch.randn_like(theta) * 1e-2
    print(f"\nupdates of theta [{num_members}, {num_parameters}], one thread, against their traffic (at most 2)")
    for name, cls in registered(FirstOrder).items():
        rule, spent = cls(), gradient.clone()
        state = rule.init(theta)
        values = {key: torch.full((num_members, 1), value) for key, value in rule.tunables().items()}
        h = Hyper(values, {key: 1 - value for key, value in values.items()})
        passes = 3 + 2 * sum(part.shape == theta.shape for part in state.values())
        own, copy = [], []
        for _ in range(60):
            spent.copy_(gradient)  # a rule may overwrite it; fresh, and as warm as after a backward pass
            start = time.perf_counter()
            rule.update(theta, spent, state, h)
            middle = time.perf_counter()
            theta.clone()  # one read, one write
            own.append(middle - start)
            copy.append((time.perf_counter() - middle) / 2)
        mine, floor = statistics.median(own), passes * statistics.median(copy)
        print(f"  {name:20} {mine * 1e6:7.0f} us, {passes} passes {floor * 1e6:6.0f} us: {mine / floor:.2f}")


def command_lines() -> None:
    """Time whole processes."""

    def cpu(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def wall(*words: str) -> float:
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        return time.perf_counter() - start

    dlx_command = str(Path(sys.executable).with_name("dlx"))
    print(f"\ndlx --help: {statistics.median(cpu(dlx_command, '--help') for _ in range(5)):.2f} s of CPU (at most 0.3)")
    config = str(Path(__file__).parents[2] / "configs" / "digits.yaml")
    imports = (sys.executable, "-c", "import torch, sklearn.datasets, matplotlib.pyplot")
    with tempfile.TemporaryDirectory() as folder:
        runs = [(wall(dlx_command, "train", config, "--runs-dir", folder), wall(*imports)) for _ in range(5)]
    ratio = statistics.median(a / b for a, b in runs)
    mine, other = (statistics.median(side) for side in zip(*runs, strict=True))
    print(f"dlx train configs/digits.yaml {mine:.2f} s, imports alone {other:.2f} s: {ratio:.2f} (at most 1.7)")


def main() -> None:
    """Measure everything."""
    print(json.dumps({"cores": CORES, "torch": torch.__version__, "numpy": np.__version__, "load": os.getloadavg()}))
    chosen = sys.argv[1:] or ["lone", "population", "many", "breakdown", "rules", "command"]
    if "lone" in chosen:
        lone()
    if "population" in chosen:
        populations()
    if "many" in chosen:
        many()
    if "breakdown" in chosen:
        for num_members, hidden in ((1, 128), (60, 32), (60, 128)):
            breakdown(num_members, hidden)
    if "rules" in chosen:
        rules()
    if "command" in chosen:
        command_lines()


if __name__ == "__main__":
    main()
