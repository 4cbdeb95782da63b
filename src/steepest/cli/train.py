"""``steepest train``: recipe in, run folder out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


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
        Path | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Go on with an interrupted run; with --set descent.epochs=…, for so many epochs.",
        ),
    ] = None,
    finish: Annotated[
        Path | None,
        typer.Option(
            "--finish",
            metavar="RUN",
            help="End an interrupted run now: its best parameters, and a report.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run in the folder --out.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--continue",
            help="Go on with the run in --out if it is there: for jobs that are started again.",
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Measure the curvature meanwhile; end what cannot converge."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what metrics.json holds, and nothing else.")
    ] = False,
) -> None:
    """Train a model, evaluate it, and write a report.

    For example:

        steepest train

        steepest train recipe.toml --out runs/first --set descent.epochs=50

        steepest train --resume runs/first

        steepest train --finish runs/first

        torchrun --nproc-per-node 2 -m steepest train recipe.toml --out runs/first

    Ctrl-C saves a checkpoint and says how to go on; so do SIGTERM and SIGUSR1, as schedulers
    send them. Exit codes: 0 done, 1 something in the input, 3 diverged, 75 to be started again
    (SIGTERM, SIGUSR1), 130 interrupted.
    """
    run_folder = resume or finish
    if run_folder is not None and (recipe or out or overwrite or again or (resume and finish)):
        raise typer.BadParameter(
            "--resume and --finish go on with a run's own recipe; they take no RECIPE or --out."
        )
    if again and (out is None or overwrite):
        raise typer.BadParameter("--continue goes on with the run in --out, and replaces nothing.")
    if finish is not None and settings:
        raise typer.BadParameter("--finish ends a run as it is; it takes no --set.")
    from steepest.evaluate.figures.process import start_ahead

    if is_main():
        start_ahead()
    from steepest import run
    from steepest.recipe import Recipe, default_recipe
    from steepest.terminal import print_json

    progress, changes = not as_json, settings or ()
    if run_folder is not None:
        ended = run.resume(
            run_folder,
            settings=changes,
            finish=finish is not None,
            explain=explain,
            progress=progress,
        )
    else:
        path = recipe if recipe is not None else default_recipe()
        loaded = Recipe.from_toml(path, settings=changes, anchor=recipe is not None)
        ended = run.train(
            loaded, out, overwrite=overwrite, again=again, explain=explain, progress=progress
        )
    if as_json and is_main():
        print_json(ended.metrics)


def is_main() -> bool:
    """Whether this is the first of the ranks that torchrun started, or the only process."""
    return os.environ.get("RANK", "0") == "0"
