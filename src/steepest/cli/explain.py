"""``steepest explain``: why a run went as it did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN|LOG",
            help="A run's folder, or a log: CSV, trainer_state.json, TensorBoard's event files.",
        ),
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option("--before", metavar="RECIPE", help="Predict a recipe's descent instead."),
    ] = None,
    no_try: Annotated[
        bool, typer.Option("--no-try", help="Do not try the fixes by training again.")
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", help="Write the recipe with the best fix."),
    ] = None,
    step: Annotated[
        str | None, typer.Option("--step", metavar="COLUMN", help="Of a log: the step.")
    ] = None,
    loss: Annotated[
        str | None, typer.Option("--loss", metavar="COLUMN", help="Of a log: the training loss.")
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option("--validation", metavar="COLUMN", help="Of a log: the validation loss."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="COLUMN", help="Of a log: the learning rate.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Explain why a run converged, crawled, oscillated or diverged, with the fix tried.

    For example:

        steepest explain runs/top-jets-1 --write better.toml

    Measures the curvature, gradients, layers and events of the run, names causes with the number
    that proves each, and trains again with each fix for at most a minute. explanation.json in the
    run's folder has all the numbers.

        steepest explain --before recipe.toml

    predicts a descent that has not begun: the largest stable η, the best η and momentum, steps to
    the minimum with and without scaling, the noise scale, the time.

        steepest explain losses.csv --loss J

    says what the losses of another program tell, and what they cannot.
    """
    from steepest.errors import InputError, Interrupted
    from steepest.explain import refuse_existing, write_mended
    from steepest.explain.logs import explain_log, is_log
    from steepest.run import Run
    from steepest.terminal import print_json, progress_unless

    if (run is None) == (before is None):
        raise InputError(
            "One of RUN and --before is needed.",
            expected="steepest explain RUN, steepest explain LOG, or steepest explain --before "
            "RECIPE",
            found="neither" if run is None else "both",
        )
    if before is not None:
        if write is not None:
            raise InputError(
                "--before tries no change, so there is no recipe to write.",
                expected="steepest explain --before RECIPE, or steepest explain RUN --write FILE",
                do="leave --write out",
            )
        _predict(before, as_json)
        return
    assert run is not None
    refuse_existing(write)
    columns = {"step": step, "loss": loss, "validation": validation, "rate": rate}
    if is_log(run):
        explanation = explain_log(run, **columns)
    else:
        if any(columns.values()):
            raise InputError(
                f"{run} is no log, so it has no columns to name.",
                expected="a run's folder alone, or a log",
                found=", ".join(f"--{name}" for name, given in columns.items() if given),
                do="leave these options out",
            )
        with progress_unless(as_json) as callback:
            explanation = Run(run).explain(try_fixes=not no_try, callback=callback)
    unwritten = "" if write is None else write_mended(explanation, write)
    if as_json:
        print_json(explanation.to_json())
    else:
        typer.echo(str(explanation))
        if write is not None and not unwritten:
            typer.echo(f"\nRecipe: {write}")
    if unwritten:
        typer.echo(unwritten, err=True)
    if explanation.interrupted:
        raise typer.Exit(Interrupted.exit_code)


def _predict(path: Path, as_json: bool) -> None:
    from steepest.explain import forecast
    from steepest.recipe import Recipe
    from steepest.terminal import print_json, progress_unless

    with progress_unless(as_json) as callback:
        predicted = forecast(Recipe.from_toml(path), callback)
    if as_json:
        print_json(predicted.to_json())
    else:
        typer.echo(str(predicted))
