"""Collect what a run's folder holds, and lay it out on a page without outside references."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from steepest.evaluate import BinnedMerits, Merit
from steepest.folder import RunFolder
from steepest.notation import number_text
from steepest.report.tables import (
    efficiency_table,
    fold_table,
    head_table,
    rough_intervals,
    shared_cuts,
    variation_table,
    with_indices,
    yield_table,
)

__all__ = ["render", "write_report"]


_CAPTIONS = {
    "roc": "Background rejection 1/ε_B against signal efficiency ε_S. Bands: 68.27 % intervals; "
    "curves end where fewer than three background events pass.",
    "scores": "Scores of the training part (filled) and of the evaluated part (points, √Σw²), "
    "each normalised, with the Kolmogorov test of one against the other.",
    "stacked-scores": "Expected events of the samples, each scaled to its yield in all parts: "
    "backgrounds stacked, the signal as a line; black, both together. Hatched: √Σw² of the "
    "background. Below, signal and background over background.",
    "calibration": "Reliability: share of true events against the mean score, in ten equal bins; "
    "below, the events that each bin rests on. Error: root mean square of the distance from the "
    "diagonal, without the part that fluctuations explain.",
    "significance": "Expected (Asimov) significance against the cut, drawn where at least ten "
    "effective background events pass. Band: 68.27 % interval from the simulated events.",
    "confusion": "Confusion matrix: share of each true class that is called what.",
    "roc-classes": "Background rejection 1/ε_B against efficiency ε_S of each class, all other "
    "classes being its background. Bands: 68.27 % intervals.",
    "residuals": "Prediction against truth, and the residual.",
    "bins": "{} in bins of {}, with 68.27 % intervals.",
    "pulls": "Pulls in bins of {}: prediction - truth over the resolution of the event's bin.",
    "jets": "The jets that are most wrongly classified, as their particles around the axis of the "
    "jet: the area of a circle is proportional to pT, its colour is the true class. Events are "
    "numbered in the evaluated part: run.draw(number) draws one alone.",
    "descent": "Loss and learning rate against the step.",
    "features": "Features of the training part, at most 24. The axis above a panel has the scaled "
    "values; where scaling changes the shape, the scaled feature has a panel of its own.",
    "folds": "Loss of the model of each fold against the step.",
    "variations": "Scores of the variations, normalised, and their ratio to the nominal ones. "
    "Grey: √Σw² of the nominal events.",
}


_OF_EXPLANATION = {
    "spectrum": "Eigenvalues of ∇²J where the descent ended, by size; open: negative ones. The "
    "line is the largest that the last η can bear.",
    "path": "J of the training events along the path, and as the curvature (of a linear model) or "
    "the gradient, J₀ − ∫ η‖∇J‖² dt, predicts it.",
    "sharpness": "ηλmax along the path, of √v̂-preconditioned curvature for Adam and RMSprop, and "
    "the largest that the update rule can bear on a quadratic.",
    "noise": "Gradient noise scale tr Σ/‖∇J‖² along the path, in events, and the batch size.",
    "units": "Shares of dead units, and of saturated values, in each hidden layer at the start and "
    "at the end.",
}


def write_report(folder: RunFolder) -> None:
    """Write report.html from metrics.json, the figures, the recipe, the log and the environment.

    Raises
    ------
    RunFolderError
        One of these files is missing or damaged, or the folder cannot be written.

    Examples
    --------
    >>> from steepest.folder import RunFolder
    >>> write_report(RunFolder("runs/top-jets-1"))  # doctest: +SKIP
    """
    folder.write_text("report.html", render(folder))


@cache
def _template() -> Template:
    """The page, compiled once: each fold and each trial has a report."""
    environment = Environment(
        loader=PackageLoader("steepest.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["typeset"] = _typeset
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.filters["significant"] = lambda value, digits=6: number_text(value, digits)
    return environment.get_template("page.html.jinja")


def render(folder: RunFolder) -> str:
    """Return the page as text."""
    metrics, explanation = folder.metrics or {}, folder.explanation
    return _template().render(
        name=folder.path.resolve().name,
        metrics=metrics,
        rows=merit_rows(metrics),
        heads=head_table(metrics),
        bins=bin_tables(metrics),
        yields=yield_table(metrics),
        efficiencies=efficiency_table(metrics),
        folds=fold_table(metrics),
        variations=variation_table(metrics),
        class_heads=_class_heads(metrics),
        notes=[note for note in (rough_intervals(metrics), *shared_cuts(metrics)) if note],
        chosen=_chosen(metrics),
        verdict=_verdict(metrics),
        warnings=_warnings(metrics, explanation),
        explanation=explanation,
        explained=_explained(folder.path) if explanation else [],
        importance=[
            (name, Merit.from_json(entry).format())
            for name, entry in (metrics.get("importance") or {}).items()
        ],
        figures=_figures(folder.path, metrics),
        coefficients=_coefficients(metrics),
        recipe=folder.recipe.to_toml(),
        log=_text(folder.path / "log.txt"),
        environment=folder.environment or {},
    )


def _warnings(metrics: dict[str, Any], explanation: dict[str, Any] | None) -> list[str]:
    """The run's warnings; what it guessed to be the cause gives way to what was measured."""
    warnings = metrics.get("warnings", [])
    if not explanation:
        return warnings
    return [
        f"{said} Measured: {explanation['verdict']}" if guess else said
        for said, guess, _ in (one.partition(" Likely cause:") for one in warnings)
    ]


