"""The verb ``steepest simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    jets: Annotated[int, typer.Option("--jets", help="Number of jets, over all processes.")],
    out: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")],
    seed: Annotated[
        int, typer.Option("--seed", help="Same seed, same jets; 0 to 9,000,000,000.")
    ] = 0,
    processes: Annotated[
        str,
        typer.Option(
            "--processes",
            metavar="NAME,…",
            help="What to make, in equal numbers: top, qcd, top-blv, w, z, h-bb, h-cc, h-gg, "
            "h-4q, h-lvqq.",
        ),
    ] = "top,qcd",
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes; by default one a core. The jets stay the same."),
    ] = None,
    detector: Annotated[
        bool,
        typer.Option(
            "--detector/--no-detector",
            help="Measure the particles with a parametrised detector, or take them as they are.",
        ),
    ] = True,
    leading: Annotated[
        int | None,
        typer.Option("--leading", help="Keep this many constituents in the lists, the hardest."),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits", help="Keep this many bits of mantissa of the constituents, 1 to 23."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if there is one.")
    ] = False,
) -> None:
    """Simulate jets to train on: top quarks, QCD or other processes.

    Pythia 8 makes proton collisions at 14 TeV, a parametrised detector measures them, FastJet
    finds the jets: anti-kT R = 0.8, 550 to 650 GeV, the recipe of the top-tagging reference set
    (arXiv:1902.09914). The file has the jets' mass and substructure and all their constituents.

    Example: 10,000 jets in a few minutes, and what is in them:

        steepest simulate --jets 10000 --out jets.parquet --seed 1

        python -c "import polars; print(polars.read_parquet('jets.parquet'))"

    Half of the jets are tops (is_top = 1). Ctrl-C keeps what is made so far. To train on them,
    a recipe needs no more than path = "jets.parquet" and label = "is_top".

    Three classes of jets, for label = "process":

        steepest simulate --jets 9000 --processes w,h-bb,qcd --out c.parquet

    Needs Pythia and FastJet: pip install 'steepest[simulate]'.
    """
    from rich.console import Console
    from rich.filesize import decimal

    from steepest.simulate import simulate_jets

    summary = simulate_jets(
        out,
        jets,
        seed=seed,
        processes=[name.strip() for name in processes.split(",") if name.strip()],
        workers=workers,
        detector=detector,
        leading=leading,
        bits=bits,
        progress=True,
        overwrite=overwrite,
    )
    Console(stderr=True).print(
        f"{summary.jets:,} jets in {summary.path}: {decimal(summary.size)}, "
        f"{summary.seconds:.0f} s, {summary.rate:.0f} jets/s a worker",
        highlight=False,
        soft_wrap=True,
    )
