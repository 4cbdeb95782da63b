"""After the descent: the model, the baseline, figures of merit and figures, into the folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from steepest.descent.history import History
from steepest.errors import DivergenceError
from steepest.events import TEST, TRAIN
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.recipe import Recipe
from steepest.storage import AnyArray, on_disk
from steepest.training import results
from steepest.training.baseline import fit_baseline
from steepest.training.binned import bins_of
from steepest.training.callback import TrainingCallback
from steepest.training.choices import Chosen, choose, choosing_part
from steepest.training.drawing import Drawing, SecondDrawer
from steepest.training.events import PARTS, Prepared
from steepest.training.figures import EVENTS_DRAWN, draw_figures
from steepest.training.fit import Fitted, model_at, predictions_of
from steepest.training.inputs import Events
from steepest.training.memory import give_back

__all__ = ["Job", "finish", "keep_diverged"]


@dataclass(frozen=True)
class Job:
    """One training: what was asked, on what events, and where it goes."""

    folder: RunFolder
    recipe: Recipe
    events: Prepared
    checkpointer: FolderCheckpointer
    callback: TrainingCallback
    say: Callable[[str], None]
    second: SecondDrawer | None = None

    def drawing(self) -> Drawing:
        """How figures are drawn: one after the other where the events do not fit into memory."""
        second = None if on_disk(self.events.parts[TRAIN].features) else self.second
        return Drawing(self.folder, second, self.give_back)

    def give_back(self) -> None:
        """Between the stages: give memory back where it is short."""
        if on_disk(self.events.parts[TRAIN].features):
            give_back()


def finish(job: Job, fitted: Fitted) -> None:
    """Write what the descent left, figures, and last metrics.json, which makes the run complete."""
    began = time.monotonic()
    _write_descent(job)
    job.folder.write_model(fitted.model)
    baseline = _baseline(job)
    job.callback.stage("Evaluating")
    chosen = job.events.evaluated
    scored = {
        part: _scored(fitted, events, thin=part == TRAIN and part != chosen)
        for part, events in job.events.parts.items()
    }
    choosing = choosing_part(scored, chosen)
    choices = choose(fitted.model.task, job.recipe.evaluate, *scored[choosing], PARTS[choosing])
    _say_parts(job, choices, chosen, choosing)
    merits = _merits(job.recipe, fitted, baseline, choices, scored[choosing][0], *scored[chosen])
    metrics = {
        **_description(job, fitted, baseline),
        "part": PARTS[chosen],
        "chosen": choices,
        "merits": {name: results.to_json(values) for name, values in merits.items()},
        "bins": bins_of(fitted.model, job.recipe.evaluate, choices, *scored[chosen]),
    }
    job.give_back()
    job.callback.stage("Drawing figures")
    given = job.folder, fitted, baseline, scored, chosen, job.recipe.evaluate, choices
    draw_figures(job.drawing(), *given)
    metrics["seconds"] = {
        "descent": fitted.outcome.state.seconds,
        "after": time.monotonic() - began,
    }
    job.folder.write_json("metrics.json", metrics)


def _scored(fitted: Fitted, events: Events, thin: bool) -> tuple[Events, AnyArray]:
    """Events with their predictions; where `thin`, of what is drawn alone."""
    if thin:
        events = events.thinned(EVENTS_DRAWN)
    return events, predictions_of(fitted.model, events.features)


def keep_diverged(job: Job, error: DivergenceError) -> None:
    """Write the last good parameters, the history, and metrics.json that says what happened."""
    state = job.checkpointer.newest()
    assert state is not None  # descend saves before it raises
    _write_descent(job)
    train, recipe = job.events.parts[TRAIN], job.recipe
    model = model_at(train, job.events.schema, recipe.model, recipe.descent, state.best.theta)
    job.folder.write_model(model)
    metrics = results.metrics_of(
        "diverged",
        divergence=str(error),
        steps=state.step,
        kept_step=state.best.step,
        seconds={"descent": state.seconds},
    )
    job.folder.write_json("metrics.json", metrics)


def _baseline(job: Job) -> Fitted | None:
    if not job.recipe.evaluate.baseline:
        return None
    job.callback.stage("Fitting the linear baseline")
    return fit_baseline(job.events.parts[TRAIN], job.events.schema, TrainingCallback(), job.say)


def _description(job: Job, fitted: Fitted, baseline: Fitted | None) -> dict[str, Any]:
    """What metrics.json says besides figures of merit."""
    schema, parts = job.events.schema, job.events.parts
    return results.metrics_of(
        "complete",
        task=schema.task,
        label=schema.label,
        classes=list(schema.classes),
        features=[str(name) for name in schema.names],
        source=job.events.source,
        parts={PARTS[p]: results.describe_part(e, schema.classes) for p, e in parts.items()},
        model=results.describe_model(fitted.model),
        baseline=results.describe_model(baseline.model) if baseline else None,
        descent=results.describe_descent(job.recipe, fitted),
        losses={PARTS[p]: results.mean_loss(fitted.model, e) for p, e in parts.items()},
    )


def _merits(
    recipe: Recipe,
    fitted: Fitted,
    baseline: Fitted | None,
    choices: Chosen,
    choosing: Events,
    events: Events,
    predictions: AnyArray,
) -> dict[str, dict[str, Any]]:
    asked = recipe.evaluate
    merits = {"model": results.merits_of(fitted.model, predictions, events, asked, choices)}
    if baseline is not None:
        linear = predictions_of(baseline.model, events.features)
        scores = predictions_of(baseline.model, choosing.features)
        own = choose(fitted.model.task, asked, choosing, scores, choices["part"])
        merits["baseline"] = results.merits_of(baseline.model, linear, events, asked, own)
        merits["gain"] = results.gain_of(fitted.model.task, events, predictions, linear)
    return merits


def _say_parts(job: Job, choices: Chosen, chosen: int, choosing: int) -> None:
    if chosen != TEST:
        job.say(
            f"There is no test part: the figures of merit are those of the {PARTS[chosen]} part."
        )
    _say_choices(job.recipe, job.events.schema.task, choices, choosing == chosen, job.say)


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


def _write_descent(job: Job) -> None:
    history, path = job.checkpointer.history(), job.checkpointer.path()
    job.folder.write_history(history if history is not None else History((), 1).take())
    if path is not None:
        job.folder.write_path(path)
