"""Train some twenty small runs, and compare what two versions of the code make of them.

    PYTHONPATH=OLD/src python tools/frozen_runs.py write old.json
    PYTHONPATH=src     python tools/frozen_runs.py write new.json
    python tools/frozen_runs.py compare old.json new.json

Between them the runs use every loss, optimiser, scaling, format, method and kind of batch, in
memory and on disk. They use the public interface only, so any two versions can be compared. Two
runs are *equal* if θ has the same bits; *close* if every θ is within 1e-6 of the largest (1e-4 in
float32, where thousands of steps add up) and every figure of merit within a tenth of its
uncertainty.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import uproot

SCALARS = (
    "pt",
    "eta",
    "mass",
    "tau1",
    "tau2",
    "tau3",
    "is_top",
    "process",
    "event_number",
    "weight",
)
FEATURES = ["pt", "eta", "mass", {"name": "tau32", "value": "tau3 / (tau2 + 0.001)"}]
BARE = {"events": {"path": "events.parquet", "label": "is_top", "features": ["pt"]}}
REDEFINED = {"expected_calibration_error"}
"""Figures of merit whose definition is another one now."""
LINEAR = {"hidden": []}
SMALL = {"hidden": [16, 16]}


def recipe(path: str, model: dict[str, Any], **descent: Any) -> dict[str, Any]:
    """A recipe on the jets; keys that start with ``events_`` go to the table of events."""
    events = {key[7:]: descent.pop(key) for key in list(descent) if key.startswith("events_")}
    split = {"validation": 0.2, "test": 0.3, "by": "event_number"}
    table = {"path": path, "label": "is_top", "features": FEATURES, "split": split} | events
    return {"events": table, "model": model, "descent": {"epochs": 3, "seed": 3} | descent}


def recipes(folder: Path) -> dict[str, dict[str, Any]]:
    """The frozen runs by name."""
    parquet, root = str(folder / "jets.parquet"), f"{folder / 'jets.root'}:jets"
    hdf5, csv = f"{folder / 'jets.h5'}:jets", str(folder / "jets.csv")
    signed = str(folder / "signed.parquet")
    mse = {"events_label": "mass", "events_features": ["pt", "tau1", "tau2", "tau3"]}
    rules: list[Any] = ["sgd", "nesterov", "rmsprop", "adamw"]
    rules.append({"name": "momentum", "momentum": 0.8})
    return {
        "logistic, all events": recipe(parquet, LINEAR, batch_size="all", epochs=40),
        "logistic, single events": recipe(root, LINEAR, batch_size=1, optimizer="sgd"),
        "logistic, mini-batches": recipe(hdf5, LINEAR, batch_size=64),
        "logistic, Newton": recipe(csv, LINEAR, method="newton", epochs=20),
        "linear, exact": recipe(parquet, LINEAR, method="exact", **mse),
        "linear, whitened": recipe(
            parquet, LINEAR, scaling="whiten", optimizer="sgd", schedule="constant",
            batch_size="all", **mse,
        ),
        "linear, single events": recipe(
            parquet, LINEAR, batch_size=1, optimizer="sgd", epochs=2, **mse
        ),
        "softmax": recipe(parquet, LINEAR, events_label="process", batch_size=128),
        "softmax network": recipe(csv, SMALL, events_label="process", batch_size=128),
        "network, quantiles": recipe(parquet, SMALL, scaling="quantile", l2=1e-3),
        "network, min-max, tanh": recipe(
            root, {"hidden": [12], "activation": "tanh"}, scaling="min-max", batch_size=256
        ),
        "network, robust, float64": recipe(
            hdf5, {"hidden": [8, 8], "activation": "gelu"}, scaling="robust", dtype="float64"
        ),
        "network, on disk": recipe(parquet, SMALL, batch_size=256, events_memory="100 kB"),
        "network, in memory": recipe(parquet, SMALL, batch_size=256),
        "network, signed weights": recipe(
            signed, SMALL, batch_size=512, events_weight="mc_weight",
        ),
        "regression network, sigmoid": recipe(
            parquet, {"hidden": [12], "activation": "sigmoid"}, batch_size=256, **mse
        ),
        **{
            f"network, {rule if isinstance(rule, str) else rule['name']}": recipe(
                parquet, SMALL, optimizer=rule, schedule="cosine", batch_size=256
            )
            for rule in rules
        },
        **fixed_recipes(parquet),
    }  # fmt: skip


def fixed_recipes(path: str) -> dict[str, dict[str, Any]]:
    """Runs of which nothing is left to a default that versions choose differently."""
    plain = {
        "learning_rate": 0.003, "schedule": "constant", "batch_size": 128, "scaling": "standard",
        "events_train_weights": "as-given",
    }  # fmt: skip
    fixed = {
        f"fixed, {rule}, {dtype}": recipe(path, SMALL, optimizer=rule, dtype=dtype, **plain)
        for rule in ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
        for dtype in ("float32", "float64")
    }
    linear = plain | {"optimizer": "adam", "dtype": "float64"}
    for name, changes in {
        "single events": {"batch_size": 1},
        "all events, momentum": {"batch_size": "all", "optimizer": "momentum", "epochs": 40},
        "L2": {"l2": 1e-2},
        "cosine": {"schedule": "cosine"},
    }.items():
        fixed[f"fixed, logistic, {name}"] = recipe(path, LINEAR, **linear | changes)
    fixed["fixed, softmax network, L2"] = recipe(
        path, SMALL, events_label="process", l2=1e-3, optimizer="adam", dtype="float64", **plain
    )
    for activation in ("tanh", "gelu", "sigmoid"):
        model = {"hidden": [12, 7], "activation": activation}
        fixed[f"fixed, {activation}"] = recipe(path, model, **linear)
    return fixed


def write_events(folder: Path) -> None:
    """The first 6,000 embedded jets in every format, and with weights of both signs."""
    with as_file(files("steepest") / "events" / "embedded" / "top-jets.parquet") as path:
        jets = pl.read_parquet(path).head(6_000).select(SCALARS)
    jets.write_parquet(folder / "jets.parquet")
    jets.write_csv(folder / "jets.csv")
    sign = np.where(np.random.default_rng(1).random(len(jets)) < 0.2, -0.5, 1.0)
    jets.with_columns(mc_weight=pl.Series(sign)).write_parquet(folder / "signed.parquet")
    numbers = {name: jets[name].to_numpy() for name in SCALARS if name != "process"}
    with uproot.recreate(folder / "jets.root") as file:
        file.mktree("jets", numbers)
    with h5py.File(folder / "jets.h5", "w") as file:
        for name, values in numbers.items():
            file.create_dataset(f"jets/{name}", data=values)


def frozen(run: Any) -> dict[str, Any]:
    """What is kept of a run: θ, and its figures of merit."""
    theta = np.asarray(run.model.theta)
    merits = {
        name: {key: merit.get(key) for key in ("value", "uncertainty")}
        for name, merit in run.metrics["merits"]["model"].items()
        if isinstance(merit, dict) and "value" in merit
    }
    return {
        "bits": hashlib.sha256(theta.tobytes()).hexdigest()[:16],
        "dtype": str(theta.dtype),
        "theta": theta.astype(float).tolist(),
        "merits": merits,
        "steps": int(run.metrics["descent"]["steps"]),
    }


def write(path: Path) -> None:
    """Train all runs that the file does not hold yet, and write what is kept of each."""
    import steepest

    kept = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_events(folder)
        for number, (run, table) in enumerate(recipes(folder).items()):
            if run in kept:
                continue
            if "train_weights" not in steepest.Recipe.model_validate(BARE).events.model_dump():
                table["events"].pop("train_weights", None)  # an older version takes them as given
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    trained = steepest.train(
                        steepest.Recipe.model_validate(table), out=folder / f"run{number}"
                    )
                kept[run] = frozen(trained)
                said = kept[run]["bits"]
            except Exception as error:  # a run that fails is part of the comparison
                kept[run] = {"error": f"{type(error).__name__}: {error}"}
                said = kept[run]["error"]
            print(f"{run:34s} {said}", file=sys.stderr, flush=True)
            path.write_text(json.dumps(kept, indent=1))


def compare(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Print what became of each run; return whether all are equal or close."""
    good = True
    for name, old in before.items():
        new = after.get(name, {"error": "not run"})
        if "error" in old or "error" in new:
            verdict, detail = "FAILED", old.get("error") or new.get("error")
        elif old["bits"] == new["bits"]:
            verdict, detail = "equal", ""
        else:
            verdict, detail = _distance(old, new)
        good &= verdict in ("equal", "close")
        print(f"{name:34s} {verdict:7s} {detail}")
    return good


