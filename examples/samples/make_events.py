"""Write toy events of three processes as an analysis has them: a ROOT file or more for each.

    python examples/samples/make_events.py [--events 20000] [--out examples/samples]

Each file has a TTree `Events` with generator weights of both signs, and a TTree `Runs` with their
sum before any selection, as NanoAOD has it. The signal is a narrow peak in `mass` on top of two
backgrounds; there is no physics in the numbers beyond that.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import uproot

PROCESSES = {
    "signal": {"files": 1, "share": 0.2, "mass": (125.0, 8.0), "pt": 90.0, "negative": 0.05},
    "ttbar": {"files": 2, "share": 0.4, "mass": (150.0, 45.0), "pt": 70.0, "negative": 0.1},
    "dy": {"files": 2, "share": 0.4, "mass": (91.0, 25.0), "pt": 40.0, "negative": 0.2},
}


def events(rng: np.random.Generator, count: int, process: str) -> dict[str, np.ndarray]:
    """Toy columns of one process."""
    of = PROCESSES[process]
    jets = rng.poisson({"signal": 2.0, "ttbar": 4.0, "dy": 1.0}[process], count)
    return {
        "event": rng.permutation(count).astype(np.int64),
        "mass": rng.normal(*of["mass"], count),
        "pt": rng.gamma(2.0, of["pt"] / 2.0, count),
        "jets": jets.astype(np.int32),
        "genWeight": np.where(rng.random(count) < of["negative"], -1.0, 1.0) * 12.5,
    }


def write(folder: Path, count: int) -> None:
    """Write the files of all processes, `count` events in all."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(4)
    for process, of in PROCESSES.items():
        for number in range(of["files"]):
            columns = events(rng, int(count * of["share"] / of["files"]), process)
            with uproot.recreate(folder / f"{process}_{number}.root") as file:
                file["Events"] = columns
                file["Runs"] = {"genEventSumw": np.array([columns["genWeight"].sum()])}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    write(arguments.out, arguments.events)
