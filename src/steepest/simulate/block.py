"""Blocks of jets: the unit of work.

Block b of a seed always has the same jets, so the file does not depend on the number of workers.
Pythia's seed and the random numbers of the detector depend only on (seed, block, process) and are
reset for every block. A file consists of blocks 0, 1, 2, … in order, so a shorter file is the
beginning of a longer one. Blocks are small because an interrupted run keeps complete blocks only.

A `Maker` makes the blocks of a `Plan`, in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steepest.simulate.generator.generator import Events, Generator, settings_of
from steepest.simulate.generator.processes import DEFAULT_PROCESSES, PROCESSES, RADIUS
from steepest.simulate.generator.veto import EARLY_SCALE
from steepest.simulate.jets import jets as jet_module
from steepest.simulate.jets.columns import JetRows, concatenate, jet_rows, to_table
from steepest.simulate.jets.detector import Detector, reconstruct

__all__ = ["BLOCK_JETS", "MAX_SEED", "ROWS_PER_SEED", "Maker", "Plan", "pythia_seed"]

BLOCK_JETS = 50
"""Jets of each process in a full block."""

ROWS_PER_SEED = 10**9
"""The event number is ``seed * ROWS_PER_SEED + row``."""

MAX_SEED = 9_000_000_000
"""Largest seed whose event numbers fit into an int64."""

# events of a batch; one selected jet needs two to three events
_MOST_EVENTS, _LEAST_EVENTS, _EVENTS_PER_JET = 64, 4, 2
_PYTHIA_SEEDS = 900_000_000  # Pythia accepts seeds from 1 to this number
_STREAM_DETECTOR, _STREAM_ORDER, _STREAM_PYTHIA = 0, 1, 2

OnJets = Callable[[int], bool]
"""Called with the number of jets just made; returns whether to continue."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All options that the rows of a file depend on.

    Parameters
    ----------
    jets
        Number of rows.
    seed
        From 0 to `MAX_SEED`.
    detector
        The detector's parameters, or None for no detector.
    leading
        Keep at most this many constituents in the lists; None for all.
    bits
        Bits of mantissa kept in the constituents' float columns; None for all.
    processes
        Names of `PROCESSES`, which are made in equal numbers.
    jets_per_block
        Jets of each process in a full block.
    """

    jets: int
    seed: int = 0
    detector: Detector | None = field(default_factory=Detector)
    leading: int | None = None
    bits: int | None = None
    processes: tuple[str, ...] = DEFAULT_PROCESSES
    jets_per_block: int = BLOCK_JETS

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
                "pt": list(jet_module.PT_WINDOW),
                "abs_eta_max": jet_module.ETA_MAX,
            },
            "early_scale": EARLY_SCALE,
            "processes": {name: _describe(name) for name in self.processes},
            "block_jets": self.block_jets,
        }


def _describe(name: str) -> dict[str, Any]:
    process = PROCESSES[name]
    return {
        "is_top": process.is_top,
        "pythia": list(settings_of(process)),
        "hard_pt": list(process.hard_pt),
        "parton_pt": list(process.parton_pt),
        "early_pt": list(process.early_pt) if process.early_pt else None,
        "decay": asdict(process.decay) if process.decay else None,
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
    """Make the blocks of a plan, and start Pythia once for each process.

    Parameters
    ----------
    plan
        The options of the file.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._generators: dict[str, Generator] = {}

    def block(self, block: int, on_jets: OnJets) -> pa.Table | None:
        """Make one block, or return None if `on_jets` returned False.

        Parameters
        ----------
        block
            Number of the block, from 0.
        on_jets
            Called before Pythia starts and after every batch of events, with the number of jets
            that were just found.
        """
        plan = self.plan
        labels = _labels(plan, block)
        made: list[JetRows] = []
        for process, name in enumerate(plan.processes):
            rows = self._rows_of(name, block, int(np.sum(labels == process)), on_jets)
            if rows is None:
                return None
            made.append(rows)
        together = concatenate(made)
        order = np.argsort(np.argsort(labels, kind="stable"), kind="stable")
        first = plan.seed * ROWS_PER_SEED + block * plan.block_jets
        known = [(name, PROCESSES[name].is_top) for name in plan.processes]
        numbers = np.arange(first, first + len(labels), dtype=np.int64)
        return to_table(together.reordered(order.tolist()), labels, known, numbers, plan.bits)

    def _rows_of(self, name: str, block: int, wanted: int, on_jets: OnJets) -> JetRows | None:
        """Make the first `wanted` jets of a process in its full block."""
        if wanted == 0:
            return JetRows([], [], [])
        if not on_jets(0):  # starting Pythia takes a while
            return None
        plan, number = self.plan, PROCESSES[name].number
        rng = np.random.default_rng([plan.seed, block, _STREAM_DETECTOR, number])
        generator = self._generator(name, pythia_seed(plan.seed, number, block))
        pieces: list[JetRows] = []
        found = 0
        while found < wanted:
            events = generator.batch(_events_for(plan.jets_per_block - found))
            piece = _select(events, plan, rng, wanted - found)
            pieces.append(piece)
            found += len(piece)
            if not on_jets(len(piece)):
                return None
        return concatenate(pieces)

    def _generator(self, name: str, seed: int) -> Generator:
        if name in self._generators:
            self._generators[name].reseed(seed)
        else:
            self._generators[name] = Generator(PROCESSES[name], seed)
        return self._generators[name]


def _events_for(missing: int) -> int:
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
    kinds = len(plan.processes)
    groups = np.tile(np.arange(kinds, dtype=np.int8), (-(-plan.block_jets // kinds), 1))
    return rng.permuted(groups, axis=1).ravel()[: plan.rows_of(block)]


def _select(events: Events, plan: Plan, rng: np.random.Generator, most: int) -> JetRows:
    if plan.detector is None:
        constituents = events.particles.as_constituents()
    else:
        constituents = reconstruct(events.particles, plan.detector, rng)
    jets = jet_module.leading_jets(constituents, events.count)
    selected = jet_module.in_window(jets)
    if events.decays is not None:
        selected &= jet_module.matched(jets, events.decays)
    selected[np.flatnonzero(selected)[most:]] = False
    return jet_rows(jets, selected, constituents, plan.leading)
