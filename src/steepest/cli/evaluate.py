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
            help="Other events with the recipe's columns (globs; may be repeated); all are used. "
            "Of a recipe with samples: NAME=FILE.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="COLUMN", help="The label of other events: a column or expression."
        ),
    ] = None,
    on_bad_file: Annotated[
        str | None,
        typer.Option(
            "--on-bad-file",
            metavar="stop|skip",
            help="In place of the recipe's events.on_bad_file.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Compute a run's figures of merit, with uncertainties, and draw its figures.

    For example:

        steepest evaluate runs/top-jets-1

        steepest evaluate runs/top-jets-1 --events more.parquet --json

        steepest evaluate runs/z-1 --events "zz=new/zz*.root" --events "ttbar=new/tt*.root"
    """
    if on_bad_file not in (None, "stop", "skip"):
        raise typer.BadParameter(f"--on-bad-file is stop or skip, not {on_bad_file!r}.")
    from steepest import training
    from steepest.terminal import progress_unless, show_evaluation

    with progress_unless(as_json) as callback:
        metrics = training.evaluate_run(
            run, events, callback, draw=True, label=label, on_bad_file=on_bad_file
        )
    show_evaluation(metrics, as_json)
