"""``steepest landscape``: the loss surface around a trained model, with the path to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from steepest.landscape import Landscape
    from steepest.training import TrainingCallback


def landscape(
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    others: Annotated[
        list[str] | None,
        typer.Argument(
            help="With --directions through: other runs, RUN2 or RUN2@STEP. With --directions "
            "parameters: names, such as mass,tau32 or mass,intercept."
        ),
    ] = None,
    directions: Annotated[
        str,
        typer.Option(
            "--directions",
            "-d",
            metavar="KIND",
            help="random, principal, hessian, through or parameters; left out: principal where "
            "the run has a path, else random.",
        ),
    ] = "auto",
    one_dimensional: Annotated[
        bool, typer.Option("--one-dimensional", "-1", help="A line instead of a plane.")
    ] = False,
    points: Annotated[
        int | None,
        typer.Option("--points", help="Points along each axis: 51, of networks of particles 25."),
    ] = None,
    extent: Annotated[
        str | None,
        typer.Option(
            "--extent",
            metavar="NUMBERS",
            help="A half width, or low,high of each axis: --extent=1.5 --extent=-1,1,-2,2",
        ),
    ] = None,
    events: Annotated[
        int | None,
        typer.Option("--events", help="Use so many events at most, the same at every point."),
    ] = None,
    standard_error: Annotated[
        float | None,
        typer.Option(
            "--standard-error",
            metavar="PART",
            help="As many events as it takes for this accuracy: 0.01 is one percent of J.",
        ),
    ] = None,
    part: Annotated[
        str, typer.Option("--part", metavar="PART", help="train, validation or test.")
    ] = "train",
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same picture.")] = 0,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="The folder in RUN/landscape; left out: that of the directions."
        ),
    ] = None,
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page", help="The interactive page; left out: where Plotly is installed."
        ),
    ] = None,
    animation: Annotated[
        bool, typer.Option("--animation/--no-animation", help="The descent as GIF (and MP4).")
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what landscape.json holds, and nothing else.")
    ] = False,
) -> None:
    """Draw the loss around a trained model, and the path to it.

    For example:

        steepest landscape runs/top-jets-1

        steepest landscape runs/top-jets-1 -d random --standard-error 0.01

        steepest landscape runs/a --directions through runs/b

        steepest landscape runs/logistic --directions parameters mass,tau32

    J is computed on the run's own events. The directions are random (the neighbourhood, neuron by
    neuron), principal (the plane that holds most of the path), hessian (the stiffest direction and
    that of lowest curvature), through other runs (a line or a plane), or named parameters of a
    linear model. Beside each point of the path stands its true loss.

    Ctrl-C keeps what is done; the same command goes on. Figures, tables and landscape.json are in
    RUN/landscape/NAME. The interactive page needs: pip install 'steepest[landscape]'.
    """
    from steepest.run import Run
    from steepest.terminal import progress_unless, show_landscape

    numbers = _numbers(extent)
    if page:
        from steepest.landscape.figures.page import require_plotly

        require_plotly()
    with progress_unless(as_json) as callback:
        drawn = Run(run).landscape(
            directions,
            *(others or ()),
            one_dimensional=one_dimensional,
            points=points,
            extent=numbers,
            events=events,
            standard_error=standard_error,
            seed=seed,
            part=part,
            name=name,
            callback=callback,
        )
        _draw(drawn, callback, page, animation)
    show_landscape(drawn, as_json)


def _draw(drawn: Landscape, callback: TrainingCallback, page: bool | None, animation: bool) -> None:
    from steepest.landscape.figures.page import has_plotly

    callback.stage("Drawing figures")
    drawn.write_figures()
    if page or (page is None and has_plotly()):
        drawn.write_page()
    elif page is None:
        callback.say("No interactive page without Plotly: pip install 'steepest[landscape]'.")
    if animation and drawn.picture.has_descent:
        callback.stage("Drawing the animation")
        drawn.write_animation()


def _numbers(extent: str | None) -> tuple[float, ...] | None:
    if extent is None:
        return None
    try:
        return tuple(float(value) for value in extent.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"--extent is a number, or low,high for each axis, not {extent!r}."
        ) from None
