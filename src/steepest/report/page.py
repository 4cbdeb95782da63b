"""Collect what a run's folder holds, and lay it out on a page without outside references."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from steepest.evaluate import Merit
from steepest.folder import RunFolder

__all__ = ["render", "write_report"]

_CAPTIONS = {
    "roc": "Background rejection 1/ε_B against signal efficiency ε_S. Bands: 68.27 % intervals; "
    "curves end where fewer than three background events pass.",
    "scores": "Scores of the training part (filled) and of the evaluated part (points, √Σw²), "
    "each normalised, with the Kolmogorov test of one against the other.",
    "confusion": "Confusion matrix: share of each true class that is called what.",
    "residuals": "Prediction against truth, and the residual.",
    "descent": "Loss and learning rate against the step.",
    "features": "Features of the training part, before and after scaling.",
}


def write_report(folder: RunFolder) -> None:
    """Write report.html from metrics.json, the figures, the recipe, the log and the environment."""
    folder.write_text("report.html", render(folder))


def render(folder: RunFolder) -> str:
    """Return the page as text."""
    environment = Environment(
        loader=PackageLoader("steepest.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.filters["significant"] = lambda value, digits=6: f"{value:.{digits}g}"
    metrics = folder.metrics or {}
    return environment.get_template("page.html.jinja").render(
        name=folder.path.resolve().name,
        metrics=metrics,
        rows=merit_rows(metrics),
        figures=_figures(folder.path),
        coefficients=_coefficients(metrics),
        recipe=folder.recipe.to_toml(),
        log=_text(folder.path / "log.txt"),
        environment=folder.environment or {},
    )


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


def _figures(folder: Path) -> list[dict[str, str]]:
    """Figures in the order of the captions, as data URIs."""
    found = []
    for name, caption in _CAPTIONS.items():
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
