"""The application: its verbs, and how errors leave it."""

from __future__ import annotations

import os
import sys

import typer

from steepest._version import __version__
from steepest.cli.evaluate import evaluate
from steepest.cli.simulate import simulate
from steepest.cli.train import train
from steepest.errors import SteepestError

__all__ = ["app", "main"]

app = typer.Typer(
    name="steepest",
    help="""Gradient descent for particle physicists.

    Train a model on collision events, and see what the training did.

    `steepest train` without arguments trains on jets that come with the package.
    """,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"steepest {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


app.command()(train)
app.command()(evaluate)
app.command()(simulate)


def main() -> None:
    """Run the command line; every foreseen error becomes a message and an exit code."""
    try:
        app()
    except SteepestError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("Interrupted.")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _complain(text: str) -> None:
    print(f"steepest: {text}", file=sys.stderr)
