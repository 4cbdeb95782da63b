"""``steepest evaluate``: the figures of merit of a run, on its test part or on other events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    events: Annotated[
        list[str] | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Other events with the recipe's columns (globs; may be repeated); all are used.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Compute a run's figures of merit, with uncertainties, and draw its figures.

    For example:

        steepest evaluate runs/top-jets-1

        steepest evaluate runs/top-jets-1 --events more.parquet --json
    """
    from steepest import training
    from steepest.terminal import progress_unless, show_evaluation

    with progress_unless(as_json) as callback:
        metrics = training.evaluate_run(run, events, callback, draw=True)
    show_evaluation(metrics, as_json)
