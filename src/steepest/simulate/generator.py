"""Pythia 8: settings, the event loop, and the event record as flat arrays.

`Generator(process, seed)` starts Pythia for one process, `Generator.batch` generates events, and
`Generator.reseed` changes the seed. Pythia prints nothing. Multi-parton interactions are off, as in
the reference set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.errors import SteepestError
from steepest.simulate import extra
from steepest.simulate.particles import Decays, Kind, Particles
from steepest.simulate.processes import CARRIERS, LEPTONS, PARTONS, Decay, Process
from steepest.simulate.veto import veto

BEAM_ENERGY = 14_000.0
"""Centre-of-mass energy of the two protons (GeV)."""

TRACKER_RADIUS, TRACKER_LENGTH = 300.0, 1000.0
"""Particles that would decay outside this cylinder (mm) are treated as stable."""

ETA_MAX = 5.0
"""Particles beyond this pseudorapidity are dropped."""

_STARTING_SEED = 1  # for the initialisation, where Pythia searches for the cross-section maxima
_NEUTRINOS = (12, 14, 16)
_HIGGS = 25

Table = dict[str, NDArray[Any]]
"""Columns of the event record, with all events flattened."""


@dataclass(frozen=True, slots=True)
class Events:
    """A batch of `count` generated events."""

    count: int
    particles: Particles  # visible and stable
    decays: Decays | None  # as the process requires; None for a process without a resonance
    pt_hat: NDArray[np.float64]  # transverse momentum of the hard process (GeV), shape (count,)


def settings_of(process: Process) -> tuple[str, ...]:
    """Return all settings of Pythia for `process`, without the seed.

    Examples
    --------
    >>> from steepest.simulate.processes import PROCESSES
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
    """An instance of Pythia for one process, with a seed from 1 to 900,000,000."""

    def __init__(self, process: Process, seed: int) -> None:
        module = extra.pythia()
        blank = _blank(module)
        self.process = process
        self.pythia = module.Pythia(blank.settings, blank.particleData, False)
        self.hook = veto(module, process, self.pythia)
        self._charges: dict[int, int] = {}
        seeding = ("Random:setSeed = on", f"Random:seed = {_STARTING_SEED}")
        for line in (*settings_of(process), *seeding):
            if not self.pythia.readString(line):
                raise SteepestError(f"Pythia does not know the setting {line!r}.")
        self.pythia.addUserHooksPtr(self.hook)
        if process.decay is None or process.decay.resonance != _HIGGS:
            # skips the widths of the Higgs boson, which take two thirds of the start-up time
            self.pythia.addResonancePtr(module.ResonanceGeneric(_HIGGS))
        if not self.pythia.init():
            raise SteepestError(f"Pythia could not be started for the process {process.name!r}.")
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Restart the random numbers from this seed, 1 to 900,000,000.

        The events do not depend on earlier ones: Pythia keeps no other state from them, and its
        initialisation always uses the same seed.
        """
        self.pythia.rndm.init(seed)

    def batch(self, count: int) -> Events:
        """Generate `count` events that pass the veto; occasionally one fewer."""
        record = self.pythia.nextBatch(count)
        if len(record) == 0:
            raise SteepestError(
                f"Pythia gave no event in {count} attempts at the process {self.process.name!r}."
            )
        event, start, table = flat_columns(record)
        decays = None
        if self.process.decay is not None:
            decays = _decays(event, start, table, self.process.decay)
        pt_hat = np.sqrt(np.asarray(record["info", "pT2Hat"]))
        return Events(len(record), self._visible(event, table), decays, pt_hat)

    def _visible(self, event: NDArray[np.int64], table: Table) -> Particles:
        inside = np.abs(table["pz"]) < math.sinh(ETA_MAX) * np.hypot(table["px"], table["py"])
        neutrino = np.isin(np.abs(table["id"]), _NEUTRINOS)
        seen = (table["status"] > 0) & inside & ~neutrino
        numbers = table["id"][seen]
        charge = self._charge_of(numbers)
        kind = np.where(charge != 0, Kind.CHARGED_HADRON, Kind.NEUTRAL_HADRON).astype(np.int8)
        for number, special in ((22, Kind.PHOTON), (11, Kind.ELECTRON), (13, Kind.MUON)):
            kind[np.abs(numbers) == number] = special
        px, py, pz, energy, x, y, z = (
            table[name][seen] for name in ("px", "py", "pz", "e", "x", "y", "z")
        )
        return Particles(event[seen], px, py, pz, energy, charge, kind, x, y, z)

    def _charge_of(self, numbers: NDArray[np.int32]) -> NDArray[np.int8]:
        known, place = np.unique(numbers, return_inverse=True)
        for number in known.tolist():
            if number not in self._charges:
                self._charges[number] = round(self.pythia.particleData.charge(number))
        return np.array([self._charges[n] for n in known.tolist()], dtype=np.int8)[place]


@cache
def _blank(module: Any) -> Any:
    """Return an uninitialised Pythia, whose settings and particle data other instances copy."""
    return module.Pythia("", False)


def flat_columns(record: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], Table]:
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


def _decays(
    event: NDArray[np.int64], start: NDArray[np.int64], table: Table, decay: Decay
) -> Decays:
    """Find all decays of the resonance into the required products.

    `event` is the event of each entry and `start` the first entry of that event. A particle appears
    in the record once for every recoil. The copy that decays has a first daughter of another kind.
    Decays of intermediate W and Z bosons are followed.
    """
    identity = np.abs(table["id"])
    first, second = start + table["daughter1"], start + table["daughter2"]
    resonance = np.flatnonzero((identity == decay.resonance) & (identity[first] != decay.resonance))
    owner, entry = np.arange(len(resonance)), resonance
    owners, products = [owner[:0]], [entry[:0]]
    while len(entry):
        both = second[entry] != first[entry]
        owner = np.concatenate([owner, owner[both]])
        entry = np.concatenate([first[entry], second[entry[both]]])
        counted = np.isin(identity[entry], PARTONS + LEPTONS)
        owners.append(owner[counted])
        products.append(entry[counted])
        on = np.isin(identity[entry], CARRIERS)
        owner, entry = owner[on], entry[on]
    owner, product = np.concatenate(owners), np.concatenate(products)
    # keep the decays with the required numbers of partons and leptons, one row each
    lepton = np.isin(identity[product], LEPTONS)
    leptons = np.bincount(owner, lepton, minlength=len(resonance))
    partons = np.bincount(owner, ~lepton, minlength=len(resonance))
    right = (leptons == decay.leptons) & (partons == decay.partons)
    kept = right[owner]
    order = np.argsort(owner[kept], kind="stable")
    own = product[kept][order].reshape(-1, decay.partons + decay.leptons)
    members = np.column_stack([resonance[right], own])
    px, py, pz, energy = (table[name][members] for name in ("px", "py", "pz", "e"))
    return Decays(event[resonance[right]], np.arctanh(pz / energy), np.arctan2(py, px))
