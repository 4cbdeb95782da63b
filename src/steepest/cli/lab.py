"""``steepest lab``: gradient descent in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lab(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUNS…]",
            help="Run folders, or folders with runs in them; left out: runs/, if it is there.",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "-d",
            metavar="RECIPE|FILE",
            help="Events for the playground: a recipe (.toml), whose [events] are used, or files "
            "of events (may be repeated).",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="COLUMN", help="With files: the label.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="A,B,…",
            help="With files: the features; left out, every number but the label.",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="0 takes any free port.")
    ] = 8765,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Another address than 127.0.0.1 needs the token that is printed."
        ),
    ] = "127.0.0.1",
    export: Annotated[
        Path | None,
        typer.Option(
            "--export", metavar="DIR", help="Write the playground as a static site instead."
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
) -> None:
    """Show gradient descent in the browser: a playground, and runs as they train.

    For example:

        steepest lab

        steepest lab runs/ --data jets.parquet --label is_top --features mass,tau32

        steepest lab --export site

    The playground computes in the browser what `steepest train` computes: every state of it has a
    link, and exports as a recipe that gives the same descent. Runs under the given folders are
    found as they appear, and can be started, stopped and resumed; what is started goes on when the
    page, or this command, ends.

    Needs: pip install 'steepest[lab]'. Ctrl-C ends it.
    """
    from steepest.lab.command import run_lab

    names = [name.strip() for name in features.split(",") if name.strip()] if features else []
    run_lab(
        runs,
        data or [],
        label,
        names,
        host=host,
        port=port,
        export=export,
        browser=browser,
        say=typer.echo,
    )
