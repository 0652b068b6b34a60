"""The only host loop: a generator of records. A command is ``for record in fit(...)``: log, checkpoint, draw.

A step is: gather a batch for every row, evaluate objective and gradient of all rows at once, let the rule update theta
in place. Inside a step nothing raises and nothing goes to the host. Rows do not mix, so a member that stopped or
diverged runs on as a ghost, its weights saved, until the next compaction. After an epoch the losses of its steps and
the scores of all rows cross to the host in one piece, where it is decided who is best, who stops and who diverged.

Several populations (chunks of one that is large) advance in threads, one per core, and meet after every slice of time,
so that between two records all of them stand still and can be saved. ``fit`` keeps them in the same epoch, which is
what a learning curve wants; ``fit_each`` trains each to its end and then takes the next, so that no more of them are in
memory than there are cores, which is what a search wants.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple

import torch

from dlx.core.records import EpochDone, MemberEpoch, Progress, Record
from dlx.engine.device import num_workers, release_memory
from dlx.engine.feed import DeviceExamples
from dlx.engine.population import Member, Population
from dlx.engine.program import Program

CHUNK_BYTES = (1 << 18, 1 << 22)
"""Bytes of theta in a chunk: under the first a second core costs more than it gains, over the second caches spill."""


def chunk(members: Sequence[Member], workers: int) -> list[list[Member]]:
    """Cut members into chunks that train side by side; which ones does not change what any member computes.

    Args:
        members: Of one structure, in the order of their records.
        workers: Chunks that can advance at once.

    Returns:
        Chunks of nearly equal size, each of two members at least unless there is only one.
    """
    recipe = members[0].recipe
    num_bytes = recipe.layout().num_parameters * recipe.spec.dtype.itemsize * len(members)
    smallest, largest = CHUNK_BYTES
    count = max(min(workers, num_bytes // smallest), -(-num_bytes // largest))
    count = max(1, min(count, len(members) // 2))
    bounds = [len(members) * number // count for number in range(count + 1)]
    return [list(members[start:end]) for start, end in itertools.pairwise(bounds)]


def populations_of(members: Sequence[Member], device: torch.device) -> Iterator[Population]:
    """Stack members, one population after the other: by structure, in chunks that fit the cache.

    Args:
        members: Of any structure.
        device: Where they train, as many chunks at once as ``prepare_torch`` leaves cores for.
    """
    by_structure: dict[Any, list[Member]] = defaultdict(list)
    for member in members:
        by_structure[member.structure].append(member)
    for alike in by_structure.values():
        for part in chunk(alike, num_workers(device, torch.get_num_threads())):
            yield Population.build(part, device)


def fit(populations: Sequence[Population], data: DeviceExamples, pause: float = 0.2) -> Iterator[Record]:
    """Train populations from where they stand to the end.

    Args:
        populations: Their recipes share the number of epochs. They are changed in place; between two records they stand
            still at the end of a step, and a fit that is given them again goes on from there to the same bits.
        data: The examples, on the populations' device.
        pause: Seconds between records at most, as far as single steps allow; 0 gives a record after every step.

    Yields:
        ``Progress`` within an epoch, ``EpochDone`` after it.
    """
    programs = [Program(population, data) for population in populations]
    threads = torch.get_num_threads()
    workers = min(len(programs), num_workers(data.inputs.device, threads))
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        run, advance = map if workers == 1 else pool.map, methodcaller("advance", pause)
        finish = _finish_and_release if len(programs) > workers else Program.finish_epoch
        while programs := [program for program in programs if not program.population.is_finished]:
            epoch, waiting = programs[0].population.epoch + 1, programs
            # As many as there are workers go through their epoch, then the next: few are in the cache and in mid-epoch.
            while waiting := list(_not_done(run(advance, waiting[:workers]), waiting)):
                step = sum(len(program.population.losses) for program in programs) // len(programs)
                yield Progress(epoch, step, programs[0].num_steps)
            members = [record for records in run(finish, programs) for record in records]
            yield EpochDone(epoch, tuple(members))


def _finish_and_release(program: Program) -> list[MemberEpoch]:
    """Finish an epoch, and give back memory: into the pieces that one chunk leaves the next may not fit."""
    members = program.finish_epoch()
    release_memory()
    return members


def _not_done(are_done: Iterable[bool], programs: Sequence[Program]) -> Iterator[Program]:
    """Give the programs that are not done: of the first it is known, the others have not begun."""
    answers = list(are_done)  # all of them, so that all have come to a stop
    yield from (program for program, is_done in zip(programs, answers, strict=False) if not is_done)
    yield from programs[len(answers) :]


class Slice(NamedTuple):
    """What a slice of time of ``fit_each`` came to.

    Attributes:
        epochs: The epochs that were done, those of each population in order.
        finished: Populations that came to their end.
        conclusions: What was concluded from each of them.
        running: Populations that go on.
    """

    epochs: list[EpochDone]
    finished: list[Population]
    conclusions: list[Any]
    running: list[Population]


def fit_each(
    populations: Iterable[Population],
    data: DeviceExamples,
    until: int | None = None,
    conclude: Callable[[Population], Any] = lambda _: None,
    pause: float = 0.5,
) -> Iterator[Slice]:
    """Train each population to its end, as many at once as there are cores.

    Only what decides is measured on the way: the validation loss, where there is a validation part.

    Args:
        populations: Taken one by one as cores become free. They are changed in place; between two slices they stand
            still at the end of a step, and a fit that is given them again goes on from there to the same bits.
        data: The examples, on the populations' device.
        until: The epoch after which each of them rests; None is its last.
        conclude: Called with each population at its end, in a thread of its own while others train.
        pause: Seconds of a slice, as far as single steps allow; 0 gives one after every step.

    Yields:
        What each slice came to.
    """
    threads, waiting = torch.get_num_threads(), _Waiting(populations, data)
    workers, running = num_workers(data.inputs.device, threads), list[Program]()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        while True:
            deadline = time.monotonic() + pause
            advance = partial(_advance, deadline=deadline, until=until, conclude=conclude)
            futures = {pool.submit(advance, partial(_itself, program)) for program in running}
            found, running = Slice([], [], [], []), []
            while True:
                # However short a slice, every core has a population before it ends.
                has_time = time.monotonic() < deadline or not found.finished
                if has_time and not waiting.is_empty and len(futures) + len(running) < workers:
                    futures.add(pool.submit(advance, waiting.take))
                    continue
                if not futures:
                    break
                done, futures = wait(futures, return_when=FIRST_COMPLETED)
                for program, epochs, conclusion in (future.result() for future in done):
                    found.epochs.extend(epochs)
                    if program is None:
                        continue
                    if _rests(program.population, until):
                        found.finished.append(program.population)
                        found.conclusions.append(conclusion)
                    else:
                        running.append(program)
            found.running.extend(program.population for program in running)
            if not (found.finished or found.running):
                return
            yield found


class _Waiting:
    """Populations that wait for a core: each is built and compiled by the thread that trains it, while others train.

    Args:
        populations: Taken one by one.
        data: The examples.

    Attributes:
        is_empty: Whether all of them are taken.
    """

    def __init__(self, populations: Iterable[Population], data: DeviceExamples) -> None:
        self._populations, self._data, self._lock = iter(populations), data, threading.Lock()
        self.is_empty = False

    def take(self) -> Program | None:
        """Give the next one, None if there is none left."""
        with self._lock:
            population = next(self._populations, None)
            self.is_empty = population is None
        return None if population is None else Program(population, self._data, is_watched=False)


def _itself(program: Program) -> Program:
    return program


def _advance(
    take: Callable[[], Program | None], deadline: float, until: int | None, conclude: Callable[[Population], Any]
) -> tuple[Program | None, list[EpochDone], Any]:
    """Train a population until the deadline, for at least one step, or to its end; give its epochs and conclusion."""
    program, epochs = take(), list[EpochDone]()
    if program is None:
        return None, epochs, None
    population = program.population
    while not _rests(population, until):
        if program.advance(deadline - time.monotonic()):
            epochs.append(EpochDone(population.epoch + 1, tuple(program.finish_epoch())))
        if time.monotonic() >= deadline:
            break
    return program, epochs, conclude(population) if _rests(population, until) else None


def _rests(population: Population, until: int | None) -> bool:
    return population.is_finished or (until is not None and population.epoch >= until)
