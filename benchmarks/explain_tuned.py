"""Samples that the thresholds of `steepest.explain` were chosen on."""

from __future__ import annotations

import numpy as np

from benchmarks.explain_events import Events, Maker, data_file, jets_of

__all__ = ["HEALTHY", "LINEAR", "MATRICES", "PARTICLES"]

Array = np.ndarray


def blobs(count: int, seed: int) -> Events:
    """Two overlapping classes, curved."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    x = random.normal(size=(count, 6))
    x[:, 0] += 1.0 * labels
    x[:, 1] += 0.8 * labels * np.sign(x[:, 2])
    x[:, 3] *= 1.0 + 0.7 * labels
    return Events(x, labels, [f"x{i}" for i in range(6)])


def jets(count: int, seed: int) -> Events:
    """The embedded jets."""
    import polars as pl

    from steepest.events.paths import embedded_path

    table = pl.read_parquet(embedded_path("embedded:top-jets")).sample(count, seed=seed)
    names = ["mass", "tau2", "tau3", "pt", "n_constituents", "c2"]
    return Events(table[names].to_numpy().astype(float), table["is_top"].to_numpy(), names)


def prongs(count: int, seed: int) -> Events:
    """Jets of particles with one or two prongs."""
    random = np.random.default_rng(seed)

    def axes(label: int, pt: Array) -> tuple[Array, Array]:
        side = np.where(random.random(len(pt)) < 0.5, -0.2, 0.2) if label else 0.0
        return random.normal(0, 0.12, len(pt)) + side, random.normal(0, 0.15, len(pt))

    return jets_of(random.integers(0, 2, count), axes, seed + 1)


def rings(count: int, seed: int) -> Events:
    """Signal in a ring; no linear model tells it."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 5))
    radius = np.hypot(x[:, 0], x[:, 1]) + 0.3 * random.normal(size=count)
    return Events(x, (radius > 1.2).astype(int), [f"r{i}" for i in range(5)])


def dimuons(count: int, seed: int) -> Events:
    """Pairs of leptons: a resonance at 91 GeV in mass over a falling background."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    mass = np.where(labels, 91.0 + 2.5 * random.standard_cauchy(count).clip(-8, 8),
                    60.0 + random.exponential(30.0, count))  # fmt: skip
    pt = random.exponential(np.where(labels, 35.0, 22.0)) + 20.0
    eta = random.normal(0, 1.3, count)
    angle = random.uniform(0, np.pi, count) ** np.where(labels, 1.0, 1.4)
    return Events(np.column_stack([mass, pt, eta, angle]), labels, ["mass", "pt", "eta", "angle"])


def xor(count: int, seed: int) -> Events:
    """Four clusters, labelled by the product of their signs."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 4)) * 0.6
    corner = random.choice([-1.0, 1.0], (count, 2))
    x[:, :2] += corner
    return Events(x, (corner.prod(axis=1) > 0).astype(int), list("abcd"))


def higgs(count: int, seed: int) -> Events:
    """Rows of the UCI HIGGS set: 28 features."""
    rows = np.loadtxt(str(data_file("higgs.train")), delimiter="\t")
    rows = rows[np.random.default_rng(seed).choice(len(rows), count, replace=False)]
    return Events(rows[:, 1:], rows[:, 0].astype(int), [f"h{i}" for i in range(28)])


def clusters(count: int, seed: int) -> Events:
    """Jets of particles whose hardest ones lie together or apart."""
    random = np.random.default_rng(seed)

    def axes(label: int, pt: Array) -> tuple[Array, Array]:
        width = 0.25 if label else 0.25 * np.sqrt(20.0 / pt).clip(0.3, 2.0)
        return random.normal(0, width, len(pt)), random.normal(0, width, len(pt))

    return jets_of(random.integers(0, 2, count), axes, seed + 1)


MATRICES: dict[str, Maker] = {
    "blobs": blobs, "jets": jets, "rings": rings, "dimuons": dimuons, "xor": xor
}  # fmt: skip
if data_file("higgs.train") is not None:
    MATRICES["higgs"] = higgs
LINEAR = ("blobs", "jets", "dimuons", "higgs")
"""Those that a linear model can tell apart at all."""
PARTICLES: dict[str, Maker] = {"prongs": prongs, "clusters": clusters}
HEALTHY: dict[tuple[str, str, str], tuple[float, int] | None] = {
    ("blobs", "L", "base"): (0.1, 25),
    ("jets", "L", "base"): (0.32, 25),
    ("dimuons", "L", "base"): (0.032, 25),
    ("blobs", "D", "base"): (0.1, 25),
    ("jets", "D", "base"): (0.032, 25),
    ("rings", "D", "base"): (0.032, 25),
    ("dimuons", "D", "base"): (0.1, 25),
    ("xor", "D", "base"): (0.0032, 25),
    ("prongs", "S", "base"): (0.01, 12),
    ("clusters", "S", "base"): (0.032, 12),
    ("blobs", "D", "tanh"): (0.01, 25),
    ("xor", "D", "tanh"): (0.0032, 25),
    ("blobs", "D", "constant schedule, small η"): (0.001, 50),
    ("xor", "D", "constant schedule, small η"): (0.00032, 50),
    ("blobs", "D", "one-cycle, large η"): (0.1, 25),
    ("xor", "D", "one-cycle, large η"): (0.32, 25),
    ("blobs", "D", "Nesterov, one-cycle"): (0.32, 25),
    ("xor", "D", "Nesterov, one-cycle"): (0.01, 25),
    ("blobs", "D", "edge of stability, ReLU"): (1.6, 1500),
    ("xor", "D", "edge of stability, ReLU"): (0.16, 1500),
    ("blobs", "D", "edge of stability, tanh"): (0.5, 1500),
    ("xor", "D", "edge of stability, tanh"): (0.16, 1500),
    ("blobs", "D", "edge of stability, momentum"): (0.32, 500),
    ("xor", "D", "edge of stability, momentum"): (0.032, 500),
    ("higgs", "L", "base"): (0.32, 25),
    ("higgs", "D", "base"): (0.032, 25),
}
"""η and epochs without a fault, as `explain_healthy` chose them; None for what never is healthy."""
