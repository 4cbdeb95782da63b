"""Pythia 8: settings, the event loop, and the event record as flat arrays.

`Generator(process, seed)` starts Pythia for one process, `Generator.batch` generates events, and
`Generator.reseed` changes the seed. Pythia prints nothing. Multi-parton interactions are off, as in
the reference set.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import SteepestError
from steepest.simulate import extra
from steepest.simulate.generator.decays import Decays, decays_in
from steepest.simulate.generator.processes import Process
from steepest.simulate.generator.veto import veto
from steepest.simulate.jets.particles import Kind, Particles

__all__ = [
    "BEAM_ENERGY",
    "Events",
    "Generator",
    "settings_of",
]

BEAM_ENERGY = 14_000.0
"""Centre-of-mass energy of the two protons (GeV)."""

TRACKER_RADIUS, TRACKER_LENGTH = 300.0, 1000.0
"""Particles that would decay outside this cylinder (mm) are treated as stable."""

ETA_MAX = 5.0
"""Particles beyond this pseudorapidity are dropped."""

_STARTING_SEED = 1  # for the initialisation, where Pythia searches for the cross-section maxima
_NEUTRINOS = (12, 14, 16)
_HIGGS = 25
_STALLED = "Pythia gave no event in {tries} attempts at the process {name!r}."


@dataclass(frozen=True, slots=True)
class Events:
    """A batch of generated events.

    Parameters
    ----------
    count
        Number of events.
    particles
        Their visible stable particles.
    decays
        The decays that the process requires; None for a process without a resonance.
    pt_hat
        Transverse momentum of the hard process (GeV), shape (count,).
    """

    count: int
    particles: Particles
    decays: Decays | None
    pt_hat: NDArray[np.float64]


def settings_of(process: Process) -> tuple[str, ...]:
    """Return all settings of Pythia for `process`, without the seed.

    Examples
    --------
    >>> from steepest.simulate.generator.processes import PROCESSES
    >>> "PartonLevel:MPI = off" in settings_of(PROCESSES["qcd"])
    True
    """
    low, high = process.pt_hat
    return (
        "Print:quiet = on",
        f"Beams:eCM = {BEAM_ENERGY:g}",
        f"PhaseSpace:pTHatMin = {low:g}",
        f"PhaseSpace:pTHatMax = {high:g}",
        "PartonLevel:MPI = off",
        "ParticleDecays:limitCylinder = on",
        f"ParticleDecays:xyMax = {TRACKER_RADIUS:g}",
        f"ParticleDecays:zMax = {TRACKER_LENGTH:g}",
        *process.settings,
    )


class Generator:
    """An instance of Pythia for one process.

    Parameters
    ----------
    process
        The process to generate.
    seed
        Pythia's seed, from 1 to 900,000,000.

    Raises
    ------
    MissingExtraError
        If Pythia is not installed.
    """

    def __init__(self, process: Process, seed: int) -> None:
        module = extra.pythia()
        blank = _blank(module)
        self.process = process
        self._pythia = module.Pythia(blank.settings, blank.particleData, False)
        self._hook = veto(module, process, self._pythia)
        self._charges: dict[int, int] = {}
        seeding = ("Random:setSeed = on", f"Random:seed = {_STARTING_SEED}")
        for line in (*settings_of(process), *seeding):
            if not self._pythia.readString(line):
                raise SteepestError(f"Pythia does not know the setting {line!r}.")
        self._pythia.addUserHooksPtr(self._hook)
        if process.decay is None or process.decay.resonance != _HIGGS:
            # skips the widths of the Higgs boson, which take two thirds of the start-up time
            self._pythia.addResonancePtr(module.ResonanceGeneric(_HIGGS))
        if not self._pythia.init():
            raise SteepestError(f"Pythia could not be started for the process {process.name!r}.")
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Restart the random numbers from this seed, independently of earlier events.

        Pythia keeps no other state from its events, and its initialisation always uses the same
        seed.

        Parameters
        ----------
        seed
            From 1 to 900,000,000.
        """
        self._pythia.rndm.init(seed)

    def batch(self, count: int) -> Events:
        """Generate `count` events that pass the veto; occasionally one fewer.

        Parameters
        ----------
        count
            Number of events to request from Pythia.

        Raises
        ------
        SteepestError
            If Pythia returned no event at all.
        """
        with _uncollected():
            record = self._pythia.nextBatch(count)
        if len(record) == 0:
            raise SteepestError(_STALLED.format(tries=count, name=self.process.name))
        event, start, table = _columns(record)
        decays = None
        if self.process.decay is not None:
            decays = decays_in(event, start, table, self.process.decay)
        pt_hat = np.sqrt(np.asarray(record["info", "pT2Hat"]))
        return Events(len(record), self._visible(event, table), decays, pt_hat)

    def _visible(self, event: NDArray[np.int64], table: dict[str, NDArray[Any]]) -> Particles:
        final = np.flatnonzero(table["status"] > 0)
        final = final[~np.isin(np.abs(table["id"][final]), _NEUTRINOS)]
        px, py, pz = (table[name][final] for name in ("px", "py", "pz"))
        inside = np.abs(pz) < math.sinh(ETA_MAX) * np.hypot(px, py)
        final, px, py, pz = final[inside], px[inside], py[inside], pz[inside]
        charge = self._charge_of(table["id"][final])
        return Particles(
            event=event[final],
            px=px,
            py=py,
            pz=pz,
            energy=table["e"][final],
            charge=charge,
            kind=_kind_of(table["id"][final], charge),
            x=table["x"][final],
            y=table["y"][final],
            z=table["z"][final],
        )

    def _charge_of(self, numbers: NDArray[np.int32]) -> NDArray[np.int8]:
        known, place = np.unique(numbers, return_inverse=True)
        for number in known.tolist():
            if number not in self._charges:
                self._charges[number] = round(self._pythia.particleData.charge(number))
        return np.array([self._charges[n] for n in known.tolist()], dtype=np.int8)[place]


@cache
def _blank(module: Any) -> Any:
    """Return an uninitialised Pythia, whose settings and particle data other instances copy."""
    return module.Pythia("", False)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Disable the garbage collector: the hooks create no cycles, and collections cost time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _columns(
    record: Any,
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Return the event of each entry, the first entry of that event, and the flattened columns."""
    lists = record.layout["prt"]
    offsets = lists.offsets.data
    entries = lists.content[offsets[0] : offsets[-1]]
    counts = np.diff(offsets)
    event = np.repeat(np.arange(len(counts)), counts)
    start = np.repeat(offsets[:-1] - offsets[0], counts)
    table = {n: entries[n].data for n in ("id", "status", "daughter1", "daughter2")}
    table |= {name: entries["p"][name].data for name in ("px", "py", "pz", "e")}
    vertex = entries["vProd"]
    place = vertex.index.data
    known = place >= 0  # particles without a vertex come from the origin
    for ours, theirs in (("x", "px"), ("y", "py"), ("z", "pz")):
        table[ours] = np.zeros(len(known))
        table[ours][known] = vertex.content[theirs].data[place[known]]
    return event, start, table


def _kind_of(numbers: NDArray[np.int32], charge: NDArray[np.int8]) -> NDArray[np.int8]:
    kind = np.where(charge != 0, Kind.CHARGED_HADRON, Kind.NEUTRAL_HADRON).astype(np.int8)
    for number, special in ((22, Kind.PHOTON), (11, Kind.ELECTRON), (13, Kind.MUON)):
        kind[np.abs(numbers) == number] = special
    return kind
