"""The whole way: recipe → events → split → scale → objective → descent → run folder → evaluate."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from steepest.descent import State, Watch
from steepest.descent.history import History
from steepest.encoding import Encoding, fit_encoding
from steepest.errors import DivergenceError, Interrupted, RunFolderError
from steepest.events import TEST, TRAIN, VALIDATION, Sample, load_events, load_sample
from steepest.folder import FolderKeeper, RunFolder
from steepest.recipe import Recipe
from steepest.training import results
from steepest.training.baseline import fit_baseline
from steepest.training.binned import bins_of
from steepest.training.choices import Chosen, choose, choosing_part
from steepest.training.environment import environment
from steepest.training.figures import draw_figures
from steepest.training.fit import Events, Fitted, Naming, check_fit, fit, model_at
from steepest.training.interrupt import interruptible

__all__ = ["TrainWatch", "evaluate_run", "next_free_folder", "resume", "train"]


class TrainWatch(Watch):
    """Looks on at a whole training: base class whose methods do nothing."""

    def say(self, sentence: str) -> None:
        """A decision, or something worth knowing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A part of the work begins; `total` is in epochs, where it is known."""

    def read(self, rows: int, total: int) -> None:
        """So many rows of all have been read."""


def train(
    recipe: Recipe, out: str | Path | None = None, watch: TrainWatch | None = None
) -> RunFolder:
    """Train what a recipe asks for, into a new folder.

    Parameters
    ----------
    recipe
        What to train, on what, how.
    out
        The run's folder; left out, the next free ``runs/NAME-1``, ``-2``, …
    watch
        Progress.

    Raises
    ------
    SteepestError
        Whatever hinders it; see `steepest.errors`.
    """
    watch = watch or TrainWatch()
    path = Path(out) if out is not None else next_free_folder(recipe)
    RunFolder.refuse_occupied(path)
    recipe = recipe.anchored(Path.cwd())
    sample, encoding = _learn_encoding(recipe, _read(recipe, watch))
    naming = _naming(recipe, sample, encoding)
    check_fit(_part(sample, TRAIN), naming, recipe.model, recipe.descent)
    folder = RunFolder.create(path, recipe)
    folder.write_json("environment.json", environment(sample.source))
    return _run(folder, recipe, sample, encoding, watch)


def resume(path: str | Path, watch: TrainWatch | None = None) -> RunFolder:
    """Go on with an interrupted run; gives, bit for bit, what the uninterrupted run gives.

    Raises
    ------
    RunFolderError
        If there is no run, it has diverged, or its events have changed.
    """
    watch = watch or TrainWatch()
    folder = RunFolder(path)
    metrics = folder.metrics
    if metrics is not None and metrics["status"] == "complete":
        watch.say(f"The run {path} is complete; nothing is left to do.")
        return folder
    if metrics is not None:
        raise RunFolderError(
            f"The run {path} has {metrics['status']}, and would do so again.",
            found=metrics["divergence"].splitlines()[0],
            do="change the recipe (see the message in log.txt) and train into another folder",
        )
    recipe = folder.recipe
    sample = _read(recipe, watch)
    recorded = folder.environment
    if recorded is None:
        folder.write_json("environment.json", environment(sample.source))
    elif recorded["events"] != sample.source:
        raise RunFolderError(
            f"The events of the run {path} have changed since it began.",
            expected=_digest(recorded["events"]),
            found=_digest(sample.source),
            do="restore the files, or train anew into another folder",
        )
    return _run(folder, recipe, *_learn_encoding(recipe, sample), watch)


def evaluate_run(
    path: str | Path, events: str | list[str] | None = None, watch: TrainWatch | None = None
) -> dict[str, Any]:
    """Compute a run's figures of merit again, on its own test part or on other events.

    Returns
    -------
    dict
        As metrics.json holds them: ``part``, ``events`` and ``merits``.
    """
    watch = watch or TrainWatch()
    folder = RunFolder(path)
    recipe, model = folder.recipe, folder.model
    if events is None:
        sample = _read(recipe, watch)
        if folder.environment is not None and folder.environment["events"] != sample.source:
            watch.say("The events have changed since the run was made.")
        part = _evaluated_part(sample)
    else:
        watch.stage("Reading events")
        paths = [events] if isinstance(events, str) else events
        sample = load_events(
            recipe.events,
            paths,
            classes=model.classes,
            task=model.task,
            names=model.names,
            extra=recipe.evaluate.columns,
            progress=watch.read,
        )
        part = TEST
    watch.stage("Evaluating")
    sample = _encoded(sample, model.encoding)
    chosen = _part(sample, part)
    predictions = model.predict_encoded(chosen.features)
    if events is None:
        choosing = choosing_part(set(sample.part.tolist()), part)
        other = _part(sample, choosing)
        given = other, model.predict_encoded(other.features), _NAMES[choosing]
        choices = choose(model.task, recipe.evaluate, *given)
    else:
        choices = (folder.metrics or {}).get("chosen")
    merits = results.merits_of(model, predictions, chosen, recipe.evaluate, choices)
    bins = bins_of(model, recipe.evaluate, choices, chosen, predictions) if choices else []
    return results.metrics_of(
        "evaluated",
        run=str(folder.path),
        part=_NAMES[part] if events is None else "all",
        source=sample.source,
        events=results.describe_part(chosen, model.classes),
        model=results.describe_model(model),
        chosen=choices,
        merits={"model": results.to_json(merits)},
        bins=bins,
    )


_NAMES = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}


def _run(
    folder: RunFolder,
    recipe: Recipe,
    sample: Sample,
    encoding: Encoding | None,
    watch: TrainWatch,
) -> RunFolder:
    """From events to a finished folder; goes on where the folder's checkpoints end."""

    def say(sentence: str) -> None:
        folder.say(sentence)
        watch.say(sentence)

    with folder.locked():
        for note in sample.notes:
            say(note)
        keeper = FolderKeeper(folder.path, say)
        state = keeper.newest()
        if state is not None:
            say(f"Going on after step {state.step:,}.")
        naming = _naming(recipe, sample, encoding)
        train_part, validation = _part(sample, TRAIN), _part(sample, VALIDATION)
        watch.stage("Descending", recipe.descent.epochs)
        try:
            with interruptible(watch):
                fitted = fit(
                    train_part,
                    validation if len(validation) else None,
                    naming,
                    recipe.model,
                    recipe.descent,
                    keeper,
                    state=state,
                    watch=watch,
                    say=say,
                )
        except DivergenceError as error:
            say(str(error))
            _keep_diverged(folder, recipe, sample, naming, keeper, error)
            raise
        except Interrupted as error:
            say(error.what)
            do = f"steepest train --resume {folder.path}"
            raise Interrupted(error.what, found="its checkpoint is saved", do=do) from None
        _say_end(fitted, say)
        try:
            _finish(folder, recipe, sample, naming, fitted, keeper, watch, say)
        except KeyboardInterrupt:
            do = f"steepest train --resume {folder.path}"
            raise Interrupted(
                "Interrupted while the results were written.", found="the descent is done", do=do
            ) from None
    return folder


