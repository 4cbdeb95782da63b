"""Samples that the thresholds of `steepest.explain` were chosen on."""

from __future__ import annotations

import numpy as np

from benchmarks.explain_events import Events, Maker, jets_of

__all__ = ["MATRICES", "PARTICLES"]

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


MATRICES: dict[str, Maker] = {"blobs": blobs, "jets": jets}
PARTICLES: dict[str, Maker] = {"prongs": prongs}
