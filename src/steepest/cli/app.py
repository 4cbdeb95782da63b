"""The application: its verbs, and how errors leave it."""

from __future__ import annotations

import functools
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer

from steepest._version import __version__
from steepest.cli.compare import compare
from steepest.cli.evaluate import evaluate
from steepest.cli.explain import explain
from steepest.cli.lab import lab
from steepest.cli.landscape import landscape
from steepest.cli.lecture import lecture
from steepest.cli.predict import predict
from steepest.cli.recipe import from_weaver
from steepest.cli.runs import runs
from steepest.cli.share import share
from steepest.cli.simulate import simulate
from steepest.cli.sweep import sweep
from steepest.cli.train import train
from steepest.errors import Interrupted, SteepestError

app = typer.Typer(
    name="steepest",
    help="""Gradient descent for particle physicists.

    Train a model on collision events, and see what the training did.

    `steepest train` without arguments trains on jets that come with the package.
    """,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # Rich would take half of the time of --help to import
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


def _answered(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb, with every foreseen error turned into a message and an exit code."""

    @functools.wraps(verb)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            verb(*args, **kwargs)
            sys.stdout.flush()  # here, where a reader that has gone is no traceback
        except SteepestError as error:
            if not getattr(error, "said", False):  # by another rank
                _complain(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            _complain("Interrupted.")
            raise typer.Exit(Interrupted.exit_code) from None
        except MemoryError as error:
            _complain(
                f"There is not enough memory: {error or 'a smaller model or sample is needed'}."
            )
            raise typer.Exit(1) from None
        except BrokenPipeError:  # the reader of our output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None

    return run


def _complain(text: str) -> None:
    print(f"steepest: {text}", file=sys.stderr)


for _verb in (
    train, sweep, evaluate, explain, runs, compare, predict, share, landscape, lecture, lab,
    simulate,
):  # fmt: skip
    app.command()(_answered(_verb))

_recipe = typer.Typer(
    help="Make recipes from the configurations of other programs.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
_recipe.callback()(lambda: None)
_recipe.command("from-weaver")(_answered(from_weaver))
app.add_typer(_recipe, name="recipe")


def main() -> None:
    """Run the command line."""
    warnings.filterwarnings("ignore", module="matplotlib")  # of layouts and fonts: no user's matter
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        app()
    finally:
        gc.freeze()  # the process ends: no search for garbage, which would take half a second
