"""The required decays of resonances, found in the event record.

`decays_in` takes the columns of a record, with all events flattened, as
`steepest.simulate.generator.generator` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.simulate.generator.processes import Decay
from steepest.simulate.generator.veto import CARRIERS, LEPTONS, PARTONS

__all__ = ["Decays", "decays_in"]


@dataclass(frozen=True, slots=True)
class Decays:
    """Decays of a resonance, such as t → b q q'.

    Parameters
    ----------
    event
        Number of the event, shape (decays,).
    rapidity, phi
        Directions of the resonance and its n visible products, shape (decays, 1 + n).
    """

    event: NDArray[np.int64]
    rapidity: NDArray[np.float64]
    phi: NDArray[np.float64]


def decays_in(
    event: NDArray[np.int64],
    start: NDArray[np.int64],
    table: dict[str, NDArray[Any]],
    decay: Decay,
) -> Decays:
    """Find all decays of the resonance into the required products.

    `event` is the event of each entry, `start` the first entry of that event, and `table` has the
    columns. A particle appears in the record once for every recoil. The copy that decays has a
    first daughter of another kind. Decays of intermediate W and Z bosons are followed.
    """
    identity = np.abs(table["id"])
    first, second = start + table["daughter1"], start + table["daughter2"]
    decaying = (identity == decay.resonance) & (identity[first] != decay.resonance)
    resonance = np.flatnonzero(decaying)
    owner, entry = np.arange(len(resonance)), resonance
    owners, products = [], []
    while len(entry):
        both = second[entry] != first[entry]
        owner = np.concatenate([owner, owner[both]])
        entry = np.concatenate([first[entry], second[entry[both]]])
        counted = np.isin(identity[entry], PARTONS + LEPTONS)
        owners.append(owner[counted])
        products.append(entry[counted])
        on = np.isin(identity[entry], CARRIERS)
        owner, entry = owner[on], entry[on]
    return _complete(event, identity, table, decay, resonance, (owners, products))


def _complete(
    event: NDArray[np.int64],
    identity: NDArray[np.int32],
    table: dict[str, NDArray[Any]],
    decay: Decay,
    resonance: NDArray[np.int64],
    found: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]],
) -> Decays:
    """Keep the decays with the required numbers of partons and leptons, one row each."""
    owner, product = (np.concatenate([*pieces, np.zeros(0, np.int64)]) for pieces in found)
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
