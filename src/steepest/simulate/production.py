"""Simulation of a file of jets: workers, progress, Ctrl-C.

``steepest simulate`` calls `simulate_jets`. `produce` takes a `Plan` instead, which has every
parameter of the detector.

Worker processes make the blocks, which are written in order. After Ctrl-C, a full disk or the death
of a worker, the blocks up to the first missing one become a valid file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

from steepest._version import __version__
from steepest.errors import InputError, Interrupted, SteepestError
from steepest.simulate import extra
from steepest.simulate.blocks import MAX_SEED, ROWS_PER_SEED, Plan, Stop, blocks
from steepest.simulate.columns import MANTISSA_BITS
from steepest.simulate.detector import Detector
from steepest.simulate.output import Output, bytes_expected, check_target
from steepest.simulate.processes import DEFAULT_PROCESSES, known_processes

METADATA_KEY = "steepest"
"""Key of the settings in the metadata of the schema; the value is JSON."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a simulation."""

    path: Path
    jets: int  # number of rows
    size: int  # in bytes
    seconds: float  # wall time
    workers: int  # processes that made the jets

    @property
    def rate(self) -> float:
        """Jets per second and worker."""
        return self.jets / (self.seconds * self.workers)


def simulate_jets(
    path: str | os.PathLike[str],
    jets: int,
    *,
    seed: int = 0,
    processes: Sequence[str] = DEFAULT_PROCESSES,
    workers: int | None = None,
    detector: bool = True,
    leading: int | None = None,
    bits: int | None = None,
    progress: bool = False,
    overwrite: bool = False,
) -> Summary:
    """Simulate jets, by default of hadronic top quarks and QCD, and write a Parquet file.

    The recipe is that of the top-tagging reference set (Butter et al., SciPost Phys. 7 (2019) 014,
    arXiv:1902.09914): 14 TeV, anti-kT R = 0.8, the leading jet, 550 < pT < 650 GeV, |η| < 2, the
    top and its three quarks within ΔR < 0.8 of the axis, no multi-parton interactions. The other
    processes are those of JetClass (arXiv:2202.03772), selected in the same way. The columns
    are listed in `steepest.simulate.columns.COLUMNS`; units are GeV, rad and mm.

    The rows depend on all options but `workers`. The jets of a process do not depend on the other
    processes. With several workers, call this function under ``if __name__ == "__main__":``,
    because each worker imports the calling script.

    Parameters
    ----------
    path
        The file to write.
    jets
        Number of jets, at least 1.
    seed
        From 0 to 9,000,000,000; the event numbers are ``seed * 10**9 + row``.
    processes
        Names of `steepest.simulate.processes.PROCESSES`, made in equal numbers.
    workers
        Number of processes; None for one on each usable core.
    detector
        Whether to apply the parametrised detector to the generated particles.
    leading
        Number of constituents in the list columns, hardest first; None for all. The columns of the
        jet are always computed from all constituents.
    bits
        Bits of mantissa that the constituents' float32 columns keep, 1 to 23; None for all.
    progress
        Whether to show a progress bar on stderr.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    Summary
        Path, size and timing of the file.

    Raises
    ------
    InputError
        If a number is out of range, a process unknown, or the file cannot be written.
    MissingExtraError
        If Pythia or FastJet is not installed.
    Interrupted
        After Ctrl-C, when the jets so far have been written.

    Examples
    --------
    >>> from steepest.simulate import simulate_jets
    >>> summary = simulate_jets("jets.parquet", jets=1000, seed=1)  # doctest: +SKIP
    """
    plan = Plan(
        jets=_whole("jets", jets, 1, ROWS_PER_SEED),
        seed=_whole("seed", seed, 0, MAX_SEED),
        detector=Detector() if detector else None,
        leading=None if leading is None else _whole("leading", leading, 1, None),
        bits=None if bits is None else _whole("bits", bits, 1, MANTISSA_BITS),
        processes=known_processes(processes),
    )
    if workers is None:
        affinity = hasattr(os, "sched_getaffinity")
        workers = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    workers = _whole("workers", workers, 1, None)
    return produce(plan, Path(path), workers=workers, progress=progress, overwrite=overwrite)


