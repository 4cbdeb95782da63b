"""Whole public calls: what a user waits for, against peers and against another version of the code.

Each contender is a process of its own that makes its events once and then works when it is told to,
in turn with the others. So another checkout of steepest is a contender like any other:
``python -m benchmarks calls --against OTHER/src``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import steepest
from benchmarks.harness import PAUSE, Case, Options, Times, fastest, ratio

__all__ = ["HASWELL", "measure"]

HERE = str(Path(steepest.__file__).parents[1])
NEW, OLD = "steepest", "before"
HASWELL = "steepest, AVX2"
"""The same code compiled for a processor without AVX-512."""
LIMITED = {"JAX": {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}}
"""Peers that can be told to do without AVX-512, too."""
SETTINGS = {
    NEW: "this checkout, by its public calls",
    OLD: "another checkout, given by --against",
    HASWELL: "this checkout with Numba and OpenBLAS told that the processor is a Haswell",
    "JAX, AVX2": "JAX told the same",
    "OpenBLAS": "kernels by its own choice: its variables are taken out of the environment",
    "threads": "as many as the machine has cores, for all",
}


@dataclass(frozen=True)
class Comparison:
    """A piece of work of `benchmarks.worker`, its peers there, and what is asked of the ratios."""

    work: str
    title: str
    peers: tuple[str, ...]
    asked: float | None
    """How many times as fast as the fastest peer."""
    asked_before: float
    """How many times as fast as the other checkout."""
    scale: float = 1.0
    compiled: bool = True
    plain: bool = False
    """Whether steepest is installed without extras, as by the README's command."""


COMPARISONS = (
    Comparison(
        "gradient", "a batch gradient step, linear, 4,000,000 × 28, Regressor.fit",
        ("numpy row-major", "numpy feature-major"), 1 / 0.6, 1.0,
    ),
    Comparison(
        "single", "an epoch of single events, 2,000,000 × 28, Classifier.fit",
        ("SGDClassifier",), 5.0, 1.0,
    ),
    Comparison(
        "dense", "28→64→64→1, batch 256, Adam, 100,000 events × 5, Classifier.fit",
        ("JAX", "torch"), 1.8, 0.8,
    ),
    Comparison(
        "wide", "28→256→256→1, batch 256, Adam, Classifier.fit", ("JAX", "torch"), None, 0.8
    ),
    Comparison("train", "steepest train, the default, warm", (), None, 1.0, plain=True),
    Comparison(
        "train", "steepest train, the default, warm, with all extras installed", (), None, 1.0
    ),
    Comparison("help", "steepest --help", (), None, 1.0, compiled=False, plain=True),
    Comparison("optimum", "logistic optimum, 1,000,000 × 28, Classifier.fit",
               ("newton-cholesky",), None, 0.7),
    Comparison("landscape", "steepest landscape of the default run, 51 × 51 points", (), None, 0.7),
    Comparison("lecture", "the lecture's fit, 1,000,000 steps, Regressor.fit", (), None, 0.7),
)  # fmt: skip


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for each piece of work."""
    for comparison in COMPARISONS:
        if not options.only or comparison.work in options.only:
            yield _case(comparison, options)


def _case(comparison: Comparison, options: Options) -> Case:
    environments: dict[str, Mapping[str, str]] = {NEW: {"PYTHONPATH": HERE}}
    if comparison.compiled:
        environments[HASWELL] = {"PYTHONPATH": HERE} | haswell()
    if options.against:
        environments[OLD] = {"PYTHONPATH": str(options.against.resolve())}
    if comparison.plain:
        python = {"COMMAND_PYTHON": plain_python()}
        environments = {name: dict(given) | python for name, given in environments.items()}
    workers = {
        name: Worker(comparison.work, "steepest", environment, options.quick)
        for name, environment in environments.items()
    }
    workers |= {peer: Worker(comparison.work, peer, {}, options.quick) for peer in comparison.peers}
    alike = [peer for peer in comparison.peers if peer in LIMITED]
    for peer in alike:
        workers[f"{peer}, AVX2"] = Worker(comparison.work, peer, LIMITED[peer], options.quick)
    if comparison.work == "gradient":
        workers["one read of X"] = Worker("gradient", "read", {}, options.quick)
    seconds: Times = {name: [] for name in workers}
    try:
        for turn in range(options.rounds + 1):
            for name, worker in workers.items():
                time.sleep(PAUSE)
                spent = worker.work()
                if turn:
                    seconds[name].append(spent)
    finally:
        for worker in workers.values():
            worker.close()
    claims = []
    for name in (NEW, HASWELL):
        if name not in seconds:
            continue
        own = seconds[name]
        if comparison.peers:
            limited = [f"{peer}, AVX2" for peer in alike] if name == HASWELL else []
            others = [peer for peer in comparison.peers if not (limited and peer in alike)]
            best = fastest(seconds, [*limited, *others])
            claims.append(ratio(f"{name} against {best}", seconds[best], own, comparison.asked))
        if comparison.work == "gradient":
            read = seconds["one read of X"]
            claims.append(ratio(f"{name}: share of the rate of one read", read, own, 0.6))
        if OLD in seconds and name == NEW:
            claims.append(
                ratio(f"{name} against before", seconds[OLD], own, comparison.asked_before)
            )
    return Case("calls", comparison.title, seconds, claims, SETTINGS)


def plain_python() -> str:
    """Python of an environment with what steepest needs and no extra; it is made once."""
    root = Path(__file__).parents[1]
    folder = root / ".venv" / "plain"
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [folder / "bin" / "pip", "install", "--quiet", "-c", root / "constraints.txt"]
        subprocess.run([*install, "--editable", root], check=True)
    return str(folder / "bin" / "python")


def _of_a_user() -> dict[str, str]:
    """The environment, without what pins OpenBLAS to the kernels of another processor.

    Bytecode is kept, too, as it is where nothing else is said.
    """
    taken = ("OPENBLAS_", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if not key.startswith(taken)}


class Worker:
    """A process that does one piece of work each time that it is told to."""

    def __init__(self, work: str, who: str, environment: Mapping[str, str], quick: bool) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", work, who]
        self._process = subprocess.Popen(
            [*command, "--quick"] if quick else command,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=_of_a_user() | dict(environment), cwd=Path(__file__).parents[1],
        )  # fmt: skip
        self._answer()  # its events are made

    def work(self) -> float:
        """Return the seconds that the work took."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process: it ends by itself where nothing more is written to it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("worker: "):
                return line.removeprefix("worker: ").strip()
        raise SystemExit(f"{self._process.args} ended too soon")


def haswell() -> dict[str, str]:
    """The environment in which Numba compiles for a Haswell."""
    import llvmlite.binding as llvm

    beyond = ("avx512", "avx10", "amx", "gfni", "vaes", "vpclmul")
    features = ",".join(
        f"{'+' if on and not name.startswith(beyond) else '-'}{name}"
        for name, on in sorted(llvm.get_host_cpu_features().items())
    )
    folder = str(Path.home() / ".cache" / "steepest-bench-haswell")
    return {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": folder,
        "OPENBLAS_CORETYPE": "Haswell",
    }
