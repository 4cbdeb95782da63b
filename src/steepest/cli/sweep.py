"""``steepest sweep``: many runs of a recipe, with keys in ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sweep(
    recipe: Annotated[Path, typer.Argument(help="A recipe (TOML).")],
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=RANGE",
            help="log(a,b), uniform(a,b), int(a,b) or choice(a,b,…), or an ordinary value; "
            "may be repeated.",
        ),
    ],
    trials: Annotated[
        int, typer.Option("--trials", "-n", metavar="N", help="So many trials in all.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder of the sweep [default: runs/NAME-sweep]."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="A database for the study, in place of SQLite in --out.",
        ),
    ] = None,
    pruner: Annotated[
        str,
        typer.Option(
            "--pruner", metavar="NAME", help="median, hyperband, successive-halving, none."
        ),
    ] = "median",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what Optuna draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Search for the keys of a recipe with the lowest validation loss, by Optuna.

    For example:

        steepest sweep recipe.toml --trials 30 --set "descent.learning_rate=log(1e-4,1)"

        steepest sweep recipe.toml -n 50 -s "model.hidden=choice([32],[64,64])" -s descent.epochs=5

    Each trial is an ordinary run in --out. The same command goes on after Ctrl-C, and with a larger
    --trials; started several times, the processes share the trials. The test part is never used
    to choose. Needs: pip install 'steepest[sweep]'.
    """
    from steepest.sweeps import sweep as run_sweep
    from steepest.terminal import show_sweep

    found = run_sweep(
        recipe, settings, trials, out, storage=storage, pruner=pruner, seed=seed,
        progress=not as_json,
    )  # fmt: skip
    if as_json:
        show_sweep(found, as_json)
