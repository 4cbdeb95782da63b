"""``steepest compare``: two or more runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[Path], typer.Argument(help="The folders of two runs or more.")],
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure",
            metavar="FILE",
            help="Draw the results and losses of all runs: .png, .pdf or .svg, with their numbers.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Compare runs: what differs in their recipes, and whether their results differ.

    For example:

        steepest compare runs/first runs/wide --figure both.png

    Where all runs have the same test events, differences are those of the models on these events,
    with their significance.
    """
    from steepest.comparison import compare_runs
    from steepest.terminal import print_json, progress_unless, show_comparison

    with progress_unless(as_json) as callback:
        comparison = compare_runs(runs, callback)
    if figure is not None:
        from steepest.evaluate.figures import save
        from steepest.folder.files import write_json

        figure = save(comparison.figure(), figure)
        write_json(figure.with_suffix(".json"), comparison.figure_numbers())
    if as_json:
        print_json(comparison.to_json())
    else:
        show_comparison(comparison, figure)
