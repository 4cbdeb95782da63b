"""Tables of the folds and of the variations: a head and rows of text."""

from __future__ import annotations

from typing import Any

from steepest.evaluate import Merit

__all__ = ["fold_table", "variation_table"]


def fold_table(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """The figures of merit of each fold, their mean and their standard deviation.

    Examples
    --------
    >>> auc = Merit("auc", 0.9, 0.89, 0.91, 0.01, 0.68, {}, "").to_json()
    >>> fold = {"events": 1000, "merits": {"auc": auc}}
    >>> spread = {"auc": {"mean": 0.9, "standard_deviation": 0.0}}
    >>> table = fold_table({"folds": [fold, fold], "spread": spread})
    >>> table["head"], table["rows"][0]
    (['', 'mean ± s.d.', 'fold 0', 'fold 1'], ['AUC', '0.9 ± 0', '0.900 ± 0.010', '0.900 ± 0.010'])
    """
    folds = metrics.get("folds")
    if not folds:
        return None
    rows = []
    for name, spread in metrics["spread"].items():
        merits = [Merit.from_json(fold["merits"][name]) for fold in folds]
        both = f"{spread['mean']:.4g} ± {spread['standard_deviation']:.2g}"
        rows.append([merits[0].title, both, *(merit.format() for merit in merits)])
    return {"head": ["", "mean ± s.d.", *(f"fold {n}" for n in range(len(folds)))], "rows": rows}


def variation_table(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """The figures of merit of the nominal events and of each variation."""
    varied = metrics.get("variations")
    if not varied:
        return None
    part = metrics["parts"][metrics["part"]]
    counts = [part, *(each["events"] for each in varied)]
    rows = [
        ["events", *(f"{c['events']:,}" if c else "none" for c in counts)],
        ["sum of weights", *(f"{c['weight']:.6g}" if c else "" for c in counts)],
    ]
    for name, entry in metrics["merits"]["model"].items():
        nominal = Merit.from_json(entry)
        others = [(each["merits"] or {}).get(name) for each in varied]
        texts = [Merit.from_json(other).format() if other else "" for other in others]
        rows.append([nominal.title, nominal.format(), *texts])
    return {
        "head": ["", "nominal", *(each["name"] for each in varied)],
        "rows": rows,
        "what": [_what(each) for each in varied],
    }


def _what(variation: dict[str, Any]) -> str:
    """Say what a variation changes, and why it has no figures of merit if it has none."""
    changes = [f"{name} = {text}" for name, text in variation.get("columns", {}).items()]
    if "weight" in variation:
        changes.append(f"weight {variation['weight']}")
    if "path" in variation:
        paths = variation["path"]
        changes.append(f"events of {paths if isinstance(paths, str) else ', '.join(paths)}")
    failure = f". {variation['failure']}" if variation["failure"] else ""
    return f"{variation['name']}: {', '.join(changes)}{failure}"