def _finish(
    folder: RunFolder,
    recipe: Recipe,
    sample: Sample,
    naming: Naming,
    fitted: Fitted,
    keeper: FolderKeeper,
    watch: TrainWatch,
    say: Any,
) -> None:
    """Write what the descent left, the baseline's and the model's figures of merit, and figures."""
    began = time.monotonic()
    _write_descent(folder, keeper)
    folder.write_model(fitted.model)
    baseline = None
    if recipe.evaluate.baseline:
        watch.stage("Fitting the linear baseline")
        baseline = fit_baseline(_part(sample, TRAIN), naming, TrainWatch(), say)
    watch.stage("Evaluating")
    scored = {
        part: (_part(sample, part), fitted.model.predict_encoded(_part(sample, part).features))
        for part in (TRAIN, VALIDATION, TEST)
        if (sample.part == part).any()
    }
    chosen = _evaluated_part(sample)
    if chosen != TEST:
        say(f"There is no test part: the figures of merit are those of the {_NAMES[chosen]} part.")
    choosing = choosing_part(scored, chosen)
    choices = _choices(recipe, fitted, scored[choosing], choosing)
    _say_choices(recipe, naming.task, choices, choosing == chosen, say)
    merits = _merits(recipe, fitted, baseline, choices, scored[choosing][0], *scored[chosen])
    metrics = results.metrics_of(
        "complete",
        task=naming.task,
        label=naming.label,
        classes=list(naming.classes),
        features=[str(name) for name in naming.names],
        source=sample.source,
        parts={
            _NAMES[part]: results.describe_part(events, naming.classes)
            for part, (events, _) in scored.items()
        },
        model=results.describe_model(fitted.model),
        baseline=results.describe_model(baseline.model) if baseline else None,
        descent=results.describe_descent(recipe, fitted),
        losses={
            _NAMES[part]: results.mean_loss(fitted.model, events)
            for part, (events, _) in scored.items()
        },
        part=_NAMES[chosen],
        chosen=choices,
        merits={name: results.to_json(values) for name, values in merits.items()},
        bins=bins_of(fitted.model, recipe.evaluate, choices, *scored[chosen]),
    )
    watch.stage("Drawing figures")
    draw_figures(folder, fitted, baseline, scored, chosen, recipe.evaluate, choices)
    metrics["seconds"] = {
        "descent": fitted.outcome.state.seconds,
        "after": time.monotonic() - began,
    }
    folder.write_json("metrics.json", metrics)


def _merits(
    recipe: Recipe,
    fitted: Fitted,
    baseline: Fitted | None,
    choices: Chosen,
    choosing: Events,
    events: Events,
    predictions: np.ndarray,
) -> dict[str, dict[str, Any]]:
    asked = recipe.evaluate
    merits = {"model": results.merits_of(fitted.model, predictions, events, asked, choices)}
    if baseline is not None:
        linear = baseline.model.predict_encoded(events.features)
        scores = baseline.model.predict_encoded(choosing.features)
        own = choose(fitted.model.task, asked, choosing, scores, choices["part"])
        merits["baseline"] = results.merits_of(baseline.model, linear, events, asked, own)
        merits["gain"] = results.gain_of(fitted.model.task, events, predictions, linear)
    return merits


