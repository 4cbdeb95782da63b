"""How long until something happens: help, import, the first training with no kernel compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import steepest
from benchmarks.harness import Case, Claim, Options, in_turn

__all__ = ["measure"]

COMMAND = [sys.executable, "-c", "from steepest.cli import main; main()"]


def measure(options: Options) -> Iterator[Case]:
    """Yield one case for the start of the command, and one for the first training."""
    contenders = {
        "python -c pass": lambda: _run([sys.executable, "-c", "pass"]),
        "import numpy": lambda: _run([sys.executable, "-c", "import numpy"]),
        "import steepest": lambda: _run([sys.executable, "-c", "import numpy, steepest"]),
        "steepest --help": lambda: _run([*COMMAND, "--help"]),
    }
    seconds, _ = in_turn(contenders, options.rounds)
    beyond = sorted(
        s - n for s, n in zip(seconds["import steepest"], seconds["import numpy"], strict=True)
    )
    middle = beyond[len(beyond) // 2]
    helps = sorted(seconds["steepest --help"])
    yield Case(
        bench="start",
        work="start of the command and of the package",
        seconds=seconds,
        claims=[
            _below("steepest --help, of 0.3 s", helps, 0.3),
            Claim(
                "import steepest beyond NumPy, of 0.15 s", *_shares([middle, *beyond], 0.15), 1.0
            ),
        ],
    )
    yield _first_training(options)


def _below(what: str, ordered: list[float], limit: float) -> Claim:
    return Claim(what, *_shares([ordered[len(ordered) // 2], *ordered], limit), 1.0)


def _shares(times: list[float], limit: float) -> tuple[float, float, float]:
    """How often the first fits into the limit, with the least and most of all."""
    least = max(1e-6, min(times))
    return limit / max(times[0], 1e-6), limit / max(*times, 1e-06), limit / least


def _first_training(options: Options) -> Case:
    seconds: dict[str, list[float]] = {"cold cache": [], "warm cache": []}
    for _ in range(min(options.rounds, 3)):
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / "steepest"
            shutil.copytree(
                Path(steepest.__file__).parent,
                package,
                ignore=shutil.ignore_patterns("*.nbi", "*.nbc"),
            )
            paths = {"PYTHONPATH": folder, "NUMBA_CACHE_DIR": str(Path(folder) / "kernels")}
            for name in seconds:
                out = str(Path(folder) / name.replace(" ", "-"))
                began = time.perf_counter()
                _run([*COMMAND, "train", "--out", out], paths)
                seconds[name].append(time.perf_counter() - began)
    cold = sorted(seconds["cold cache"])
    return Case(
        bench="start",
        work="steepest train on the embedded jets, the whole command",
        seconds=seconds,
        claims=[_below("first training on a cold kernel cache, of 15 s", cold, 15.0)],
    )


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, env=os.environ | (environment or {}))
