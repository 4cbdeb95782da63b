"""Blocks of jets: the unit of work, made in this process or by worker processes.

Block b of a seed always has the same jets, so the file does not depend on the number of workers.
Pythia's seed and the random numbers of the detector depend only on (seed, block, process) and are
reset for every block. A file consists of blocks 0, 1, 2, … in order, so a shorter file is the
beginning of a longer one. Blocks are small because an interrupted run keeps complete blocks only.

A `Maker` makes the blocks of a `Plan` in any order, and `blocks` yields them in order. Workers are
started with "spawn" and ignore interrupts. The parent process handles the interrupt and sets an
event; every worker then stops after its current batch of events.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from steepest.simulate.columns import arrow, label, tabulate
from steepest.simulate.detector import Detector, reconstruct
from steepest.simulate.generator import Events, settings_of
from steepest.simulate.generator import Generator as Pythia
from steepest.simulate.jets import ETA_MAX, PT_WINDOW, in_window, leading_jets, matched
from steepest.simulate.processes import DEFAULT_PROCESSES, PROCESSES, RADIUS
from steepest.simulate.veto import EARLY_SCALE

ROWS_PER_SEED = 10**9
"""The event number is ``seed * ROWS_PER_SEED + row``."""

MAX_SEED = 9_000_000_000
"""Largest seed whose event numbers fit into an int64."""

# events of a batch; one selected jet needs two to three events
_MOST_EVENTS, _LEAST_EVENTS, _EVENTS_PER_JET = 64, 4, 2
_PYTHIA_SEEDS = 900_000_000  # Pythia accepts seeds from 1 to this number
_STREAM_DETECTOR, _STREAM_ORDER, _STREAM_PYTHIA = 0, 1, 2
_PROGRESS_EVERY = 0.2  # seconds between progress updates
_QUEUED = 2  # blocks queued for each worker


@dataclass(frozen=True, slots=True)
class Plan:
    """All options that the rows of a file depend on."""

    jets: int  # number of rows
    seed: int = 0  # from 0 to `MAX_SEED`
    detector: Detector | None = field(default_factory=Detector)
    leading: int | None = None  # most constituents in the lists; None for all
    bits: int | None = None  # of mantissa, of the constituents' float columns; None for all
    processes: tuple[str, ...] = DEFAULT_PROCESSES  # made in equal numbers
    jets_per_block: int = 50  # of each process, in a full block

    @property
    def block_jets(self) -> int:
        """Number of jets in a full block, over all processes."""
        return self.jets_per_block * len(self.processes)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.jets // self.block_jets)

    def rows_of(self, block: int) -> int:
        """Return the number of rows of this block; only the last may be smaller."""
        return min(self.block_jets, self.jets - block * self.block_jets)

    def describe(self) -> dict[str, Any]:
        """Return all options that the rows depend on, in a form that JSON can hold."""
        return {
            "jets": self.jets,
            "seed": self.seed,
            "leading": self.leading,
            "bits": self.bits,
            "detector": asdict(self.detector) if self.detector else None,
            "selection": {
                "algorithm": "anti-kT",
                "radius": RADIUS,
                "pt": list(PT_WINDOW),
                "abs_eta_max": ETA_MAX,
            },
            "early_scale": EARLY_SCALE,
            "processes": {
                name: {
                    "is_top": process.is_top,
                    "pythia": list(settings_of(process)),
                    "hard_pt": list(process.hard_pt),
                    "parton_pt": list(process.parton_pt),
                    "early_pt": list(process.early_pt) if process.early_pt else None,
                    "decay": asdict(process.decay) if process.decay else None,
                }
                for name, process in ((n, PROCESSES[n]) for n in self.processes)
            },
            "block_jets": self.block_jets,
        }


def pythia_seed(seed: int, process: int, block: int) -> int:
    """Return Pythia's seed for a block.

    Seeds of successive blocks are consecutive numbers; the first depends on `seed` and `process`,
    which is `Process.number`. No two blocks of a file share a seed. Two files share one with a
    probability of the order of their number of blocks divided by 9e8.

    Examples
    --------
    >>> pythia_seed(1, 0, 7) - pythia_seed(1, 0, 0)
    7
    """
    start = np.random.SeedSequence([seed, process, _STREAM_PYTHIA]).generate_state(1, np.uint64)[0]
    return 1 + (int(start) + block) % _PYTHIA_SEEDS


class Maker:
    """Make the blocks of a plan, and start Pythia once for each process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._generators: dict[str, Pythia] = {}

    def block(self, block: int, on_jets: Callable[[int], bool]) -> pa.Table | None:
        """Make one block, or return None if `on_jets` returned False.

        `on_jets` is called before Pythia starts and after every batch of events, with the number of
        jets that were just found; it returns whether to continue.
        """
        plan = self.plan
        labels = _labels(plan, block)
        made: list[pa.Table] = []
        for process, name in enumerate(plan.processes):
            pieces = self._jets_of(name, block, int(np.sum(labels == process)), on_jets)
            if pieces is None:
                return None
            made += pieces
        order = np.argsort(np.argsort(labels, kind="stable"), kind="stable")
        jets = pa.concat_tables(made).combine_chunks().take(arrow(order))
        first = plan.seed * ROWS_PER_SEED + block * plan.block_jets
        known = [(name, PROCESSES[name].is_top) for name in plan.processes]
        return label(jets, labels, known, np.arange(first, first + len(labels), dtype=np.int64))

    def _jets_of(
        self, name: str, block: int, wanted: int, on_jets: Callable[[int], bool]
    ) -> list[pa.Table] | None:
        """Make the first `wanted` jets of a process in its full block."""
        pieces: list[pa.Table] = []
        if wanted == 0:
            return pieces
        if not on_jets(0):  # starting Pythia takes a while
            return None
        plan, number = self.plan, PROCESSES[name].number
        rng = np.random.default_rng([plan.seed, block, _STREAM_DETECTOR, number])
        seed = pythia_seed(plan.seed, number, block)
        if name in self._generators:
            self._generators[name].reseed(seed)
        else:
            self._generators[name] = Pythia(PROCESSES[name], seed)
        found = 0
        while found < wanted:
            events = self._generators[name].batch(events_for(plan.jets_per_block - found))
            pieces.append(_select(events, plan, rng, wanted - found))
            found += len(pieces[-1])
            if not on_jets(len(pieces[-1])):
                return None
        return pieces


