"""``steepest runs``: what lies under a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDERS]…", help="Folders with runs in them [default: runs]."),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort", metavar="KEY", help="when, name, status, model, or a figure of merit."
        ),
    ] = "when",
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """List runs: name, when, status, model, and a figure of merit with its uncertainty.

    For example:

        steepest runs

        steepest runs runs/sweep --sort auc

    By a figure of merit, the largest value comes first, and runs without it last.
    """
    from steepest.listing import list_runs
    from steepest.terminal import print_json, show_runs

    found = list_runs(folders or [Path("runs")], sort, reverse)
    if as_json:
        print_json([run.to_json() for run in found])
    else:
        show_runs(found)
