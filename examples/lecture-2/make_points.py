"""Twenty points on a parabola with noise: the sample of the course's second lecture."""

from pathlib import Path

import numpy as np
import polars as pl


def points(seed: int = 1) -> pl.DataFrame:
    """Signal = 0.75 (t − 9.5)² + 1 + noise of σ = 3, at t = 0 … 19."""
    t = np.arange(20.0)
    noise = np.random.default_rng(seed).normal(0.0, 3.0, 20)
    return pl.DataFrame({"t": t, "signal": 0.75 * (t - 9.5) ** 2 + 1.0 + noise})


if __name__ == "__main__":
    points().write_parquet(Path(__file__).with_name("points.parquet"))