def events_for(missing: int) -> int:
    """Return the size of the next batch: small if few jets are missing from the full block.

    The random numbers of the detector depend on this size, so it must not depend on the number of
    jets in the file.
    """
    return min(max(_EVENTS_PER_JET * missing, _LEAST_EVENTS), _MOST_EVENTS)


def _labels(plan: Plan, block: int) -> NDArray[np.int8]:
    """Return the process of each row: every group of rows has each process once, in random order.

    The parity of the event number is therefore independent of the process.
    """
    rng = np.random.default_rng([plan.seed, block, _STREAM_ORDER])
    groups = np.tile(np.arange(len(plan.processes), dtype=np.int8), (plan.jets_per_block, 1))
    return rng.permuted(groups, axis=1).ravel()[: plan.rows_of(block)]


def _select(events: Events, plan: Plan, rng: np.random.Generator, most: int) -> pa.Table:
    if plan.detector is None:
        constituents = events.particles.as_constituents()
    else:
        constituents = reconstruct(events.particles, plan.detector, rng)
    jets = leading_jets(constituents, events.count)
    selected = in_window(jets)
    if events.decays is not None:
        selected &= matched(jets, events.decays)
    selected[np.flatnonzero(selected)[most:]] = False
    return tabulate(jets, selected, constituents, plan.leading, plan.bits)


class Stop:
    """In this context the first Ctrl-C or SIGTERM sets `requested`; a second one raises.

    Outside the main thread, where Python delivers no interrupts, it has no effect.
    """

    def __init__(self) -> None:
        self.requested = False
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """In this context a second interrupt does not raise either, to protect the cleanup."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _ask(self, number: int, frame: Any) -> None:
        if self.requested and not self._held:
            raise KeyboardInterrupt
        self.requested = True


def blocks(
    plan: Plan, workers: int, stop: Stop, on_progress: Callable[[int], None]
) -> Generator[pa.Table]:
    """Yield the blocks of `plan` in order until all are made or `stop.requested` is set.

    One worker is this process. `stop` is checked after each batch of events, and `on_progress` is
    called with the number of jets made so far. Raises `BrokenProcessPool` if a worker dies.
    """
    return (_made_here if workers == 1 else _made_by_workers)(plan, workers, stop, on_progress)


def _made_here(
    plan: Plan, _: int, stop: Stop, on_progress: Callable[[int], None]
) -> Generator[pa.Table]:
    done = 0

    def on_jets(count: int) -> bool:
        nonlocal done
        done += count
        on_progress(done)
        return not stop.requested

    maker = Maker(plan)
    for index in range(plan.blocks):
        block = None if stop.requested else maker.block(index, on_jets)
        if block is None:
            return
        yield block


def _made_by_workers(
    plan: Plan, workers: int, stop: Stop, on_progress: Callable[[int], None]
) -> Generator[pa.Table]:
    context = multiprocessing.get_context("spawn")
    done, leave = context.Value("q", 0), context.Event()
    executor = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(plan, done, leave)
    )
    waiting: deque[Future[pa.Table | None]] = deque()
    indices = iter(range(plan.blocks))
    try:
        while True:
            for index in islice(indices, _QUEUED * workers - len(waiting)):
                with _interrupts_held():
                    waiting.append(executor.submit(_work, index))
            while waiting and not (stop.requested or waiting[0].done()):
                wait([waiting[0]], timeout=_PROGRESS_EVERY)
                on_progress(done.value)
            if stop.requested or not waiting:
                break
            block = waiting.popleft().result()
            if block is not None:
                yield block
        while waiting and waiting[0].done():  # complete blocks up to the first incomplete one
            block = waiting.popleft().result()
            if block is None:
                return
            yield block
    finally:
        with stop.held():  # an interrupted join would make Python treat the thread as finished
            leave.set()
            executor.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Block Ctrl-C for a moment; a worker that is started meanwhile inherits the blocked signal."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_maker: Any = None  # these three belong to a worker process
_done: Any = None
_leave: Any = None


def _start_worker(plan: Plan, done: Any, leave: Any) -> None:
    global _maker, _done, _leave
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    _maker, _done, _leave = Maker(plan), done, leave


def _work(index: int) -> pa.Table | None:
    return _maker.block(index, _on_jets)


def _on_jets(count: int) -> bool:
    with _done.get_lock():
        _done.value += count
    return not _leave.is_set()