def _class_heads(metrics: dict[str, Any]) -> list[str]:
    """Return what the table of events calls the classes."""
    label, classes = metrics.get("label", ""), metrics.get("classes", [])
    if classes == ["0", "1"] and (label == "sample" or re.search(r"[^\w.]", label)):
        return ["background", "signal"]
    return [f"{label} = {name}" for name in classes]


def _typeset(text: str) -> Markup:
    return Markup(with_indices(str(escape(text))))


def merit_rows(metrics: dict[str, Any]) -> list[dict[str, str]]:
    """The table of figures of merit: formatted values, counts, definition."""
    merits = metrics.get("merits", {})
    gain = merits.get("gain", {}).items()
    rows = []
    for name, entry in [*merits.get("model", {}).items(), *gain]:
        linear = merits.get("baseline", {}).get(name)
        merit = Merit.from_json(entry)
        rows.append(
            {
                "name": merit.title,
                "value": merit.format(),
                "baseline": Merit.from_json(linear).format() if linear else "",
                "counts": merit.rests_on,
                "definition": merit.definition,
            }
        )
    return rows


def bin_tables(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """For each table of bins its head, and a row a bin with the formatted values and counts."""
    tables = []
    for entry in metrics.get("bins", []):
        binned = BinnedMerits.from_json(entry)
        first = next(iter(binned.merits.values()))
        ends = [f"{edge:g}" for edge in binned.edges]
        rows = [
            {
                "bin": f"{low} – {high}",
                "values": [merits[index].format() for merits in binned.merits.values()],
                "counts": ", ".join(_unique(m[index].rests_on for m in binned.merits.values())),
            }
            for index, (low, high) in enumerate(pairwise(ends))
        ]
        pulls = (entry.get("pulls") or {}).values()
        tables.append(
            {
                "column": binned.column,
                "head": [merits[0].title for merits in binned.merits.values()],
                "rows": rows,
                "outside": binned.outside,
                "definition": first[0].definition,
                "pulls": [f"{m.title}: {m.format()}" for m in map(Merit.from_json, pulls)],
            }
        )
    return tables


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _chosen(metrics: dict[str, Any]) -> str:
    """Say on which events cuts and resolutions were chosen; nothing where none was."""
    chosen = metrics.get("chosen") or {}
    if not any(chosen.get(key) for key in ("working_point", "significance", "resolution")):
        return ""
    part = chosen["part"]
    end = "" if part != metrics["part"] else ": the evaluated events themselves, for want of others"
    cuts = [
        what
        for key, what in (
            ("working_point", "the cut at the working point, of the figures in bins,"),
            ("significance", "the cut of the significance"),
        )
        if chosen.get(key)
    ]
    what = " and ".join(cuts) or "the resolution of the pulls"
    verb = "were" if len(cuts) > 1 else "was"
    done = "chosen" if cuts else "measured"
    return f"{what[0].upper()}{what[1:]} {verb} {done} on the {part} part{end}."


def _verdict(metrics: dict[str, Any]) -> str:
    """Say whether the model beats its baseline, by how much, and what to try."""
    merits = metrics.get("merits", {})
    name = next((key for key in _COMPARED if key in merits.get("baseline", {})), None)
    if name is None:
        return ""
    model, linear = (Merit.from_json(merits[of][name]) for of in ("model", "baseline"))
    gains = merits.get("gain") or {}
    gain = Merit.from_json(next(iter(gains.values()))) if gains else None
    if gain:
        change, error, amount = gain.value, gain.uncertainty, gain.format()
    else:
        sign = -1 if name == "mean_squared_error" else 1
        change = sign * (model.value - linear.value)
        error = math.hypot(model.uncertainty, linear.uncertainty)
        amount = f"{model.format()} against {linear.format()}"
    title = f"{gain.title if gain else linear.title}: {amount}"
    if abs(change) <= 2 * error and change > -error:
        better = f"is no better than its linear baseline ({title})"
        hint = "the linear model is enough, unless further features or more events help"
    elif change > 0:
        better = f"is better than its linear baseline ({title})"
        hint = _hint(metrics.get("losses", {}), metrics.get("part", "test"))
    else:
        seems = "is" if -change > 2 * error else "seems"
        better = f"{seems} worse than its linear baseline ({title})"
        slightly = any("slightly worse than its linear" in w for w in metrics.get("warnings", []))
        hint = (
            "the linear model (model.hidden = []), which is enough here"
            if slightly
            else "steepest explain, which measures the cause"
        )
    return f"The {metrics['model']['name']} {better}. To try: {hint}."


_COMPARED = ("auc", "auc_macro", "r_squared", "mean_squared_error")


def _hint(losses: dict[str, float], part: str) -> str:
    """Compare the loss of the training part with that of the evaluated part."""
    train, other = losses.get("train", math.nan), losses.get(part, math.nan)
    if part != "train" and other > 1.05 * train:
        return (
            "more events, or a larger descent.l2, since J of the training part is lower "
            f"({train:.4g} against {other:.4g})"
        )
    return "a larger network or a longer descent, since J is the same on all parts"


def _captions(metrics: dict[str, Any]) -> dict[str, str]:
    """Captions by figure, in their order; those of bins by the columns that were asked for."""
    what = {
        "binary": "Signal and background efficiency of the cut at the working point",
        "multiclass": "Share of each class that is called rightly",
        "regression": "Bias and resolution",
    }
    captions = {}
    for name, caption in _CAPTIONS.items():
        if name not in ("bins", "pulls"):
            captions[name] = caption
            continue
        for entry in metrics.get("bins", []):
            figure = f"{name}{entry['figure'].removeprefix('bins')}"
            texts = (what[metrics["task"]], entry["column"])[-caption.count("{}") :]
            captions[figure] = caption.format(*texts)
    return captions


def _explained(folder: Path) -> list[dict[str, str]]:
    """The pictures of the explanation."""
    return _drawn(folder, {f"explain-{name}": text for name, text in _OF_EXPLANATION.items()})


def _figures(folder: Path, metrics: dict[str, Any]) -> list[dict[str, str]]:
    """Figures in the order of the captions, as data URIs."""
    return _drawn(folder, _captions(metrics))


def _drawn(folder: Path, captions: dict[str, str]) -> list[dict[str, str]]:
    found = []
    for name, caption in captions.items():
        file = folder / "figures" / f"{name}.png"
        if file.exists():
            content = base64.b64encode(file.read_bytes()).decode("ascii")
            source = f"data:image/png;base64,{content}"
            found.append({"name": name, "caption": caption, "source": source})
    return found


def _coefficients(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """Those of the model, or else of the baseline, in the features' original units."""
    for which in ("model", "baseline"):
        described = metrics.get(which) or {}
        if described.get("coefficients"):
            classes = metrics.get("classes", []) if metrics.get("task") == "multiclass" else []
            return {
                "name": described["name"],
                "outputs": classes or [metrics.get("label", "")],
                **described["coefficients"],
            }
    return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
