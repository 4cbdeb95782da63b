"""Write the small embedded samples of the lab: lines, a parabola, and classes in a plane.

python tools/embedded_samples.py

Each is drawn from a fixed seed. The parabola is that of the lecture's notebook: t = 0 … 19,
signal = 0.75 (t − 9.5)² + 1 with a noise of σ = 3.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl

FOLDER = Path(__file__).parents[1] / "src" / "steepest" / "events" / "embedded"


def _parabola() -> pl.DataFrame:
    rng = np.random.default_rng([2022, 1])
    t = np.arange(20.0)
    return pl.DataFrame({"t": t, "signal": 0.75 * (t - 9.5) ** 2 + 1 + rng.normal(0, 3, 20)})


def _noisy_line() -> pl.DataFrame:
    rng = np.random.default_rng([2022, 2])
    x = rng.uniform(0.0, 2.0, 100)
    return pl.DataFrame({"x": x, "y": 4.0 + 3.0 * x + rng.normal(0.0, 1.0, 100)})


def _two_classes() -> pl.DataFrame:
    rng = np.random.default_rng([2022, 3])
    label = np.arange(300) % 2
    x = rng.normal(0.0, 1.0, (300, 2)) + np.where(label[:, None] == 1, [1.2, 0.8], [-0.9, -0.6])
    return pl.DataFrame({"x1": x[:, 0], "x2": 30.0 * x[:, 1] + 50.0, "signal": label})


def _three_classes() -> pl.DataFrame:
    rng = np.random.default_rng([2022, 4])
    kind = np.arange(300) % 3
    angle = 2 * np.pi * kind / 3 + 0.5
    centre = 1.6 * np.column_stack([np.cos(angle), np.sin(angle)])
    x = centre + rng.normal(0.0, 0.8, (300, 2))
    names = np.array(["qcd", "top", "w"])[kind]
    return pl.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "process": names})


def _two_moons() -> pl.DataFrame:
    rng = np.random.default_rng([2022, 5])
    label = np.arange(300) % 2
    angle = rng.uniform(0.0, np.pi, 300)
    x = np.column_stack([np.cos(angle), np.sin(angle)])
    x = np.where(label[:, None] == 1, [1.0, 0.5] - x, x) + rng.normal(0.0, 0.15, (300, 2))
    return pl.DataFrame({"x1": x[:, 0], "x2": x[:, 1], "signal": label})


SAMPLES = {
    "parabola": _parabola,
    "noisy-line": _noisy_line,
    "two-classes": _two_classes,
    "three-classes": _three_classes,
    "two-moons": _two_moons,
}


def main() -> None:
    """Write all of them, with their checksums."""
    for name, make in SAMPLES.items():
        path = FOLDER / f"{name}.parquet"
        make().write_parquet(path, statistics=False)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (FOLDER / f"{name}.sha256").write_text(f"{digest}  {name}.parquet\n")


if __name__ == "__main__":
    main()
