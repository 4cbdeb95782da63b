"""``steepest train``: recipe in, run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train"]


def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(help="A recipe (TOML). Left out: a dense network on the embedded jets."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A new folder for the run; default: runs/NAME-1, -2, …"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="Change a key of the recipe: --set descent.learning_rate=0.1; may be repeated.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Go on with an interrupted run.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what metrics.json holds, and nothing else.")
    ] = False,
) -> None:
    """Train a model, evaluate it, and write a report.

    For example:

        steepest train

        steepest train recipe.toml --out runs/first --set descent.epochs=50

        steepest train --resume runs/first

    Ctrl-C saves a checkpoint and says how to go on. Exit codes: 0 done, 1 something in the
    input, 3 diverged, 130 interrupted.
    """
    if resume is not None and (recipe is not None or out is not None or settings):
        raise typer.BadParameter(
            "--resume goes on with a run's own recipe; it takes no RECIPE, --out or --set."
        )
    from steepest import run
    from steepest.recipe import Recipe, default_recipe
    from steepest.terminal import progress_unless, show_results

    with progress_unless(as_json) as callback:
        if resume is not None:
            finished = run.resume(resume, callback=callback)
        else:
            path = recipe if recipe is not None else default_recipe()
            loaded = Recipe.from_toml(path, settings=settings or (), anchor=recipe is not None)
            finished = run.train(loaded, out, callback=callback)
    show_results(finished.metrics or {}, finished.report, as_json)