def _choices(
    recipe: Recipe, fitted: Fitted, scored: tuple[Events, np.ndarray], part: int
) -> dict[str, Any]:
    return choose(fitted.model.task, recipe.evaluate, *scored, _NAMES[part])


def _say_choices(recipe: Recipe, task: str, choices: Chosen, same: bool, say: Any) -> None:
    """Say what is not chosen on the validation part, and what could not be chosen at all."""
    asked, part = recipe.evaluate, choices["part"]
    if asked.significance is not None and task != "binary":
        say("evaluate.significance is for two classes, and is left out.")
    cuts = task == "binary" and (asked.bins or asked.significance is not None)
    what = "cuts are" if cuts else "the resolution of the pulls is"
    if (cuts or (task == "regression" and asked.bins)) and part != "validation":
        why = "There is no validation part besides the evaluated one"
        warning = (
            ", the evaluated events themselves: what rests on them is too good" if same else ""
        )
        say(f"{why}: {what} chosen on the {part} part{warning}.")
    if task == "binary" and asked.bins and choices["working_point"] is None:
        say(f"The {part} part has one class only: no cut can be chosen, evaluate.bins is left out.")


def _keep_diverged(
    folder: RunFolder,
    recipe: Recipe,
    sample: Sample,
    naming: Naming,
    keeper: FolderKeeper,
    error: DivergenceError,
) -> None:
    """Write the last good parameters, the history, and metrics.json that says what happened."""
    state = keeper.newest()
    assert state is not None  # descend saves before it raises
    _write_descent(folder, keeper)
    train = _part(sample, TRAIN)
    folder.write_model(model_at(train, naming, recipe.model, recipe.descent, state.best.theta))
    folder.write_json(
        "metrics.json",
        results.metrics_of(
            "diverged",
            divergence=str(error),
            steps=state.step,
            kept_step=state.best.step,
            seconds={"descent": state.seconds},
        ),
    )


def _write_descent(folder: RunFolder, keeper: FolderKeeper) -> None:
    history, path = keeper.history(), keeper.path()
    folder.write_history(history if history is not None else History((), 1).take())
    if path is not None:
        folder.write_path(path)


def _say_end(fitted: Fitted, say: Any) -> None:
    state: State = fitted.outcome.state
    if state.reason is not None:
        say(f"Stopped after step {state.step:,}: {state.reason.sentence}.")
    if fitted.plan.keep == "best":
        say(
            f"Kept the parameters of step {fitted.outcome.step:,}, the best on the validation "
            f"part: J = {state.best.loss:.6g}."
        )


def _read(recipe: Recipe, watch: TrainWatch) -> Sample:
    watch.stage("Reading events")
    loss = "mean-squared-error" if recipe.descent.method == "exact" else recipe.descent.loss
    return load_sample(recipe.events, loss=loss, extra=recipe.evaluate.columns, progress=watch.read)


def _learn_encoding(recipe: Recipe, sample: Sample) -> tuple[Sample, Encoding | None]:
    """Fit the encoding on the training part; return the sample with all its parts encoded."""
    tables = {f.name: f for f in recipe.events.features or () if not isinstance(f, str)}
    train = sample.of(TRAIN)
    features = [tables.get(name, name) for name in sample.names]
    fitted = fit_encoding(features, train.features, train.weights, sample.categories)
    encoding = None if fitted.is_plain else fitted
    return _encoded(sample, encoding), encoding


def _encoded(sample: Sample, encoding: Encoding | None) -> Sample:
    """Return the sample with the model's inputs in place of raw features."""
    if encoding is None:
        return sample
    inputs = encoding.transform(sample.features, categories=sample.categories, locate=sample.locate)
    return replace(sample, features=inputs)


def _naming(recipe: Recipe, sample: Sample, encoding: Encoding | None) -> Naming:
    tables = {
        f.name: f.model_dump() for f in recipe.events.features or () if not isinstance(f, str)
    }
    features = tuple(tables.get(name, name) for name in sample.names)
    return Naming(features, sample.task, sample.classes, sample.label, encoding)


def _part(sample: Sample, part: int) -> Events:
    view = sample.of(part)
    return Events(view.features, view.labels, view.weights, view.extra)


def _evaluated_part(sample: Sample) -> int:
    """The test part where there is one, else validation, else training."""
    return next(part for part in (TEST, VALIDATION, TRAIN) if (sample.part == part).any())


def next_free_folder(recipe: Recipe) -> Path:
    """The first of ``runs/NAME-1``, ``-2``, … that is not there, named after the events."""
    stem = Path(recipe.events.paths[0].split(":")[-1]).stem.strip("*?[]-_ ") or "run"
    number = 1
    while (path := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path


def _digest(source: dict[str, Any]) -> str:
    files = source.get("files", [])
    return ", ".join(f"{file['name']} {file['sha256'][:12]}…" for file in files[:3]) or "none"
