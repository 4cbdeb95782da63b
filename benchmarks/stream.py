"""Logistic regression on files larger than the memory that it is given, against decoding alone."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import Case, Claim, Options, ratio

__all__ = ["measure"]

EVENTS, FEATURES, TIMES_LARGER = 4_000_000, 28, 4
PEAK = 700e6
RECIPE = """
[events]
path = "{path}"
label = "y"
memory = "{memory} B"
[model]
hidden = []
[descent]
learning_rate = 0.05
schedule = "constant"
batch_size = 1024
epochs = 1
[evaluate]
baseline = false
"""
DECODE = {
    "parquet": "import polars as pl, sys\n"
    "for i in range(0, {events}, 262144):\n"
    "    pl.scan_parquet(sys.argv[1]).slice(i, 262144).collect()",
    "root": "import uproot, sys\n"
    "for batch in uproot.iterate(sys.argv[1] + ':events', library='np', step_size=262144): pass",
}
TRAIN = """
import json, resource, sys, time
from pathlib import Path
import steepest
from steepest import recipe
from steepest.events import load_sample
from steepest.events import MemoryBudget
given = recipe.Recipe.from_toml(Path(sys.argv[1]))
began = time.perf_counter()
load_sample(given.events, budget=MemoryBudget(int(sys.argv[3]), Path(sys.argv[2]).parent))
read = time.perf_counter() - began
run = steepest.train(given, sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"read": read, "all": time.perf_counter() - began - read, "peak": peak}))
"""


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for each format."""
    events = EVENTS // 20 if options.quick else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("parquet", "root"):
            path = Path(folder) / f"events.{kind}"
            _write(path, events, kind)
            yield _case(path, events, kind, min(options.rounds, 3))


def _write(path: Path, events: int, kind: str) -> None:
    random = np.random.default_rng(0)
    truth = random.standard_normal(FEATURES)
    names = [f"x{i}" for i in range(FEATURES)]
    schema = pa.schema([(n, pa.float32()) for n in names] + [("y", pa.int8())])

    def blocks() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, events, 100_000):
            X = random.standard_normal((min(100_000, events - start), FEATURES))
            y = (X @ truth / 3 + random.logistic(size=len(X)) > 0).astype(np.int8)
            yield {n: X[:, i].astype(np.float32) for i, n in enumerate(names)} | {"y": y}

    if kind == "parquet":
        with pq.ParquetWriter(path, schema) as writer:
            for block in blocks():
                writer.write_table(pa.table(block, schema=schema))
        return
    import uproot

    with uproot.recreate(path) as file:
        tree = None
        for block in blocks():
            if tree is None:
                tree = file.mktree("events", block)
            else:
                tree.extend(block)


def _case(path: Path, events: int, kind: str, rounds: int) -> Case:
    memory = events * FEATURES * 8 // TIMES_LARGER
    recipe = path.with_suffix(".toml")
    place = f"{path}:events" if kind == "root" else str(path)
    recipe.write_text(RECIPE.format(path=place, memory=memory), encoding="utf-8")
    decode = DECODE[kind].format(events=events)
    seconds: dict[str, list[float]] = {
        "decoding alone": [],
        "reading": [],
        "the whole training": [],
    }
    peaks = []
    for turn in range(rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", decode, str(path)], check=True)
        seconds["decoding alone"].append(time.perf_counter() - began)
        out = path.parent / f"run-{kind}-{turn}"
        command = [sys.executable, "-c", TRAIN, str(recipe), str(out), str(memory)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        told = json.loads(done.stdout.splitlines()[-1])
        seconds["reading"].append(told["read"])
        seconds["the whole training"].append(told["all"])
        peaks.append(told["peak"])
    shares = [PEAK / peak for peak in peaks]
    peer = "Polars" if kind == "parquet" else "uproot"
    return Case(
        bench="stream",
        work=f"{kind}, {events:,} × {FEATURES}, {TIMES_LARGER} times the memory given",
        seconds=seconds,
        claims=[
            Claim("peak memory, of 700 MB", sorted(shares)[len(shares) // 2], min(shares),
                  max(shares), 1.0),
            ratio(f"reading, share of the rate of {peer}", seconds["decoding alone"],
                  seconds["reading"], 0.8),
        ],
        numbers={"peak, MB": [peak / 1e6 for peak in peaks], "memory given, MB": memory / 1e6},
    )  # fmt: skip
