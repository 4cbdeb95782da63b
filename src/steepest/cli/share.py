"""``steepest share``: a model, or events, for others."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from steepest.share import Target


def share(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|FILE…",
            help="A run's folder; with --onnx any model, hf:// too; with --data files of events.",
        ),
    ],
    data: Annotated[
        bool,
        typer.Option("--data", help="Share events: FILE or SPLIT=FILE, such as test=jets.root."),
    ] = False,
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
    onnx: Annotated[
        Path | None,
        typer.Option("--onnx", metavar="FILE", help="Write the model as ONNX, and send nothing."),
    ] = None,
    float32: Annotated[
        bool, typer.Option("--float32", help="With --onnx: inputs and network in float32.")
    ] = False,
    purpose: Annotated[
        str | None,
        typer.Option("--for", metavar="hls4ml|weaver", help="With --onnx: the form of these."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Share a model or events: on the Hugging Face Hub with a card, or a model as ONNX.

    For example:

        steepest share runs/top-jets-1 --to dl4phys/top-tagger --dry-run

        steepest share runs/top-jets-1 --to dl4phys/top-tagger --private

        steepest share runs/top-jets-1 --onnx top-tagger.onnx

        steepest share --data train=jets/*.root test=test.root --to dl4phys/top-jets

    The account is that of `hf auth login`, or of the token in HF_TOKEN. All files go there in one
    commit; if the command is interrupted, the same command completes it.
    """
    if data and (onnx is not None or merits is not None):
        raise typer.BadParameter("--onnx and --merits are of a model.", param_hint="--data")
    if not data and len(what) != 1:
        raise typer.BadParameter("One run; files of events go with --data.", param_hint="RUN")
    if onnx is None and (float32 or purpose is not None):
        raise typer.BadParameter("--float32 and --for go with --onnx.", param_hint="--onnx")
    if onnx is not None:
        _write_onnx(what[0], onnx, float32, purpose, as_json)
        return
    if to is None:
        raise typer.BadParameter("Say where: --to ORG/NAME, or --onnx FILE.", param_hint="--to")
    from steepest.share import Target, prepare, share_run, write_shared
    from steepest.terminal import show_prepared, show_published

    if data:
        target = Target(to, "dataset", private or None, pull_request)
        _share_events(what, target, folder, dry_run, license, as_json)
        return
    run = what[0]
    names = merits.split(",") if merits is not None else None
    if folder is not None:
        write_shared(run, folder, to, license=license, merits=names)
        typer.echo(f"Written: {folder}")
    elif dry_run:
        prepared = prepare(run, to, license=license, merits=names)
        show_prepared(prepared, to, as_json)
    else:
        target = Target(to, private=private or None, pull_request=pull_request)
        show_published(share_run(run, target, license=license, merits=names), as_json)


def _share_events(
    files: list[str],
    target: Target,
    folder: Path | None,
    dry_run: bool,
    license: str | None,
    as_json: bool,
) -> None:
    from steepest.share import prepare_events, share_events, write_events
    from steepest.terminal import progress_unless, show_prepared, show_published

    with progress_unless(as_json) as callback:
        options = {"license": license, "callback": callback}
        if folder is not None:
            write_events(files, folder, target.repo, **options)
            show = partial(typer.echo, f"Written: {folder}")
        elif dry_run:
            prepared = prepare_events(files, target.repo, **options)
            show = partial(show_prepared, prepared, target.repo, as_json)
        else:
            show = partial(show_published, share_events(files, target, **options), as_json)
    show()


def _write_onnx(source: str, path: Path, float32: bool, purpose: str | None, as_json: bool) -> None:
    from steepest.share import load
    from steepest.share.onnx import write_onnx
    from steepest.terminal import show_published

    show_published(write_onnx(load(source), path, float32=float32, purpose=purpose), as_json)
