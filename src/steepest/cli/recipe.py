"""``steepest recipe``: recipes from the configurations of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def from_weaver(
    file: Annotated[Path, typer.Argument(help="The data configuration of weaver (YAML).")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write it here, and not to the terminal."),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option("--events", metavar="PATH", help="The files of events; may be repeated."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="model.name, such as particle-net."),
    ] = None,
) -> None:
    """Make a recipe of weaver's data configuration, and list what it cannot carry over.

    For example:

        steepest recipe from-weaver data.yaml --events "jets/*.root:tree" --out recipe.toml

    Needs: pip install 'steepest[weaver]'.
    """
    from steepest.errors import InputError
    from steepest.recipe.toml import anchor_paths
    from steepest.weaver import from_weaver as convert

    if out is not None and out.exists():
        raise InputError(f"{out} exists.", expected="a new file", do="choose another with --out")
    paths = None if not events else events[0] if len(events) == 1 else events
    converted = convert(file, paths, model)
    if out is None:
        typer.echo(converted.to_toml(), nl=False)
        return
    if out.resolve().parent != Path.cwd():  # a recipe's paths are relative to its folder
        anchor_paths(converted.table, Path.cwd())
    out.write_text(converted.to_toml(), encoding="utf-8")
    for note in converted.notes:
        typer.echo(f"· {note}", err=True)
    typer.echo(f"Recipe: {out}")
