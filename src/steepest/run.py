"""Run, the public object: what a training left, and what can be asked of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from steepest import training
from steepest.folder import RunFolder
from steepest.prediction import Predictions, predict_events
from steepest.ranks.distributed import joined
from steepest.recipe import Recipe
from steepest.shown import reported, show, shown, watched
from steepest.trained import TrainedModel

if TYPE_CHECKING:
    from steepest.comparison import Comparison
    from steepest.explain import Explanation
    from steepest.landscape import Landscape
    from steepest.plots import Plots
    from steepest.share import Prepared, Published
    from steepest.share.onnx import Exported

__all__ = ["Run", "compare", "predict", "resume", "train"]


class Run:
    """A finished or interrupted run, read from its folder.

    Parameters
    ----------
    path
        The run's folder.

    Raises
    ------
    RunFolderError
        If there is no run at `path`, or what is asked for is not there yet.

    Examples
    --------
    >>> run = Run("runs/top-jets-1")  # doctest: +SKIP
    >>> run.metrics["merits"]["model"]["auc"]["value"]  # doctest: +SKIP
    >>> run.history.filter(run.history["validation_loss"].is_not_null())  # doctest: +SKIP
    """

    def __init__(self, path: str | Path) -> None:
        self._folder = RunFolder(path)

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def recipe(self) -> Recipe:
        """What was asked for."""
        return self._folder.recipe

    @property
    def metrics(self) -> dict[str, Any] | None:
        """What metrics.json holds; None while the run is not done."""
        return self._folder.metrics

    @property
    def history(self) -> pl.DataFrame:
        """Every recorded step and validation, a row each; of a running one those so far."""
        return pl.DataFrame(pl.from_arrow(self._folder.history))

    @property
    def progress(self) -> dict[str, Any] | None:
        """How far a running descent is: step, epoch, loss, seconds, …; None where none is running.

        Reading it makes and locks nothing. It is at most a second old while steps are taken.
        """
        return self._folder.progress

    @property
    def model(self) -> TrainedModel:
        """The trained model."""
        return self._folder.model

    @property
    def plot(self) -> Plots:
        """The figures of the report, drawn again: ``run.plot.roc()``, ``run.plot.loss(axes)``."""
        from steepest.plots import Plots

        return Plots(self._folder)

    @property
    def folds(self) -> list[Run]:
        """The runs of the folds, in order; empty for a run with one model."""
        return [Run(folder.path) for folder in self._folder.folds]

    @property
    def report(self) -> Path:
        """Where the report lies."""
        return self.path / "report.html"

    def predict(self, features: ArrayLike) -> np.ndarray:
        """Predict from raw features; other events change no event's prediction, but for rounding.

        Parameters
        ----------
        features
            ``(events, features)`` in the units of the training, in the order of `model.names`;
            categories as text, what is missing as NaN, None or the value that the recipe names.

        Returns
        -------
        numpy.ndarray
            float64: values ``(events,)`` for regression, P(signal) ``(events,)`` for two classes,
            probabilities ``(events, K)`` in the order of `model.classes` for K.

        Raises
        ------
        RunFolderError
            The run has no model yet, or it is damaged.
        EventsError
            The columns are not the features; a value is not finite, or a category is unknown.
        """
        return self.model.predict(features)

    def draw(self, event: Any, axes: Any = None) -> Any:
        """Draw a jet as its particles in the η–φ plane, with its score above.

        Parameters
        ----------
        event
            The number of an event of the evaluated part, as the report has it: the run's events are
            read again; or the jet itself, as a record of an awkward array or a dict, with an array
            for each of px, py, pz and energy, or pt, eta, phi and energy or mass, and for each
            further feature of the training.
        axes
            Matplotlib axes to draw into; left out, a new figure.

        Raises
        ------
        RunFolderError, EventsError
            The run has no model that reads particles; there is no such event, or it is no jet.

        Examples
        --------
        >>> run.draw(1234).set_title("Called a top")  # doctest: +SKIP
        """
        from steepest.evaluate import figures
        from steepest.training.jets import picture_of

        return figures.drawn_into(picture_of(self._folder, event), axes)

    def evaluate(
        self,
        events: str | list[str] | Mapping[str, str | list[str]] | None = None,
        *,
        label: str | None = None,
        on_bad_file: str | None = None,
        progress: bool = True,
        callback: training.TrainingCallback | None = None,
    ) -> dict[str, Any]:
        """Compute the figures of merit again, weighted, with uncertainties and counts.

        Parameters
        ----------
        events
            A path or paths of other events, selected from and weighted as the recipe says; or those
            of each of the recipe's samples by its name. Left out: the run's own test part.
        label
            A column or expression of the other events that stands for the recipe's label.
        on_bad_file
            "stop" or "skip", in place of the recipe's.
        progress, callback
            As `train` takes them.

        Returns
        -------
        dict
            As metrics.json holds them: ``part``, ``events`` and ``merits``.

        Raises
        ------
        RunFolderError
            The run has no model yet, or it is damaged.
        EventsError
            The events cannot be read, lack a column, or have labels that the model does not know.

        Examples
        --------
        >>> run.evaluate("more.parquet")["merits"]["model"]["auc"]  # doctest: +SKIP
        """
        with shown(progress, callback) as told:
            metrics = training.evaluate_run(
                self.path, events, told, label=label, on_bad_file=on_bad_file
            )
        show("evaluation", metrics, progress, callback)
        return metrics

    def landscape(
        self,
        directions: str = "auto",
        *others: str,
        one_dimensional: bool = False,
        points: int | None = None,
        extent: Sequence[float] | float | None = None,
        events: int | None = None,
        standard_error: float | None = None,
        seed: int = 0,
        part: str = "train",
        name: str | None = None,
        progress: bool = True,
        callback: training.TrainingCallback | None = None,
    ) -> Landscape:
        """J on a line or plane around the trained model, with the path that training took.

        The numbers are written into ``RUN/landscape/NAME/``; `Landscape.write_figures` adds the
        figures. Interrupted, the same call goes on where it was.

        Parameters
        ----------
        directions
            "random", "principal", "hessian", "through" or "parameters"; "auto" is "principal"
            where the run has a path, else "random".
        others
            With "through", other runs (``"RUN"`` or ``"RUN@STEP"``); with "parameters", one name
            or two.
        one_dimensional
            A line instead of a plane.
        points, extent
            Points along each axis, 51 if left out, 25 of networks of PyTorch; a half width, or a
            low and a higher end for each axis.
        events, standard_error
            So many events at most, all if left out, 2,048 of networks of PyTorch; as many as it
            takes for the standard error of J to be at most this part of J at every point.
        seed
            Of random directions and of the order of the events.
        part
            "train", "validation" or "test".
        name
            The folder in ``RUN/landscape``.
        progress, callback
            As `train` takes them.

        Raises
        ------
        RunFolderError
            The run is not finished, or has no path where one is needed.
        InputError
            Directions that do not go with the model or are parallel; too many points for memory.
        Interrupted
            After Ctrl-C; what is done is kept.

        Examples
        --------
        >>> landscape = run.landscape("random", seed=1)  # doctest: +SKIP
        >>> landscape.losses.shape  # doctest: +SKIP
        (51, 51)
        >>> landscape.contour()  # doctest: +SKIP
        """
        from steepest.landscape import LandscapeOptions, landscape_of_run

        if isinstance(extent, int | float):
            extent = (float(extent),)
        options = LandscapeOptions(
            directions=directions,
            others=tuple(others),
            dimensions=1 if one_dimensional else 2,
            points=points,
            extent=None if extent is None else tuple(extent),
            events=events,
            standard_error=standard_error,
            seed=seed,
            name=name,
        )
        with shown(progress, callback) as told:
            drawn = landscape_of_run(self.path, options, part=part, callback=told)
        show("landscape", drawn, progress, callback)
        return drawn

    def explain(
        self,
        *,
        try_fixes: bool = True,
        progress: bool = True,
        callback: training.TrainingCallback | None = None,
    ) -> Explanation:
        """Say why the run converged, crawled, oscillated or diverged, with numbers.

        Each fix is tried: the same descent with it, for 6,000 steps or a minute at most. The run's
        folder gets explanation.json, and its report a section.

        Parameters
        ----------
        try_fixes
            False measures only.
        progress, callback
            As `train` takes them.

        Raises
        ------
        RunFolderError, InputError, EventsError
            There is no such run, its events have changed, or it took no descent's steps.

        Examples
        --------
        >>> print(run.explain())  # doctest: +SKIP
        """
        from steepest.explain import explain_run
        from steepest.report import write_report

        with shown(progress, callback) as told:
            explanation = explain_run(self.path, try_fixes=try_fixes, callback=told)
        if self._folder.metrics is not None:  # else it still goes on
            write_report(self._folder)
        return explanation

    def lab(self, height: int = 900) -> Any:
        """Show the run in a notebook, as `steepest lab RUN` shows it in the browser.

        Its curves grow while it trains elsewhere; the other runs of its folder can be put beside
        it, and the playground is there too.

        Parameters
        ----------
        height
            Of the frame, in pixels.

        Raises
        ------
        MissingExtraError
            The extra ``[notebook]`` is not installed.

        Examples
        --------
        >>> run.lab()  # doctest: +SKIP
        """
        from steepest.lab.notebook import show_run

        return show_run(self.path, height)

    def share(
        self,
        to: str,
        *,
        private: bool | None = None,
        pull_request: bool = False,
        dry_run: bool = False,
        license: str | None = None,
        merits: Sequence[str] | None = None,
        token: str | None = None,
    ) -> Published | Prepared:
        """Upload the model with its card to the Hugging Face Hub, as `steepest share` does.

        Parameters
        ----------
        to
            ``ORG/NAME``.
        private
            Whether a repository that is made is private; None is the organisation's rule.
        pull_request
            Propose the files, in place of committing them.
        dry_run
            Send nothing, and do not ask the Hub: return the sizes of the files, and the card.
        license
            As the Hub writes it, such as ``bsd-3-clause``.
        merits
            The figures of merit that the card has; None is all of them.
        token
            None is the one that huggingface_hub finds.

        Raises
        ------
        RunFolderError
            The run is not complete, or damaged.
        InputError
            The card would claim what the run does not hold; the Hub refuses, cannot be reached, or
            holds something else at this name.
        MissingExtraError
            The extra ``[hub]`` is not installed.

        Examples
        --------
        >>> print(run.share("dl4phys/top-tagger", dry_run=True).card)  # doctest: +SKIP
        """
        from steepest.share import Target, prepare, share_run

        if dry_run:
            return prepare(self.path, to, license=license, merits=merits)
        target = Target(to, private=private, pull_request=pull_request, token=token)
        return share_run(self.path, target, license=license, merits=merits)

    def write_onnx(
        self, path: str | Path, *, float32: bool = False, purpose: str | None = None
    ) -> Exported:
        """Write the model as ONNX, see `steepest.share.onnx.write_onnx` and docs/onnx.md.

        Examples
        --------
        >>> run.write_onnx("top-tagger.onnx").inputs  # doctest: +SKIP
        """
        from steepest.share.onnx import write_onnx

        return write_onnx(self.model, path, float32=float32, purpose=purpose)

    def resume(self, *settings: str, finish: bool = False, progress: bool = True) -> Run:
        """Go on with this run, or end it now, see `steepest.resume`."""
        return resume(self.path, settings=settings, finish=finish, progress=progress)

    @property
    def _status(self) -> str:
        return (self.metrics or {}).get("status", "unfinished")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self._status})"

    def _repr_html_(self) -> str:
        """Figures of merit, loss curve and ROC curve, as a notebook shows them."""
        from steepest.terminal import html_pictures, html_table, table_of_merits

        title = f"{self.path}, {self._status}"
        pictures = html_pictures(self.plot.pictures())
        if self._status != "complete":
            return f"<p><b>{escape(title)}</b></p>{pictures}"
        return html_table(title, *table_of_merits(self.metrics or {})) + pictures


def train(
    recipe: Recipe | str | Path | dict[str, Any],
    out: str | Path | None = None,
    *,
    settings: Iterable[str] = (),
    overwrite: bool = False,
    again: bool = False,
    explain: bool = False,
    progress: bool = True,
    callback: training.TrainingCallback | None = None,
) -> Run:
    """Train what a recipe asks for: the whole way from events to a report.

    In processes that ``torchrun`` has started they train together, see docs/cluster.md.

    Parameters
    ----------
    recipe
        A recipe, the path of one, or a nested dictionary.
    out
        The run's folder; left out, the next free ``runs/NAME-1``, ``-2``, …
    settings
        Changes such as ``"descent.learning_rate=0.1"``.
    overwrite
        Replace a run that lies in `out`; nothing else is replaced.
    again
        Go on with the run in `out` if it is there and has this recipe, else begin it: for jobs that
        a scheduler starts again. A process that ``torchrun`` starts again does so.
    explain
        Look at the curvature while training, for at most a twentieth of its time, and end early
        what cannot converge.
    progress
        Show what `steepest train` shows: notes, how far it is, and the table at the end.
    callback
        Told of the progress instead: a `steepest.training.TrainingCallback`.

    Raises
    ------
    SteepestError
        RecipeError, EventsError, RunFolderError, DivergenceError or Interrupted, see
        `steepest.errors`.

    Examples
    --------
    >>> import steepest
    >>> run = steepest.train(
    ...     {
    ...         "events": {"path": "embedded:top-jets", "label": "is_top", "features": ["mass"]},
    ...         "model": {"hidden": []},
    ...         "descent": {"epochs": 3},
    ...     },
    ...     out="runs/mass",
    ... )  # doctest: +SKIP
    >>> run.metrics["merits"]["model"]["auc"]["value"]  # doctest: +SKIP
    """
    if isinstance(recipe, str | Path):
        recipe = Recipe.from_toml(recipe, settings=settings)
    elif isinstance(recipe, dict):
        recipe = Recipe.from_dict(recipe).with_settings(settings)
    else:
        recipe = recipe.with_settings(settings)
    with joined() as ranks:
        restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
        given = Path(out) if out is not None else training.next_folder(recipe, restarted)
        path, again = ranks.from_main(given), again or restarted
        with reported(path, progress, callback) as told, watched(path, told, explain) as watch:
            training.train(recipe, path, watch, overwrite=overwrite and not restarted, again=again)
        return Run(path)


def resume(
    path: str | Path,
    *,
    settings: Iterable[str] = (),
    finish: bool = False,
    explain: bool = False,
    progress: bool = True,
    callback: training.TrainingCallback | None = None,
) -> Run:
    """Go on with an interrupted run; gives, bit for bit, what the uninterrupted run gives.

    Parameters
    ----------
    path
        The run's folder.
    settings
        ``"descent.epochs=50"`` or ``"descent.stop.…"``: a longer descent, of a complete run too.
        η, if it is "auto", and the schedule are those of the new length.
    finish
        Take no more steps: the run ends with its best parameters so far, and a report.
    explain, progress, callback
        As `train` takes them.

    Raises
    ------
    RunFolderError
        If there is no run at `path`, it has diverged, or its events have changed; with `finish`, if
        no step is saved yet.
    RecipeError
        If `settings` change anything but the length of the descent.
    EventsError
        Its events cannot be read any more.
    Interrupted
        After Ctrl-C; it can be resumed again.

    Examples
    --------
    >>> run = resume("runs/top-jets-1")  # doctest: +SKIP
    """
    with (
        joined(),
        reported(Path(path), progress, callback) as told,
        watched(Path(path), told, explain) as watch,
    ):
        training.resume(path, watch, settings=settings, finish=finish)
        return Run(path)


def compare(
    *runs: Run | str | Path | Sequence[Run | str | Path], progress: bool = True
) -> Comparison:
    """Compare two or more runs: recipes, figures of merit with the significance of differences.

    The runs may also be given as one list.

    Raises
    ------
    InputError
        Fewer than two runs, or runs of different tasks or classes.

    Examples
    --------
    >>> compare("runs/first", "runs/wide").plot()  # doctest: +SKIP
    """
    from steepest.comparison import compare_runs

    given: Any = runs[0] if len(runs) == 1 and isinstance(runs[0], list | tuple) else runs
    paths = [run.path if isinstance(run, Run) else Path(run) for run in given]
    with shown(progress, None) as told:
        return compare_runs(paths, told)


def predict(
    model: str | Path,
    events: Any,
    out: str | Path,
    *,
    progress: bool = True,
    callback: training.TrainingCallback | None = None,
    **options: Any,
) -> Predictions:
    """Write the scores of all events beside the events, and show what `steepest predict` shows.

    See `steepest.prediction.predict_events` for `options` and errors.
    """
    with shown(progress, callback) as told:
        written = predict_events(model, events, out, callback=told, **options)
    show("predictions", written, progress, callback)
    return written
