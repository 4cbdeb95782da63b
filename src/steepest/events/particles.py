"""What networks read of a jet's particles, from their four-momenta.

With (pT, η, φ, E) of a particle, and (pT_J, η_J, φ_J, E_J) of the sum of all particles of its jet,
before any is left out:

====================  =====================================================
log_pt, log_energy    ln(pT / GeV), ln(E / GeV)
log_pt_fraction       ln(pT / pT_J)
log_energy_fraction   ln(E / E_J)
delta_eta, delta_phi  η − η_J, and φ − φ_J in [−π, π)
delta_r               √(Δη² + Δφ²)
====================  =====================================================

These seven are those of arXiv:1902.08570. η = arsinh(pz / pT), as `vector` has it. A particle along
the beam, which has no η, and one without energy, which has no logarithm, are not finite numbers:
they are errors, as any that is not finite in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steepest.errors import EventsError
from steepest.groups import MOMENTA, PARTICLES, POINTS, Jagged

Array = np.ndarray
FEATURES = (
    "log_pt",
    "log_energy",
    "log_pt_fraction",
    "log_energy_fraction",
    "delta_r",
    "delta_eta",
    "delta_phi",
)
GROUPS = {
    PARTICLES: FEATURES,
    POINTS: ("delta_eta", "delta_phi"),
    MOMENTA: ("energy", "px", "py", "pz"),
}
"""The groups that `particle_groups` makes, and the columns of each."""
LIGHT = 1e-2
"""By this part of |p| E may be below it, as files round both to few digits."""


@dataclass(frozen=True)
class Particles:
    """Groups of particles, and what was left out.

    Parameters
    ----------
    groups
        ``particles`` ``(particles, 7)`` with the further features behind, ``points``
        ``(particles, 2)`` and ``momenta`` ``(particles, 4)``, float32.
    cut
        Jets that had more particles than were kept.
    empty
        Jets without particles.
    """

    groups: dict[str, Jagged]
    cut: int
    empty: int


def group_features(further: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """The columns of each group that `particle_groups` makes, by the group's name.

    `further` names features of a particle beside those of its momentum.
    """
    return {**GROUPS, PARTICLES: (*FEATURES, *further)}


def particle_groups(
    momenta: Jagged,
    most: int = 128,
    locate: Callable[[int], str] = "at row {}".format,
    further: Array | None = None,
) -> Particles:
    """Derive what networks read.

    Parameters
    ----------
    momenta
        E, px, py, pz in GeV, ``(particles, 4)``.
    most
        Particles of a jet that are kept at most: those of the largest pT.
    locate
        Says where an event lies, for messages.
    further
        More features of each particle, ``(particles, n)``, which are put behind.

    Raises
    ------
    EventsError
        A momentum that is not finite, a pT or E that is not above 0, or E < |p| by more than a
        hundredth.

    Examples
    --------
    >>> one = np.array([[5.0, 3.0, 4.0, 0.0], [13.0, 3.0, 4.0, 12.0]])
    >>> derived = particle_groups(Jagged(one, np.array([0, 2])))
    >>> derived.groups["particles"].values[0].tolist()
    [1.609, 1.609, -0.693, -1.281, 1.016, -1.016, 0.0]
    """
    values, offsets = np.asarray(momenta.values, dtype=np.float64), momenta.offsets
    energy, px, py, pz = values.T
    pt = np.hypot(px, py)
    _refuse(values, pt, offsets, locate)
    events = len(momenta)
    event = momenta.spread(np.arange(events))
    sums = [np.bincount(event, column, minlength=events) for column in (energy, px, py, pz)]
    jet_pt = np.hypot(sums[1], sums[2])
    with np.errstate(divide="ignore", invalid="ignore"):  # of jets without particles
        jet_eta = np.arcsinh(sums[3] / jet_pt)
    jet_phi = np.arctan2(sums[2], sums[1])
    delta_eta = np.arcsinh(pz / pt) - jet_eta[event]
    delta_phi = (np.arctan2(py, px) - jet_phi[event] + np.pi) % (2 * np.pi) - np.pi
    columns = (
        np.log(pt),
        np.log(energy),
        np.log(pt / jet_pt[event]),
        np.log(energy / sums[0][event]),
        np.hypot(delta_eta, delta_phi),
        delta_eta,
        delta_phi,
    )
    features = np.stack(columns, axis=1).astype(np.float32)
    points = features[:, -2:]
    if further is not None:
        features = np.column_stack([features, further.astype(np.float32)])
    lengths = momenta.lengths
    cut = int(np.count_nonzero(lengths > most))
    if cut:
        kept = _hardest(pt, event, offsets, most)
        features, points, values = features[kept], points[kept], values[kept]
        lengths = np.minimum(lengths, most)
    groups = {
        PARTICLES: features,
        POINTS: np.ascontiguousarray(points),
        MOMENTA: values.astype(np.float32),
    }
    jagged = {name: Jagged.of_lengths(array, lengths) for name, array in groups.items()}
    return Particles(jagged, cut, int(np.count_nonzero(lengths == 0)))


def cartesian(values: Mapping[str, Array]) -> Array:
    """E, px, py, pz of whatever is given, ``(particles, 4)``."""
    if "px" in values:
        return np.column_stack([values[name] for name in GROUPS[MOMENTA]])
    pt, eta, phi = values["pt"], values["eta"], values["phi"]
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by its event
        px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
        energy = values.get("energy")
        if energy is None:
            energy = np.sqrt((pt * np.cosh(eta)) ** 2 + values["mass"] ** 2)
    return np.column_stack([energy, px, py, pz])


def _hardest(pt: Array, event: Array, offsets: Array, most: int) -> Array:
    """Numbers of the `most` particles of the largest pT of each jet, in their order in the file."""
    order = np.lexsort((-pt, event))
    place = np.arange(len(pt)) - offsets[:-1][event]  # of the sorted particles, which keep `event`
    return np.sort(order[place < most])


def _refuse(values: Array, pt: Array, offsets: Array, locate: Callable[[int], str]) -> None:
    """Raise EventsError at the first momentum that cannot be one."""
    energy, momentum = values[:, 0], np.linalg.norm(values[:, 1:], axis=1)
    checks = (
        (
            ~np.isfinite(values).all(axis=1),
            "is not finite",
            "finite E, px, py, pz",
            "padding that was read as particles, or a division by zero before",
        ),
        (
            (pt <= 0) | (energy <= 0),
            "has no transverse momentum or no energy",
            "pT > 0 and E > 0",
            "padding with zeros that was read as particles",
        ),
        (
            energy < momentum * (1 - LIGHT),
            "has less energy than momentum",
            "E ≥ |p|",
            "columns in another order than E, px, py, pz, or energies in other units",
        ),
    )
    for wrong, what, expected, cause in checks:
        if not wrong.any():
            continue
        particle = int(np.argmax(wrong))
        event = int(np.searchsorted(offsets, particle, side="right")) - 1
        raise EventsError(
            f"Particle {particle - int(offsets[event])} of the event {locate(event)} {what}.",
            expected=expected,
            found=", ".join(
                f"{name} = {value:.6g}"
                for name, value in zip(("E", "px", "py", "pz"), values[particle], strict=True)
            )
            + f"; {np.count_nonzero(wrong):,} of {len(values):,} particles are so",
            cause=cause,
            do="mend the columns, or give expressions that leave such particles out, such as "
            "part_pt[part_pt > 0], of every quantity",
        )
