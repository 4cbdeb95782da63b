"""``steepest lecture``: the pictures of a lecture on training, from live runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def lecture(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", help="The folder: new, empty, or a lecture's."),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            "-d",
            metavar="RECIPE|FILE",
            help="A recipe (.toml), whose [events] are used, or files of events (globs; may be "
            "repeated). Left out: the embedded jets.",
        ),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="With files: the column or condition that says signal (1) or background (0).",
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            metavar="A,B,…",
            help="With files: the features; left out, every number but the label.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same pictures.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what lecture.json holds, and nothing else.")
    ] = False,
) -> None:
    """Draw the pictures of a lecture on training, from live runs.

    For example:

        steepest lecture --out lecture

        steepest lecture --data recipe.toml --out mine --seed 3

        steepest lecture --data "jets/*.parquet" --label is_top --out mine

    The descent on a section through J, the logistic function on real scores, η too small, just
    right and too large, local minima and a plateau, a landscape for the title, round against
    stretched contours, batch against stochastic. Each picture is drawn from a descent that is run
    for it, and has its numbers in DIR/lecture.json; DIR/lecture.html shows all of them.

    The label must have two classes. Pictures of two features take the first two: order matters.
    Ctrl-C keeps what is drawn.
    """
    from steepest.lecture import draw, lecture_recipe
    from steepest.terminal import progress_unless, show_lecture

    names = [name.strip() for name in features.split(",") if name.strip()] if features else []
    recipe = lecture_recipe(data or (), label, names)
    with progress_unless(as_json) as callback:
        drawn = draw(recipe, out, seed=seed, callback=callback)
    show_lecture(drawn, as_json)