def produce(
    plan: Plan, path: Path, *, workers: int = 1, progress: bool = False, overwrite: bool = False
) -> Summary:
    """Make the file of a plan; parameters and errors are those of `simulate_jets`."""
    check_target(path, overwrite=overwrite, expected=bytes_expected(plan.jets, plan.leading))
    workers = min(workers, plan.blocks)
    start = time.perf_counter()
    with Stop() as stop, threadpool_limits(1):
        output = Output(path, {METADATA_KEY: json.dumps(describe(plan), indent=1)})
        with _progress(plan.jets, shown=progress) as advance:
            _write(output, plan, blocks(plan, workers, stop, advance))
    if output.rows < plan.jets:
        raise _disk_full(output, plan) if output.full else _interrupted(output, plan)
    seconds = time.perf_counter() - start
    return Summary(path, output.rows, path.stat().st_size, seconds, workers)


def describe(plan: Plan) -> dict[str, object]:
    """Return the metadata of the file: versions and all options."""
    extra.pythia()
    extra.fastjet()
    versions = {"pythia": version("pythia8mc"), "fastjet": version("fastjet")}
    return {"format": 1, "steepest": __version__, **versions, **plan.describe()}


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; the function sets the number of jets made so far."""
    bar = Progress(
        TextColumn("simulate"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} jets/s"),
        TimeRemainingColumn(elapsed_when_finished=True, compact=True),
        console=Console(stderr=True),
        disable=not shown,
    )
    task, start = bar.add_task("simulate", total=total, rate=0.0), time.perf_counter()

    def advance(done: int) -> None:
        rate = done / max(time.perf_counter() - start, 1e-9)
        bar.update(task, completed=done, rate=rate)

    with bar:
        yield advance


def _write(output: Output, plan: Plan, made: Generator[pa.Table]) -> None:
    """Write the blocks in order; on any error, keep what is written."""
    try:
        with closing(made):
            for block in made:
                output.add(block)
                if output.full:
                    break
    except BrokenProcessPool as error:
        output.finish()
        raise _worker_died(output, plan) from error
    except BaseException:
        try:
            output.finish()
        except SteepestError:
            output.discard()
        raise
    output.finish()


def _kept(output: Output, plan: Plan) -> str:
    """Describe the content of the file: complete blocks, so all processes in equal numbers."""
    each = output.rows // len(plan.processes)
    shares = f" ({each:,} of each process)" if len(plan.processes) > 1 else ""
    return f"the first {output.rows:,} of {plan.jets:,} jets{shares} are in {str(output.path)!r}"


def _interrupted(output: Output, plan: Plan) -> Interrupted:
    if output.rows == 0:
        return Interrupted(
            f"Interrupted: not even the first {plan.block_jets:,} jets were complete yet, nothing "
            "was written.",
            do="let it run a little longer",
        )
    return Interrupted(
        f"Interrupted: {_kept(output, plan)}.",
        do="the same command with --overwrite makes all of them",
    )


def _disk_full(output: Output, plan: Plan) -> InputError:
    return InputError(
        f"The disk is full: {_kept(output, plan)}.",
        expected="room for all the jets",
        found="no space left on the disk",
        cause="other files, or many jets with all their constituents",
        do="free some space, or store less with --leading and --bits; then --overwrite",
    )


def _worker_died(output: Output, plan: Plan) -> SteepestError:
    return SteepestError(
        "A worker process ended before its jets were done.",
        expected="workers that run to their end",
        found=_kept(output, plan)
        if output.rows
        else f"not even the first {plan.block_jets:,} jets, nothing was written",
        cause='too little memory, or a script without `if __name__ == "__main__":`',
        do="fewer --workers; in a script put the call under that line",
    )


def _whole(name: str, value: int, low: int, high: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        found = f"{value!r}, a {type(value).__name__}"
    elif value < low or (high is not None and value > high):
        found = f"{value:,}"
    else:
        return value
    expected = f"a whole number from {low:,}" + (f" to {high:,}" if high is not None else " on")
    raise InputError(f"The option {name!r} is out of its range.", expected=expected, found=found)
