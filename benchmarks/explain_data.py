"""Events for `benchmarks.explain`: samples that its thresholds were chosen on, and others.

Each function returns features ``(events, n)``, labels and the names of the features.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["HELD_OUT", "TUNED", "Events"]

Array = np.ndarray
Events = tuple[Array, Array, list[str]]


def blobs(count: int, seed: int) -> Events:
    """Two overlapping classes, curved."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    x = random.normal(size=(count, 6))
    x[:, 0] += 1.0 * labels
    x[:, 1] += 0.8 * labels * np.sign(x[:, 2])
    x[:, 3] *= 1.0 + 0.7 * labels
    return x, labels, [f"x{i}" for i in range(6)]


def rings(count: int, seed: int) -> Events:
    """Signal in a ring; no linear model tells it."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 5))
    radius = np.hypot(x[:, 0], x[:, 1]) + 0.3 * random.normal(size=count)
    return x, (radius > 1.2).astype(int), [f"r{i}" for i in range(5)]


def jets(count: int, seed: int) -> Events:
    """The embedded jets."""
    import polars as pl

    from steepest.events.paths import embedded_path

    table = pl.read_parquet(embedded_path("embedded:top-jets")).sample(count, seed=seed)
    names = ["mass", "tau2", "tau3", "pt", "n_constituents", "c2"]
    return table[names].to_numpy().astype(float), table["is_top"].to_numpy().astype(int), names


def dimuons(count: int, seed: int) -> Events:
    """Pairs of leptons: a resonance at 91 GeV in mass over a falling background."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    mass = np.where(labels, 91.0 + 2.5 * random.standard_cauchy(count).clip(-8, 8),
                    60.0 + random.exponential(30.0, count))  # fmt: skip
    pt = random.exponential(np.where(labels, 35.0, 22.0)) + 20.0
    eta = random.normal(0, 1.3, count)
    angle = random.uniform(0, np.pi, count) ** np.where(labels, 1.0, 1.4)
    return np.column_stack([mass, pt, eta, angle]), labels, ["mass", "pt", "eta", "angle"]


def xor(count: int, seed: int) -> Events:
    """Four clusters, labelled by the product of their signs."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 4)) * 0.6
    corner = random.choice([-1.0, 1.0], (count, 2))
    x[:, :2] += corner
    return x, (corner.prod(axis=1) > 0).astype(int), list("abcd")


TUNED: dict[str, Callable[[int, int], Events]] = {"blobs": blobs, "jets": jets}
HELD_OUT: dict[str, Callable[[int, int], Events]] = {
    "rings": rings,
    "dimuons": dimuons,
    "xor": xor,
}
