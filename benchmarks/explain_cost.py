"""What `steepest train --explain` costs: whole calls with it and without."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.explain_tuned import blobs
from benchmarks.harness import Case, Options, in_turn, ratio

__all__ = ["measure_cost"]


def measure_cost(options: Options) -> Iterator[Case]:
    """Yield descents of a dense network with and without --explain; 0.95 is asked for."""
    import steepest

    events = blobs(4_000 if options.quick else 40_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        table = pl.DataFrame(events.x, schema=events.names).with_columns(y=pl.Series(events.y))
        path = str(Path(folder) / "events.parquet")
        table.write_parquet(path)

        def trained(name: str, explain: bool, **descent: Any) -> None:
            steepest.train(
                {
                    "events": {"path": path, "label": "y", "features": events.names},
                    "model": {"hidden": [64, 64]},
                    "descent": {"epochs": 5 if options.quick else 60, "batch_size": 64,
                                "stop": {}, "learning_rate": 1e-3, **descent},
                    "evaluate": {"baseline": False},
                },
                Path(folder) / name, overwrite=True, explain=explain, progress=False,
            )  # fmt: skip

        for rule in ("adam", "sgd"):
            contenders = {
                "train": lambda rule=rule: trained("plain", False, optimizer=rule),
                "train --explain": lambda rule=rule: trained("watched", True, optimizer=rule),
            }
            seconds, _ = in_turn(contenders, options.rounds)
            claim = ratio("train over train --explain", seconds["train"],
                          seconds["train --explain"], 0.95)  # fmt: skip
            mean = {name: float(np.median(times)) for name, times in seconds.items()}
            yield Case("explain", f"steepest train, {rule}, 40,000 events", seconds, [claim],
                       numbers=mean)  # fmt: skip
