"""Samples that no threshold of `steepest.explain` was chosen on; `resonance` is read from ROOT."""

from __future__ import annotations

import numpy as np

from benchmarks.explain_events import Events, Maker, data_file, jets_of

__all__ = ["HEALTHY", "LINEAR", "MATRICES", "PARTICLES", "ROOT"]

Array = np.ndarray


def resonance(count: int, seed: int) -> Events:
    """Two photons: a resonance at 125 GeV in mass over a falling background, and its kinematics."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    mass = np.where(
        labels, random.normal(125.0, 6.0, count), 100.0 + random.exponential(35.0, count)
    )
    lead = mass / 2 * random.uniform(0.9, 1.6, count) + 5.0 * labels
    second = mass / 2 * random.uniform(0.4, 1.0, count)
    pair = random.exponential(np.where(labels, 60.0, 35.0))
    star = np.abs(random.uniform(-1, 1, count)) ** np.where(labels, 1.0, 0.7)
    columns = [mass, lead, second, pair, star]
    names = ["mass", "lead_pt", "second_pt", "pair_pt", "cos_star"]
    return Events(np.column_stack(columns), labels, names)


def shower(count: int, seed: int) -> Events:
    """Calorimeter clusters: width, depth and fractions of energy by layer of two particles."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    energy = 10 ** random.uniform(0.7, 2.3, count)
    depth = 6.0 + 0.9 * np.log(energy) + 2.0 * labels + random.normal(0, 2.2, count)
    width = np.abs(random.normal(1.0 + 0.35 * labels, 0.45, count))
    first = random.beta(2.0, 6.0 + 2.0 * labels)
    last = random.beta(1.2 + 0.8 * labels, 9.0)
    tracks = random.poisson(1.0 + 0.6 * labels).astype(float)
    columns = [energy, depth, width, first, last, tracks]
    names = ["energy", "depth", "width", "first", "last", "tracks"]
    return Events(np.column_stack(columns), labels, names)


def dimuons_of_cms(count: int, seed: int) -> Events:
    """Pairs of muons that CMS took in 2011, labelled by whether their mass is that of a Z."""
    import polars as pl

    table = pl.read_csv(str(data_file("Zmumu_Run2011A.csv")))
    mass = (
        2
        * table["pt1"]
        * table["pt2"]
        * ((table["eta1"] - table["eta2"]).cosh() - (table["phi1"] - table["phi2"]).cos())
    )
    z = ((mass.sqrt() > 85) & (mass.sqrt() < 97)).to_numpy().astype(int)
    names = ["pt1", "eta1", "phi1", "pt2", "eta2", "phi2"]
    x = table[names].to_numpy().astype(float)
    random = np.random.default_rng(seed)
    rows = random.choice(len(x), min(count, len(x)), replace=False)
    return Events(x[rows], z[rows], names)


def rays(count: int, seed: int) -> Events:
    """Jets of particles along a line or all around."""
    random = np.random.default_rng(seed)

    def axes(label: int, pt: Array) -> tuple[Array, Array]:
        length, across = random.normal(0, 0.25, len(pt)), random.normal(0, 0.08, len(pt))
        if not label:
            across = random.normal(0, 0.17, len(pt))
        turn = random.uniform(0, np.pi)
        eta = length * np.cos(turn) - across * np.sin(turn)
        return eta, length * np.sin(turn) + across * np.cos(turn)

    return jets_of(random.integers(0, 2, count), axes, seed + 1)


MATRICES: dict[str, Maker] = {"resonance": resonance, "shower": shower}
if data_file("Zmumu_Run2011A.csv") is not None:
    MATRICES["dimuons of CMS"] = dimuons_of_cms
LINEAR = ("resonance", "shower", "dimuons of CMS")
"""Those that a linear model can tell apart at all."""
PARTICLES: dict[str, Maker] = {"rays": rays}
ROOT = ("resonance",)
HEALTHY: dict[tuple[str, str, str], tuple[float, int] | None] = {
    ("resonance", "L", "base"): (0.32, 25),
    ("shower", "L", "base"): (0.1, 25),
    ("dimuons of CMS", "L", "base"): (0.0032, 25),
    ("resonance", "D", "base"): (0.1, 25),
    ("shower", "D", "base"): (0.032, 25),
    ("dimuons of CMS", "D", "base"): (0.1, 50),
    ("rays", "S", "base"): (0.0032, 96),
    ("resonance", "D", "tanh"): (0.01, 25),
    ("shower", "D", "tanh"): (0.0032, 25),
    ("dimuons of CMS", "D", "tanh"): (0.032, 50),
    ("resonance", "D", "constant schedule, small η"): (0.001, 50),
    ("shower", "D", "constant schedule, small η"): (0.0001, 50),
    ("dimuons of CMS", "D", "constant schedule, small η"): (0.032, 50),
    ("resonance", "D", "one-cycle, large η"): (0.1, 25),
    ("shower", "D", "one-cycle, large η"): (0.1, 25),
    ("dimuons of CMS", "D", "one-cycle, large η"): (0.1, 50),
    ("resonance", "L", "Nesterov, one-cycle"): (0.32, 25),
    ("shower", "L", "Nesterov, one-cycle"): (0.1, 25),
    ("dimuons of CMS", "L", "Nesterov, one-cycle"): (0.1, 25),
    ("resonance", "D", "Nesterov, one-cycle"): (0.032, 25),
    ("shower", "D", "Nesterov, one-cycle"): (0.1, 25),
    ("dimuons of CMS", "D", "Nesterov, one-cycle"): (0.32, 50),
    ("resonance", "D", "edge of stability, ReLU"): (0.16, 1500),
    ("shower", "D", "edge of stability, ReLU"): (1.6, 1500),
    ("dimuons of CMS", "D", "edge of stability, ReLU"): (1.6, 1500),
    ("resonance", "D", "edge of stability, tanh"): (0.5, 1500),
    ("shower", "D", "edge of stability, tanh"): (1.6, 1500),
    ("dimuons of CMS", "D", "edge of stability, tanh"): (0.5, 1500),
    ("resonance", "D", "edge of stability, momentum"): (0.032, 500),
    ("shower", "D", "edge of stability, momentum"): (0.032, 500),
    ("dimuons of CMS", "D", "edge of stability, momentum"): (1.0, 500),
}
"""η and epochs without a fault, as `explain_healthy` chose them; None for what never is healthy."""
