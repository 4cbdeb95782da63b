"""After the descent: the model, the baseline, figures of merit and figures, into the folder."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from steepest.compiled.clock import clock
from steepest.descent import State
from steepest.descent.history import History
from steepest.errors import DivergenceError, EventsError
from steepest.evaluate.figures.process import DrawingProcess
from steepest.events import PARTS, TEST, TRAIN, Sample, evaluated_part, skipped_sentences
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.ranks import alone, current
from steepest.recipe import Recipe
from steepest.storage import on_disk
from steepest.trained import TrainedModel
from steepest.training import figures, results
from steepest.training.background import Drawing
from steepest.training.bins import Chosen
from steepest.training.callback import TrainingCallback
from steepest.training.evaluation import Evaluation, choose, choosing_part, evaluate_model, gain_of
from steepest.training.fit import Fitted, fit_baseline, model_at
from steepest.training.gathered import bare_parts, scored_parts, some_events
from steepest.training.heads import describe_heads
from steepest.training.importance import EVENTS, importance_of
from steepest.training.inputs import Schema
from steepest.training.jet_features import baseline_reads, with_jet_features
from steepest.training.scored import RunModels, Scored
from steepest.training.variations import evaluate_variations
from steepest.training.variations import figure as variation_figure
from steepest.training.variations import to_json as variations_to_json
from steepest.training.verdict import warnings_about
from steepest.training.weights import BALANCED, class_factors
from steepest.training.yields import (
    describe_samples,
    expected_events,
    sample_efficiencies,
    yield_sentences,
)


@dataclass(frozen=True)
class Job:
    """One training: its recipe, its events, and the folder that it writes."""

    folder: RunFolder
    recipe: Recipe
    parts: dict[int, Sample]
    schema: Schema
    checkpointer: FolderCheckpointer
    callback: TrainingCallback
    say: Callable[[str], None]
    process: DrawingProcess | None = None

    @cached_property
    def drawing(self) -> Drawing:
        """How figures are drawn: one after the other where the events do not fit into memory."""
        process = None if on_disk(self.parts[TRAIN].features) else self.process
        return Drawing(self.folder, process, self.give_back, units=self.schema.units)

    def draw_ahead(self, model: TrainedModel) -> None:
        """Have a second process draw the features, which takes it longest, during the descent."""
        if self.drawing.ahead and current().size == 1:  # others have other events
            self.drawing.add(*figures.features(model, self.parts[TRAIN]))

    def give_back(self) -> None:
        """Between the stages: give memory back where it is short."""
        if on_disk(self.parts[TRAIN].features):
            _give_back()


def _give_back() -> None:
    """Collect what nobody refers to, and return free pages to the system where that can be."""
    # An allocator keeps what was freed, and a figure is a ring of references until collected.
    gc.collect()
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class _Found:
    """What the models give for the events of all ranks."""

    scored: dict[int, Scored]
    linear: dict[int, Scored]
    """Of the baseline, for the evaluated part and the one that chooses."""
    drawn: Sample
    """Training events with their features."""
    permuted: Scored | None
    """Events with their features, to permute these."""
    losses: dict[str, float]


def finish(job: Job, fitted: Fitted) -> None:
    """Write what the descent left, figures, and last metrics.json, which makes the run complete.

    Of many ranks, each scores its events; the main one evaluates, draws and writes.
    """
    began, drawing = clock(), job.drawing
    _write_descent(job)
    job.folder.write_model(fitted.model)
    baseline = _baseline(job, fitted)
    job.callback.stage("Evaluating")
    found = _found(job, fitted, baseline)
    if current().size > 1:
        job = replace(job, parts=bare_parts(job.parts))
    if current().is_main:
        with alone():
            _write_results(job, drawing, fitted, baseline, found, began)


def _write_results(
    job: Job,
    drawing: Drawing,
    fitted: Fitted,
    baseline: Fitted | None,
    found: _Found,
    began: float,
) -> None:
    if fitted.outcome.state.step:
        drawing.add(*figures.descent(job.folder.history, fitted.outcome.step))
    given, job = job.recipe, _with_expected_events(job)
    part, scored = evaluated_part(job.parts), found.scored
    choosing = choosing_part(scored, part)
    model, options = fitted.model, job.recipe.evaluate
    chosen = choose(scored[choosing], options, PARTS[choosing])
    _say_parts(job, chosen, part, choosing)
    evaluation = evaluate_model(scored[part], options, chosen)
    merits = {"model": evaluation.merits}
    linear = None
    if baseline is not None:
        linear = _evaluate_baseline(job, found.linear, part, choosing)
        merits |= {"baseline": linear.merits, "gain": gain_of(evaluation, linear)}
    metrics = {
        **_description(job, fitted, baseline, found.losses),
        "part": PARTS[part],
        "chosen": chosen,
        "merits": {name: results.to_json(values) for name, values in merits.items()},
        "bins": evaluation.bins_to_json(),
        **describe_heads(scored[part]),
        "class_factors": _class_factors(job),
        "samples": _samples(job, scored[part]),
        "importance": _importance(job, found.permuted),
        "warnings": [
            *skipped_sentences(job.parts[TRAIN].source),
            *warnings_about(evaluation, linear, merits, fitted, job.parts[TRAIN]),
        ],
    }
    for sentence in (*yield_sentences(metrics["samples"]), *metrics["warnings"]):
        job.say(sentence)
    job.give_back()
    job.callback.stage("Drawing figures")
    if "features" not in drawing:
        drawing.add(*figures.features(model, found.drawn))
    given_results = model, evaluation, linear, scored, part, options, metrics["samples"]
    for figure in figures.results(*given_results):
        drawing.add(*figure)
    run = RunModels((model,), (metrics["class_factors"],), given.events.train_weights)
    varied = evaluate_variations(given, run, part, chosen, job.callback, job.say, job.folder.path)
    if shapes := variation_figure(evaluation, varied):
        drawing.add(*shapes)
    drawing.finish()
    metrics["variations"] = variations_to_json(varied)
    metrics["seconds"] = {
        "descent": fitted.outcome.state.seconds,
        "after": clock() - began,
    }
    job.folder.write_json("metrics.json", metrics)


def _with_expected_events(job: Job) -> Job:
    """S and B of the significance are those of the weights, where the recipe does not say them."""
    recipe = job.recipe
    options = expected_events(recipe.evaluate, recipe.events, job.parts, job.schema.task)
    return replace(job, recipe=recipe.model_copy(update={"evaluate": options}))


def _class_factors(job: Job) -> dict[str, float] | None:
    """By what the weights of each class are multiplied for the descent."""
    train, choice = job.parts[TRAIN], job.recipe.events.train_weights
    if train.train_weights is None or choice not in (None, BALANCED):
        return None
    return dict(zip(train.classes, class_factors(train).tolist(), strict=True))


def _importance(job: Job, scored: Scored | None) -> dict[str, Any] | None:
    """The importance of each feature, where it is asked for."""
    if scored is None:
        return None
    job.callback.stage("Permuting features")
    return importance_of(scored)


def _samples(job: Job, scored: Scored) -> list[dict[str, Any]]:
    """The yields of the samples, and their efficiencies at the working points."""
    described = describe_samples(job.parts, job.recipe.events)
    names = [one["name"] for one in described]
    found = sample_efficiencies(scored, names, job.recipe.evaluate.signal_efficiencies)
    return [{**one, "efficiencies": found.get(one["name"], [])} for one in described]


def _scored(job: Job, fitted: Fitted, evaluated: int) -> dict[int, Scored]:
    """The parts with the model's predictions; a training part that is not evaluated is thinned."""
    parts = dict(job.parts)
    if evaluated != TRAIN:
        parts[TRAIN] = parts[TRAIN].thinned(figures.EVENTS_DRAWN // current().size)
    return {part: Scored(fitted.model, events) for part, events in parts.items()}


def _found(job: Job, fitted: Fitted, baseline: Fitted | None) -> _Found:
    """Score the events, and bring what figures need of all ranks to the main one."""
    parts, model, many = job.parts, fitted.model, current().size > 1
    part = evaluated_part(parts)
    scored = _scored(job, fitted, part)
    linear = {}
    if baseline is not None:
        of_both = {part, choosing_part(scored, part)}
        linear = {p: Scored(baseline.model, with_jet_features(scored[p].events)) for p in of_both}
    drawn, permuted = scored[TRAIN].events, scored[part]
    asked = job.recipe.evaluate.importance and not isinstance(job.schema.inputs, Mapping)
    if many:
        drawn = some_events(drawn, figures.EVENTS_DRAWN)
        permuted = Scored(model, some_events(permuted.events, EVENTS)) if asked else permuted
        scored, linear = scored_parts(scored), scored_parts(linear)
    losses = {PARTS[p]: results.mean_loss(model, events) for p, events in parts.items()}
    return _Found(scored, linear, drawn, permuted if asked else None, losses)


def _evaluate_baseline(job: Job, scored: dict[int, Scored], part: int, choosing: int) -> Evaluation:
    """The baseline on the same events; its cut for the significance is its own."""
    options, chosen = job.recipe.evaluate, None
    if options.significance is not None:
        chosen = choose(scored[choosing], options, PARTS[choosing])
    name = f"{results.name_of(scored[part].model)} (baseline)"
    return evaluate_model(scored[part], options, chosen, name, bins=False)


def newest_state(job: Job) -> State | None:
    """The state of the newest checkpoint, which the main rank reads, if there is one."""
    ranks = current()
    return ranks.from_main(job.checkpointer.newest() if ranks.is_main else None)


def keep_diverged(job: Job, error: DivergenceError) -> None:
    """Write the last good parameters, the history, and metrics.json that says what happened."""
    state = newest_state(job)
    assert state is not None  # descend saves before it raises
    _write_descent(job)
    train, recipe = job.parts[TRAIN], job.recipe
    model = model_at(train, job.schema, recipe.model, recipe.descent, state)
    job.folder.write_model(model)
    metrics = results.metrics_of(
        "diverged",
        divergence=str(error),
        steps=state.step,
        kept_step=state.best.step,
        seconds={"descent": state.seconds},
    )
    job.folder.write_json("metrics.json", metrics)


def _baseline(job: Job, fitted: Fitted) -> Fitted | None:
    """The linear baseline, for particles on numbers of their jets; none on other groups."""
    schema, train = baseline_reads(job.schema), job.parts[TRAIN]
    if not job.recipe.evaluate.baseline or schema is None:
        return None
    if schema is job.schema:
        scaling = fitted.model.scaling
    elif train.on_disk:
        job.say("There is no linear baseline, since the particles are kept on disk.")
        return None
    else:
        train, scaling = with_jet_features(train), None
    job.callback.stage("Fitting the linear baseline")
    try:
        return fit_baseline(train, schema, TrainingCallback(), job.say, scaling=scaling)
    except (EventsError, DivergenceError) as error:  # of a model that nobody asked for
        cause = error.details.get("cause")
        job.say(f"There is no linear baseline. {error.what}{f' Cause: {cause}.' if cause else ''}")
        return None


def _description(
    job: Job, fitted: Fitted, baseline: Fitted | None, losses: dict[str, float]
) -> dict[str, Any]:
    """What metrics.json says besides figures of merit."""
    schema, parts = job.schema, job.parts
    return results.metrics_of(
        "complete",
        task=schema.task,
        label=schema.label,
        classes=list(schema.classes),
        features=[str(name) for name in schema.names],
        source=parts[TRAIN].source,
        parts={PARTS[p]: results.describe_part(e, schema.classes) for p, e in parts.items()},
        model=results.describe_model(fitted.model),
        baseline=results.describe_model(baseline.model) if baseline else None,
        descent=results.describe_descent(job.recipe, fitted),
        losses=losses,
    )


def _say_parts(job: Job, chosen: Chosen, part: int, choosing: int) -> None:
    if part != TEST:
        job.say(f"There is no test part: the figures of merit are those of the {PARTS[part]} part.")
    _say_chosen(job.recipe, job.schema.task, chosen, choosing == part, job.say)


def _say_chosen(recipe: Recipe, task: str, chosen: Chosen, same: bool, say: Any) -> None:
    """Say what is not chosen on the validation part, and what could not be chosen at all."""
    options, part = recipe.evaluate, chosen["part"]
    if options.significance is not None and task != "binary":
        say("evaluate.significance is for two classes, and is left out.")
    cuts = task == "binary" and (options.bins or options.significance is not None)
    what = "cuts are" if cuts else "the resolution of the pulls is"
    if (cuts or (task == "regression" and options.bins)) and part != "validation":
        why = "There is no validation part besides the evaluated one"
        warning = (
            ", the evaluated events themselves: what rests on them is too good" if same else ""
        )
        say(f"{why}: {what} chosen on the {part} part{warning}.")


def _write_descent(job: Job) -> None:
    if not current().is_main:
        return
    history, path = job.checkpointer.history(), job.checkpointer.path()
    job.folder.write_history(history if history is not None else History((), 1).take())
    if path is not None:
        job.folder.write_path(path)
