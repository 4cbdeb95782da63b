"""Small runs with and without faults, to be explained."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

import steepest
from samples import make_events
from steepest.errors import DivergenceError

TABLE = make_events(900)


def trained(folder: Path, table: dict[str, Any] | None = None, **descent: Any) -> Path:
    pl.DataFrame(table or TABLE).write_parquet(folder / "events.parquet")
    model = {"hidden": descent.pop("hidden", [8])}
    events = descent.pop("events", {})
    recipe = {
        "events": {
            "path": str(folder / "events.parquet"),
            "label": "is_top",
            "features": ["pt", "mass", "ratio"],
            "split": {"validation": 0.3, "test": 0.0},
            **events,
        },
        "model": model,
        "descent": {
            "epochs": 25,
            "batch_size": 32,
            "learning_rate": 0.01,
            "stop": {},
            **descent,
        },
        "evaluate": {"baseline": False},
    }
    with suppress(DivergenceError):
        steepest.train(recipe, folder / "run", progress=False)
    return folder / "run"
