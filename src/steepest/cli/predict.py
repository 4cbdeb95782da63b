"""``steepest predict``: scores beside the events."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["predict"]


def predict(
    model: Annotated[
        str,
        typer.Argument(help="A run's folder, a model's, such as RUN/model, or hf://ORG/NAME."),
    ],
    events: Annotated[
        list[str],
        typer.Argument(help="Files of events, in any format that train reads; globs; hf://."),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The file to write: .parquet .root .h5 .csv; with {stem} one for each file.",
        ),
    ],
    columns: Annotated[
        str,
        typer.Option(
            "--columns",
            metavar="NAMES",
            help="What is copied beside the scores: all, none (then file and row), or pt,eta,…",
        ),
    ] = "all",
    prefix: Annotated[
        str, typer.Option("--prefix", help="Put before the names of the scores: --prefix dnn_")
    ] = "",
    select: Annotated[
        str | None, typer.Option("--select", metavar="CONDITION", help="Leave other events out.")
    ] = None,
    friend: Annotated[
        list[str] | None,
        typer.Option(
            "--friend",
            metavar="PATH",
            help="Further columns of these events, for each friend of the recipe; or none.",
        ),
    ] = None,
    missing: Annotated[
        str,
        typer.Option(
            "--missing",
            metavar="error|nan",
            help="An event that the model cannot score is an error, or its score is NaN.",
        ),
    ] = "error",
    on_bad_file: Annotated[
        str,
        typer.Option(
            "--on-bad-file",
            metavar="stop|skip",
            help="A file that cannot be read is an error, or is left out and told.",
        ),
    ] = "stop",
    rntuple: Annotated[
        bool, typer.Option("--rntuple", help="Write ROOT files as an RNTuple, not a TTree.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the same command was interrupted.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if there is one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Write a model's scores beside the events, in their order.

    For example:

        steepest predict runs/top-jets-1 embedded:top-jets --out scores.parquet

        steepest predict runs/first data.root:tree -o s.root --columns pt,eta

        steepest predict runs/first "jets/*.parquet" -o scores.h5 --resume

        steepest predict runs/first "data/*.root:tree" -o "scores/{stem}.root" --columns none

    The scores are the columns score (two classes: the probability of class 1), score_CLASS and
    predicted (more classes), or prediction (regression). Every event gets one; the recipe's
    selection is not applied. Neither label nor weight is needed.

    Ctrl-C, a kill or a full disk lose little: the same command with --resume goes on, and gives
    the file that it would have given.
    """
    if missing not in ("error", "nan"):
        raise typer.BadParameter(f"--missing is error or nan, not {missing!r}.")
    if on_bad_file not in ("stop", "skip"):
        raise typer.BadParameter(f"--on-bad-file is stop or skip, not {on_bad_file!r}.")
    from steepest.prediction import predict_events
    from steepest.terminal import progress_unless, show_predictions

    with progress_unless(as_json) as callback:
        written = predict_events(
            model,
            events,
            out,
            columns=columns if columns in ("all", "none") else columns.split(","),
            prefix=prefix,
            select=select,
            friends=[] if friend == ["none"] else friend,
            missing=missing,
            on_bad_file=on_bad_file,
            rntuple=rntuple,
            resume=resume,
            overwrite=overwrite,
            callback=callback,
        )
    show_predictions(written, as_json)
