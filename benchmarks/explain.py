"""Faults put into training runs, and healthy runs: what `steepest explain` names, and others.

``make bench-explain``, or ``python -m benchmarks.explain --set held-out --seeds 2 --minutes 30``.
Each run is a whole `steepest.train` (without its figures) and `explain_run` with trials. Rows go to
a JSON-lines file, so that a benchmark that was interrupted goes on; runs are taken in a random
order, so that a part of them stands for all. Causes that are equivalent are listed with each fault
(`explain_faults`), before it is run; thresholds were chosen on `explain_tuned` alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import explain_held_out, explain_tuned
from benchmarks.explain_events import Events, Maker, written
from benchmarks.explain_faults import APART, EDGE, FAULTS, HEALTHY, KINDS, Fault, recipe_of
from benchmarks.harness import Case, Options

__all__ = ["main", "measure"]

COUNT = 3_000
FIRST_SEED = {"tuned": 100, "held-out": 900}
OF_HEALTHY = 1.5
"""Seeds of healthy runs for each of the faults."""
OF_EDGE = 1.5
"""Seeds of runs that may be at the edge of stability for each of other healthy ones."""
OF_PARTICLES = 0.5
"""Seeds of Deep Sets for each of other models: they take ten times as long."""
SETS = {"tuned": explain_tuned, "held-out": explain_held_out}


@dataclass(frozen=True)
class Run:
    """One run to explain."""

    where: str
    sample: str
    family: str
    fault: Fault
    seed: int

    @property
    def key(self) -> str:
        """Its name in the file of rows."""
        return f"{self.where}/{self.sample}/{self.family}/{self.fault.name}/{self.seed}"

    @property
    def make(self) -> Maker:
        """Makes its sample."""
        module = SETS[self.where]
        return (module.PARTICLES if self.family == "S" else module.MATRICES)[self.sample]


def healthy_of(run: Run) -> tuple[float, int]:
    """η and epochs of its kind of recipe, or of the base; of a fault, what it does not set."""
    known = SETS[run.where].HEALTHY
    return (
        known.get((run.sample, run.family, run.fault.name)) or known[run.sample, run.family, "base"]
    )


def _known(healthy: Mapping[Any, Any], sample: str, family: str, fault: Fault) -> bool:
    """Whether the recipe has an η, or takes that of the base."""
    alone = {one.name for one in KINDS}
    name = fault.name if fault.name in alone else "base"
    return healthy.get((sample, family, name)) is not None


def all_runs(where: str, seeds: int, only: str = "", healthy: bool = False) -> list[Run]:
    """Every fault and healthy run, on every sample and model it is for, in a random order."""
    module, found = SETS[where], []
    for fault in HEALTHY if healthy else (*FAULTS, *HEALTHY):
        for family in fault.families:
            samples = {"S": module.PARTICLES, "L": module.LINEAR, "D": module.MATRICES}[family]
            some = seeds if fault.causes else math.ceil(OF_HEALTHY * seeds)
            if family == "S":
                some = math.ceil(OF_PARTICLES * some)
            if fault.name.startswith(EDGE):
                some = math.ceil(OF_EDGE * some)
            found += [
                Run(where, sample, family, fault, FIRST_SEED[where] + seed)
                for sample in samples
                if _known(module.HEALTHY, sample, family, fault)
                for seed in range(some)
            ]
    random.Random(0).shuffle(found)
    return [run for run in found if re.search(only, run.key)]


def explained(run: Run, folder: Path) -> dict[str, Any]:
    """Train with the fault, explain, and say which cause came first."""
    import steepest
    from steepest.errors import DivergenceError
    from steepest.explain import explain_run

    events = run.make(COUNT, run.seed)
    if run.fault.events is not None:
        events = run.fault.events(events, run.seed)
    root = run.sample in getattr(SETS[run.where], "ROOT", ())
    rate, epochs = healthy_of(run)
    table = written(events, folder, root)
    recipe = recipe_of(run.fault.settings, run.family, table, run.seed, rate, epochs)
    if run.fault.name == APART:
        recipe["events"] |= written(_scaled_apart(events, recipe), folder, root)
    began = time.time()
    with suppress(DivergenceError):
        steepest.train(recipe, folder / "run", progress=False)
    trained = time.time()
    found = explain_run(folder / "run")
    causes = [one.cause for one in found.findings]
    place = next((i for i, cause in enumerate(causes) if cause in run.fault.causes), None)
    trial = found.findings[place].trial if place is not None else None
    return {
        "key": run.key,
        "fault": run.fault.name,
        "healthy": not run.fault.causes,
        "family": run.family,
        "sample": run.sample,
        "place": place,
        "found": causes,
        "wrong": [one.cause for one in found.findings if one.severity == "wrong"],
        "trial": None if trial is None else [trial.before, trial.after, trial.severity],
        "of_bound": max((one.of_bound for one in found.measured.sharpness), default=None),
        "layers": found.measured.layers.to_json() if found.measured.layers else None,
        "inputs": [_largest_input(events, recipe), recipe["descent"]["learning_rate"]],
        "history": _exported(folder / "run"),
        "seconds": [trained - began, time.time() - trained],
        "verdict": found.verdict,
    }


def _scaled_apart(events: Events, recipe: dict[str, Any]) -> Events:
    """The features scaled to [0, 1], by extremes of the validation part where they are of it."""
    from steepest.recipe import Recipe
    from steepest.training import TrainingCallback
    from steepest.training.inputs import read

    sample = read(Recipe.from_dict(recipe), TrainingCallback(), Path())
    rows = np.asarray(sample.part) == 1
    x = events.x.copy()
    for part in (rows, ~rows):
        low, high = np.quantile(x[part], [0.02, 0.98], axis=0)
        if part is rows:  # the habit: its own scaler, of a few events whose tails differ
            low, high = x[part].min(axis=0), x[part].max(axis=0)
        x[part] = (x[part] - low) / (high - low)
    return replace(events, x=x)


def _largest_input(events: Events, recipe: dict[str, Any]) -> float:
    """The largest input as it enters the network, roughly: of scaled features a few widths."""
    if recipe["descent"]["scaling"] == "none":
        return float(np.abs(events.x).max()) if events.x.size else 1.0
    return 1.0 if recipe["descent"]["scaling"] == "min-max" else 4.0


def _exported(folder: Path) -> dict[str, list[float]]:
    """The history as others read it: at most 200 rounds, and at most 200 steps between."""
    from steepest import Run as SteepestRun

    history = SteepestRun(folder).history
    names = ("step", "loss", "training_loss", "validation_loss", "validation_auc",
             "learning_rate", "gradient_norm", "update_ratio")  # fmt: skip
    rows = np.unique(np.linspace(0, len(history) - 1, 200).astype(int)) if len(history) else []
    if "validation_loss" in history.columns:
        marked = history["validation_loss"].is_not_null().arg_true().to_numpy()
        rows = np.unique(np.r_[rows, marked[:: -(-len(marked) // 200) or 1]]).astype(int)
    table = history[rows] if len(history) else history
    return {name: table[name].to_list() for name in names if name in table.columns}


def without_figures() -> None:
    """Let runs draw nothing, nor measure what is only drawn: the benchmark is of what is said."""
    from steepest.explain import explanation, measured, sharpness
    from steepest.training import train
    from steepest.training.background import Drawing

    def nothing(*_: Any, **options: Any) -> None:
        return None

    Drawing.add = nothing  # type: ignore[method-assign]
    train._drawing = lambda _: nullcontext()  # type: ignore[assignment]

    def at_the_end(record: Any, **options: Any) -> tuple[Any, ...]:
        return tuple(filter(None, [sharpness.measure_noise(record)]))

    explanation._draw = nothing  # type: ignore[assignment]
    measured.measure_spectrum = nothing  # type: ignore[assignment]
    measured.measure_path = nothing  # type: ignore[assignment]
    measured.measure_noises = at_the_end  # type: ignore[assignment]


def rows_of(file: Path, runs: list[Run], minutes: float) -> Iterator[dict[str, Any]]:
    """Run what is not in the file yet, until the time is up."""
    done = set()
    if file.exists():
        done = {json.loads(line)["key"] for line in file.read_text("utf-8").splitlines()}
    without_figures()
    end = time.time() + 60 * minutes
    for run in runs:
        if run.key in done or time.time() > end:
            continue
        with tempfile.TemporaryDirectory() as folder:
            row = explained(run, Path(folder))
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        yield row


def measure(options: Options) -> Iterator[Case]:
    """Yield the cost of --explain, the rates of the held-out set, and what is predicted."""
    from benchmarks import explain_loops, explain_predictions
    from benchmarks.explain_cost import measure_cost
    from benchmarks.explain_table import cases, write_between, write_page

    yield from measure_cost(options)
    file = Path("bench-results") / ("explain-quick.jsonl" if options.quick else "explain.jsonl")
    file.parent.mkdir(exist_ok=True)
    runs = all_runs("held-out", 1 if options.quick else 4)
    for _ in rows_of(file, runs[:12] if options.quick else runs, 1e9):
        pass
    yield from cases(file)
    most = 12 if options.quick else None
    predicted = list(itertools.islice(explain_predictions.predictions(), most))
    yield explain_predictions.case(predicted)
    loops = list(itertools.islice(explain_loops.rows_of("held-out", 3), most))
    if not options.quick:
        page = Path("docs/explain.md")
        write_page(file, page)
        for part, found in ((explain_predictions, predicted), (explain_loops, loops)):
            write_between(page, part.BEGIN, part.END, part.table(found))


def main() -> None:
    """Run, print a line each, and sum up."""
    from benchmarks.explain_table import summary, write_page

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=tuple(SETS), default="tuned")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--only", default="", help="a regular expression of SET/SAMPLE/FAMILY/FAULT/SEED"
    )
    parser.add_argument("--healthy", action="store_true", help="healthy runs alone")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--rows", type=Path, default=Path("bench-results/explain.jsonl"))
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    options = parser.parse_args()
    options.rows.parent.mkdir(exist_ok=True, parents=True)
    runs = all_runs(options.set, options.seeds, options.only, options.healthy)
    for row in rows_of(options.rows, runs, options.minutes):
        place = "-" if row["place"] is None else row["place"] + 1
        print(f"{row['key']:<60}", place, row["found"][:4], "| wrong:", row["wrong"][:3],
              "| s:", *(round(s, 1) for s in row["seconds"]), flush=True)  # fmt: skip
    print(summary(options.rows))
    if options.page:
        write_page(options.rows, options.page)


if __name__ == "__main__":
    main()
