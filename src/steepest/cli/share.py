"""``steepest share``: a model, or events, for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def share(
    what: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="A run's folder; with --data, files of events."),
    ],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="ORG/NAME", help="Where on the Hugging Face Hub."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Write the folder with the card here, and send nothing."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository a private one.")
    ] = False,
    pull_request: Annotated[
        bool, typer.Option("--pull-request", help="Propose it, in place of committing it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
    ] = False,
    license: Annotated[
        str | None,
        typer.Option("--license", metavar="ID", help="As the Hub writes it: bsd-3-clause, …"),
    ] = None,
    merits: Annotated[
        str | None,
        typer.Option("--merits", metavar="NAMES", help="Figures of merit that the card tells."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Share a model: its folder, with a card, on the Hugging Face Hub.

    For example:

        steepest share runs/top-jets-1 --to dl4phys/top-tagger --dry-run

        steepest share runs/top-jets-1 --to dl4phys/top-tagger --private

    The account is that of `hf auth login`, or of the token in HF_TOKEN. All files go there in one
    commit; if the command is interrupted, the same command completes it.
    """
    if len(what) != 1:
        raise typer.BadParameter("Give one run.", param_hint="RUN")
    if to is None:
        raise typer.BadParameter("Say where: --to ORG/NAME.", param_hint="--to")
    from steepest.share import Target, prepare, share_run, write_shared
    from steepest.terminal import show_prepared, show_published

    names = merits.split(",") if merits is not None else None
    if folder is not None:
        write_shared(what[0], folder, to, license=license, merits=names)
        typer.echo(f"Written: {folder}")
    elif dry_run:
        prepared = prepare(what[0], to, license=license, merits=names)
        show_prepared(prepared, to, as_json)
    else:
        target = Target(to, private=private or None, pull_request=pull_request)
        show_published(share_run(what[0], target, license=license, merits=names), as_json)