def _distance(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, str]:
    if len(old["theta"]) != len(new["theta"]):
        return "FAR", f"{len(old['theta'])} parameters, now {len(new['theta'])}"
    a, b = np.array(old["theta"]), np.array(new["theta"])
    change = float(np.abs(a - b).max() / np.abs(a).max())
    worst = 0.0
    for name, merit in old["merits"].items():
        if name in REDEFINED:
            continue
        now = new["merits"].get(name)
        if now is None:
            return "FAR", f"{name} is missing"
        if merit["value"] is not None and now["value"] is not None and merit["uncertainty"]:
            worst = max(worst, abs(merit["value"] - now["value"]) / merit["uncertainty"])
    close = change < (1e-4 if old["dtype"] == "float32" else 1e-6) and worst < 0.1
    detail = f"θ differs by {change:.1e}, figures of merit by {worst:.2g} of their uncertainty"
    return ("close" if close else "FAR"), detail


def main() -> None:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["write", "compare"])
    parser.add_argument("files", nargs="+", type=Path)
    given = parser.parse_args()
    if given.verb == "write":
        write(given.files[0])
        return
    before, after = (json.loads(path.read_text()) for path in given.files)
    sys.exit(0 if compare(before, after) else 1)


if __name__ == "__main__":
    main()
