"""Tables of samples, heads, folds and variations: a head and rows of text."""

from __future__ import annotations

import re
from typing import Any

from steepest.evaluate import Merit
from steepest.evaluate.merit import ONE_SIGMA, REJECTION, with_uncertainty
from steepest.notation import number_text

_INDEX = re.compile(r"(ε)_([SB])")


def with_indices(html: str) -> str:
    """Return a text of HTML with indices lowered.

    Examples
    --------
    >>> with_indices("1/ε_B (ε_S = 0.3)")
    '1/ε<sub>B</sub> (ε<sub>S</sub> = 0.3)'
    """
    return _INDEX.sub(r"\1<sub>\2</sub>", html)


def rough_intervals(metrics: dict[str, Any]) -> str:
    """Say which intervals rest on so few events that they are rough ones; nothing if none does."""
    merits = [*map(Merit.from_json, metrics.get("merits", {}).get("model", {}).values())]
    rough = [merit.title for merit in merits if merit.is_rough]
    if not rough:
        return ""
    which = "all" if len(rough) == len(merits) else ", ".join(rough)
    return (
        "Rough intervals (few events; they hold the truth in 55 to 90 % of experiments, not in "
        f"68 %): {which}."
    )


def shared_cuts(metrics: dict[str, Any]) -> list[str]:
    """Say which signal efficiencies no cut gives, because many events share one score."""
    merits = metrics.get("merits", {}).get("model", {})
    of_cut: dict[float, list[tuple[str, dict[str, Any]]]] = {}
    for name, entry in merits.items():
        counts = entry.get("counts", {})
        if name.startswith(REJECTION) and counts.get("same_score", 0) > 1:
            of_cut.setdefault(counts["threshold"], []).append(
                (name.removeprefix(REJECTION), counts)
            )
    told = []
    for points in of_cut.values():
        counts = points[0][1]
        reached = counts["signal_efficiency"]
        missed = [wanted for wanted, _ in points if float(wanted) < reached - 1e-9]
        if len(points) < 2 or not missed:
            continue
        total = counts["signal_total"] + counts["background_total"]
        told.append(
            f"{counts['same_score']:,} of {total:,} events share one score: no cut gives "
            f"ε_S = {' or '.join(missed)}, and the cut taken has ε_S = {reached:.3g}."
        )
    return told


def yield_table(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """What is expected of each sample, Σw ± √Σw², and its simulated events by part.

    Examples
    --------
    >>> events = {"events": 120, "yield": 1.2e6, "uncertainty": 3e4}
    >>> signal = {"name": "signal", "all": events, "parts": {"train": events}}
    >>> table = yield_table({"samples": [signal]})
    >>> table["head"], table["rows"]
    (['sample', 'yield', 'events', 'train'], [['signal', '(1.200 ± 0.030)·10⁶', '120', '120']])
    """
    samples = metrics.get("samples")
    if not samples:
        return None
    parts = list(samples[0]["parts"])
    rows = [
        [
            one["name"],
            with_uncertainty(one["all"]["yield"], one["all"]["uncertainty"]),
            *(f"{each['events']:,}" for each in (one["all"], *one["parts"].values())),
        ]
        for one in samples
    ]
    return {"head": ["sample", "yield", "events", *parts], "rows": rows}


def efficiency_table(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """The efficiency of each sample at the cuts of the signal efficiencies."""
    samples = [one for one in metrics.get("samples") or [] if one.get("efficiencies")]
    if not samples:
        return None
    cuts = [f"ε_S = {each['signal_efficiency']:g}" for each in samples[0]["efficiencies"]]
    rows = [
        [one["name"], *(_efficiency(each).format() for each in one["efficiencies"])]
        for one in samples
    ]
    return {"head": ["sample", *cuts], "rows": rows}


def _efficiency(entry: dict[str, Any]) -> Merit:
    value, low, high, error = (entry[key] for key in ("value", "low", "high", "uncertainty"))
    return Merit("efficiency", value, low, high, error, ONE_SIGMA, {}, "")


def head_table(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """The figures of merit of the auxiliary heads, a column each.

    Examples
    --------
    >>> r2 = Merit("r_squared", 0.9, 0.89, 0.91, 0.01, 0.68, {}, "").to_json()
    >>> head = {"name": "mass", "value": "jet_mass", "weight": 0.1, "merits": {"r_squared": r2}}
    >>> table = head_table({"heads": [head]})
    >>> table["head"], table["rows"]
    (['', 'mass'], [['predicts', 'jet_mass'], ['weight', '0.1'], ['R²', '0.900 ± 0.010']])
    """
    heads = metrics.get("heads")
    if not heads:
        return None
    rows = [
        ["predicts", *(head["value"] for head in heads)],
        ["weight", *(f"{head['weight']:g}" for head in heads)],
    ]
    for name in heads[0]["merits"]:
        merits = [Merit.from_json(head["merits"][name]) for head in heads]
        rows.append([merits[0].title, *(merit.format() for merit in merits)])
    return {"head": ["", *(head["name"] for head in heads)], "rows": rows}


def fold_table(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """The figures of merit of each fold, their mean and their standard deviation.

    Examples
    --------
    >>> auc = Merit("auc", 0.9, 0.89, 0.91, 0.01, 0.68, {}, "").to_json()
    >>> fold = {"events": 1000, "merits": {"auc": auc}}
    >>> spread = {"auc": {"mean": 0.9, "standard_deviation": 0.0}}
    >>> table = fold_table({"folds": [fold, fold], "spread": spread})
    >>> table["head"], table["rows"][0]
    (['', 'mean ± s.d.', 'fold 0', 'fold 1'], ['AUC', '0.9', '0.900 ± 0.010', '0.900 ± 0.010'])
    """
    folds = metrics.get("folds")
    if not folds:
        return None
    rows = []
    for name, spread in metrics["spread"].items():
        merits = [Merit.from_json(fold["merits"][name]) for fold in folds]
        both = with_uncertainty(spread["mean"], spread["standard_deviation"])
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
        ["sum of weights", *(number_text(c["weight"], 6) if c else "" for c in counts)],
    ]
    rows += [_yields(one, varied) for one in metrics.get("samples") or []]
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


def _yields(sample: dict[str, Any], varied: list[dict[str, Any]]) -> list[str]:
    """The yield of a sample, and by how much each variation changes it."""
    name, nominal = sample["name"], sample["all"]
    row = [f"yield of {name}", with_uncertainty(nominal["yield"], nominal["uncertainty"])]
    for each in varied:
        found = [one["yield"] for one in each.get("yields") or [] if one["name"] == name]
        change = [f"{100 * (y / nominal['yield'] - 1):+.2f} %" for y in found if nominal["yield"]]
        row.append("".join(change))
    return row


def _what(variation: dict[str, Any]) -> str:
    """Say what a variation changes, and why it has no figures of merit if it has none."""
    changes = [f"{name} = {text}" for name, text in variation.get("columns", {}).items()]
    if "weight" in variation:
        changes.append(f"weight {variation['weight']}")
    if "path" in variation:
        paths = variation["path"]
        changes.append(f"events of {paths if isinstance(paths, str) else ', '.join(paths)}")
    if "sum_of_weights" in variation:
        changes.append(f"Σw {variation['sum_of_weights']}")
    failure = f". {variation['failure']}" if variation["failure"] else ""
    return f"{variation['name']}: {', '.join(changes)}{failure}"
