"""The figures of merit of a model on a part of the events, computed once.

`Scored` holds events with a model's predictions, and the ROC curve that several results rest on.
`choose` picks cuts and resolutions, on other events than those that results are quoted for wherever
there are others: the validation part chooses, or else the training part. `evaluate_model` returns
an `Evaluation`: what metrics.json, the tables and the figures show. `evaluate_run` does it again
for a finished run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from steepest import evaluate
from steepest.errors import EventsError, RunFolderError
from steepest.evaluate import BinnedMerits, CalibrationCurve, Experiment, Merit, Roc, figures
from steepest.evaluate.columns import joined
from steepest.events import (
    EVENT_ROW,
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    Sample,
    evaluated_part,
    events_by_sample,
    load_events,
    same_events,
    skipped_sentences,
    use_revisions,
)
from steepest.folder import RunFolder
from steepest.recipe import BinsRecipe, EvaluateRecipe
from steepest.storage import AnyArray, blocks, compressed, derived, total
from steepest.trained import TrainedModel
from steepest.training import results
from steepest.training.callback import TrainingCallback
from steepest.training.fit import predictions_of
from steepest.training.heads import describe_heads
from steepest.training.inputs import carried, encoded, memory_budget, read
from steepest.training.weights import balanced
from steepest.training.yields import describe_samples, expected_events

Chosen = Mapping[str, Any]
"""As in metrics.json: ``part``, ``working_point``, ``significance``, ``resolution``."""

Calibration = tuple[CalibrationCurve, Merit]

MINIMUM_BACKGROUND = 3
"""A ROC curve is drawn down to so many background events."""


@dataclass(frozen=True)
class Scored:
    """Events, and what a model predicts for them, computed when it is first asked for.

    Events that several models have scored, each its own, come with what is `known`: `beside`.
    """

    model: TrainedModel
    events: Sample
    known: AnyArray | None = None

    @cached_property
    def beside(self) -> AnyArray:
        """As `TrainedModel.predict_beside` returns it: the predictions, and those of heads."""
        if self.known is not None:
            return self.known
        return predictions_of(self.model, self.events.features)

    @property
    def predictions(self) -> AnyArray:
        """As `TrainedModel.predict` returns them; they lie where the features do."""
        return self.beside if not self.model.heads else self._columns[0]

    @property
    def of_heads(self) -> list[AnyArray]:
        """What each auxiliary head predicts, ``(events,)``."""
        return self._columns[1] if self.model.heads else []

    @cached_property
    def _columns(self) -> tuple[AnyArray, list[AnyArray]]:
        count = self.beside.shape[1] - len(self.model.heads)
        one = self.model.task != "multiclass"
        predictions = derived(lambda rows: rows[:, 0] if one else rows[:, :count], self.beside)
        columns = range(count, self.beside.shape[1])
        return predictions, [derived(lambda rows, i=i: rows[:, i], self.beside) for i in columns]

    @property
    def columns(self) -> tuple[Any, Any, Any]:
        """Labels, predictions, weights."""
        return self.events.labels, self.predictions, self.events.weights

    @property
    def weights(self) -> AnyArray:
        """The weights of the events; ones where they have none."""
        given = self.events.weights
        return derived(lambda y: np.ones(len(y)), self.events.labels) if given is None else given

    @property
    def descent_columns(self) -> tuple[Any, Any, Any]:
        """Labels, predictions, and weights of the descent, by which probabilities are meant."""
        return self.events.labels, self.predictions, self.events.descent_weights

    @property
    def event(self) -> AnyArray | None:
        """The event of each row, where events have several; None where each row is one."""
        return self.events.extra.get(EVENT_ROW)

    def where(self, kept: np.ndarray) -> Scored:
        """Return the events for which a mask is true, without their features."""
        events = _without_features(self.events).where(kept)
        return Scored(self.model, events, compressed(self.predictions, kept))

    @cached_property
    def roc(self) -> Roc:
        """The ROC curve, for two classes."""
        return evaluate.roc_curve(*self.columns)


@dataclass(frozen=True)
class RunModels:
    """The model of a run, or those of its folds in order, and how its descent weighed events.

    Attributes
    ----------
    models
        One, or one for each fold that is trained.
    factors
        For each model the factors on the weights of the classes; None if there are none.
    train_weights
        As in the recipe.
    folded
        Whether each model scores the events of its fold.
    """

    models: tuple[TrainedModel, ...]
    factors: tuple[Mapping[str, float] | None, ...]
    train_weights: str | None = None
    folded: bool = False

    @classmethod
    def of(cls, folder: RunFolder) -> RunModels:
        """Return the models of a run's folder."""
        events = folder.recipe.events
        folded = events.split.cross_validated
        runs = folder.trained_folds if folded else [folder]
        factors = tuple((run.metrics or {}).get("class_factors") for run in runs)
        return cls(tuple(run.model for run in runs), factors, events.train_weights, folded)

    def scored(self, sample: Sample, part: int) -> Scored:
        """Score a part of events as read; of several models, each scores its own fold's part."""
        if not self.folded:
            return self._scored(0, sample.of(part))
        pool = Pool()
        for fold in range(len(self.models)):
            inside = sample.of_fold(fold)
            if (inside.part == part).any():
                pool.add(self._scored(fold, inside.of(part)))
        return pool.scored()

    def _scored(self, fold: int, events: Sample) -> Scored:
        if not len(events):
            raise EventsError(
                "There are no events to score.",
                expected="events in the evaluated part",
                found="all events are in other parts of the split",
            )
        model, factors = self.models[fold], self.factors[fold]
        weights = events.extra.get(self.train_weights or "")
        if weights is not None:
            events = replace(events, train_weights=weights)
        elif factors:
            events = balanced(events, np.array([factors[name] for name in model.classes]))
        return Scored(model, encoded(events, model.encoding))


@dataclass
class Pool:
    """Events that several models have scored, each its own."""

    pieces: list[Scored] = field(default_factory=list)

    def add(self, scored: Scored) -> None:
        """Predict, and let go of the features."""
        events, known = scored.events, scored.beside
        bare = replace(_without_features(events), rows=None, file=None, part=None)
        self.pieces.append(Scored(scored.model, bare, known))

    def scored(self) -> Scored:
        """Return all events; the first model says what the predictions mean."""
        if not self.pieces:
            raise EventsError("There are no events to score.", found="no event in any fold")
        samples = [piece.events for piece in self.pieces]
        first = samples[0]
        weighed = any(sample.train_weights is not None for sample in samples)
        events = replace(
            first,
            features=np.empty((sum(map(len, samples)), 0)),
            labels=joined(*(sample.labels for sample in samples)),
            weights=None if first.weights is None else joined(*(s.weights for s in samples)),
            train_weights=joined(*map(_descent_weights, samples)) if weighed else None,
            sample=None if first.sample is None else joined(*(s.sample for s in samples)),
            extra={name: joined(*(s.extra[name] for s in samples)) for name in first.extra},
        )
        predictions = _joined_rows([piece.beside for piece in self.pieces])
        return Scored(self.pieces[0].model, events, predictions)


def _without_features(events: Sample) -> Sample:
    return replace(events, features=np.empty((len(events), 0)))


def _descent_weights(events: Sample) -> AnyArray:
    weights = events.descent_weights
    return derived(lambda y: np.ones(len(y)), events.labels) if weights is None else weights


def _joined_rows(predictions: list[AnyArray]) -> AnyArray:
    if predictions[0].ndim == 1:
        return joined(*predictions)
    return np.concatenate([np.asarray(rows[:]) for rows in predictions])


@dataclass(frozen=True)
class InBins:
    """Figures of merit in the bins of a column; for regression the pulls too, where known."""

    figure: str
    merits: BinnedMerits
    pulls: figures.PullHistogram | None = None


@dataclass(frozen=True)
class Evaluation:
    """The figures of merit of one model, and the curves that go with them.

    Attributes
    ----------
    name
        What figures call the model.
    scored
        The events.
    merits
        By name.
    rejections
        Two classes: the curve of the model; several: one for each class; regression: none.
    calibrations
        Likewise, each with its calibration error.
    bins
        One entry for each of the recipe's tables of bins that can be measured.
    """

    name: str
    scored: Scored
    merits: dict[str, Merit]
    rejections: tuple[figures.RejectionCurve, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    bins: tuple[InBins, ...] = ()

    def bins_to_json(self) -> list[dict[str, Any]]:
        """What metrics.json holds of the bins."""
        entries = []
        for each in self.bins:
            entry = {**each.merits.to_json(), "figure": each.figure}
            if "resolution" in each.merits.merits:
                entry["pulls"] = results.to_json(each.pulls.merits) if each.pulls else None
            entries.append(entry)
        return entries


def choosing_part(present: Collection[int], evaluated: int) -> int:
    """The validation part, or else the training part; it may be the evaluated one for want of two.

    Examples
    --------
    >>> choosing_part({0, 1, 2}, 2), choosing_part({0, 1}, 1), choosing_part({0}, 0)
    (1, 0, 0)
    """
    return VALIDATION if VALIDATION in present and evaluated != VALIDATION else TRAIN


def choose(scored: Scored, recipe: EvaluateRecipe, part: str) -> dict[str, Any]:
    """Choose what the recipe's bins and significance need, on these events.

    Returns
    -------
    dict
        ``part``; ``working_point``: signal efficiency asked for and ``threshold``;
        ``significance``: ``threshold``; ``resolution``: for each table of bins one number a bin;
        ``resolution_error``: its relative uncertainty, likewise.
        None for what is not asked for, does not go with the task, or cannot be chosen.
    """
    chosen: dict[str, Any] = {
        "part": part, "working_point": None, "significance": None, "resolution": None,
        "resolution_error": None,
    }  # fmt: skip
    task = scored.model.task
    if task == "regression":
        measured = [_resolutions(scored, bins) for bins in recipe.bins]
        chosen["resolution"] = [[value for value, _ in table] for table in measured]
        chosen["resolution_error"] = [[error for _, error in table] for table in measured]
    if task == "binary" and recipe.bins:
        cut = evaluate.cut_at(scored.roc, recipe.working_point)
        chosen["working_point"] = {"signal_efficiency": recipe.working_point, "threshold": cut}
    if task == "binary" and recipe.significance is not None:
        scan = evaluate.significance_scan(scored.roc, experiment_of(recipe))
        cut = evaluate.best_cut(scan)
        chosen["significance"] = None if cut is None else {"threshold": cut}
    return chosen


def experiment_of(recipe: EvaluateRecipe) -> Experiment:
    """The counting experiment of ``[evaluate.significance]``."""
    given = recipe.significance
    assert given is not None
    assert given.signal is not None  # `expected_events` has filled them in
    assert given.background is not None
    return Experiment(given.signal, given.background, given.background_uncertainty)


def _resolutions(scored: Scored, bins: BinsRecipe) -> list[tuple[float | None, float | None]]:
    """The resolution in each bin, and its relative uncertainty; None where it is not above zero."""
    labels, predictions, weights = scored.columns
    values = scored.events.extra[bins.column]
    binned = evaluate.regression_in_bins(labels, predictions, values, bins.edges, weights)
    return [
        (merit.value, merit.uncertainty / merit.value) if merit.value > 0 else (None, None)
        for merit in binned.merits["resolution"]
    ]


def evaluate_model(
    scored: Scored,
    recipe: EvaluateRecipe,
    chosen: Chosen | None,
    name: str | None = None,
    bins: bool = True,
) -> Evaluation:
    """Compute the figures of merit that go with the task of the model that scored the events.

    `chosen` has the cuts, see `choose`; without it there are no significance and no bins. `name`
    is what figures call the model.
    """
    model = scored.model
    name = name or results.name_of(model)
    in_bins = tuple(_in_bins(scored, recipe, chosen)) if bins and chosen else ()
    rejections, calibrations = (), ()
    match model.task:
        case "binary":
            merits, rejections, calibrations = _binary(scored, recipe, chosen, name)
        case "multiclass":
            merits, rejections, calibrations = _multiclass(scored, model.classes)
        case _:
            merits = evaluate.regression_merits(*scored.columns, unit=model.unit)
    found = Evaluation(name, scored, merits, rejections, calibrations, in_bins)
    return found if scored.event is None else _of_events(found, scored.event, recipe, chosen)


def _of_events(
    found: Evaluation, event: AnyArray, recipe: EvaluateRecipe, chosen: Chosen | None
) -> Evaluation:
    """Return the evaluation with intervals that take events as the unit, and not their rows."""
    scored = found.scored

    def measure(kept: np.ndarray) -> dict[str, Merit]:
        part = scored.where(kept)
        if scored.model.task == "binary":
            merits = _binary(part, recipe, chosen, found.name)[0]
        elif scored.model.task == "multiclass":
            merits = _multiclass(part, scored.model.classes)[0]
        else:
            merits = evaluate.regression_merits(*part.columns)
        in_bins = _in_bins(part, recipe, chosen) if found.bins and chosen else []
        return merits | _flat(in_bins)

    merits = evaluate.clustered_merits(found.merits | _flat(found.bins), event, measure)
    bins = tuple(
        replace(each, merits=replace(each.merits, merits={
            name: tuple(merits[_in_bin(each, name, i)] for i in range(len(values)))
            for name, values in each.merits.merits.items()
        }))
        for each in found.bins
    )  # fmt: skip
    return replace(
        found,
        merits={name: merits[name] for name in found.merits},
        bins=bins,
        rejections=tuple(
            replace(curve, auc=None if curve.auc is None else merits[curve.auc.name])
            for curve in found.rejections
        ),
    )


def _flat(in_bins: Sequence[InBins]) -> dict[str, Merit]:
    """Return the merits of all bins, by a name for each."""
    return {
        _in_bin(each, name, index): merit
        for each in in_bins
        for name, merits in each.merits.merits.items()
        for index, merit in enumerate(merits)
    }


def _in_bin(each: InBins, name: str, index: int) -> str:
    return f"{name} in {each.figure} {index}"


_Measured = tuple[dict[str, Merit], tuple[figures.RejectionCurve, ...], tuple[Calibration, ...]]


def _binary(scored: Scored, recipe: EvaluateRecipe, chosen: Chosen | None, name: str) -> _Measured:
    efficiencies = recipe.signal_efficiencies
    merits = evaluate.binary_merits(*scored.columns, efficiencies, curve=scored.roc)
    if scored.events.train_weights is not None:
        merits |= _of_probabilities(evaluate.binary_merits(*scored.descent_columns, ()))
    calibration = _calibrated(evaluate.calibration_curve(*scored.descent_columns, name=name))
    merits[calibration[1].name] = calibration[1]
    if chosen is not None and recipe.significance is not None:
        merits["significance"] = _significance(scored, recipe, chosen)
    rejection = figures.rejection_curve(
        scored.roc, name, merits["auc"], minimum_background=MINIMUM_BACKGROUND
    )
    return merits, (rejection,), (calibration,)


def _of_probabilities(merits: dict[str, Merit]) -> dict[str, Merit]:
    """The merits that take a score as a probability, which it is by the weights of the descent."""
    names = ("accuracy", "binary_cross_entropy", "cross_entropy")
    return {
        name: replace(merit, definition=f"{merit.definition}; with the weights of the descent")
        for name, merit in merits.items()
        if name in names
    }


def _significance(scored: Scored, recipe: EvaluateRecipe, chosen: Chosen) -> Merit:
    """The significance at the chosen cut."""
    if chosen["significance"] is None:
        return evaluate.undefined_merit(
            "significance",
            f"no cut can be chosen on the {chosen['part']} part: fewer than ten effective "
            "background events",
            "Asimov significance behind the cut where it is largest on other events",
        )
    labels, scores, weights = scored.columns
    cut = chosen["significance"]["threshold"]
    return evaluate.significance_at(labels, scores, cut, experiment_of(recipe), weights)


def _multiclass(scored: Scored, classes: Sequence[str]) -> _Measured:
    labels, probabilities, _ = scored.columns
    curves = evaluate.roc_curves_by_class(*scored.columns, classes)
    merits = evaluate.multiclass_merits(*scored.columns, classes, curves=curves)
    weights = scored.events.descent_weights
    if scored.events.train_weights is not None:
        merits |= _of_probabilities(evaluate.multiclass_merits(labels, probabilities, weights))
    rejections = tuple(
        figures.rejection_curve(curve, f"{name} against the rest", merits[f"auc_{name}"])
        for name, curve in curves.items()
    )
    outcomes = evaluate.confidence_of(*scored.descent_columns)
    error = evaluate.calibration_error(evaluate.calibration_curve(*outcomes, weights))
    merits[error.name] = error
    calibrations = []
    for index, name in enumerate(classes):
        of_class = evaluate.one_class(labels, probabilities, index)
        calibrations.append(_calibrated(evaluate.calibration_curve(*of_class, weights, name=name)))
    return merits, rejections, tuple(calibrations)


def _calibrated(curve: CalibrationCurve) -> Calibration:
    return curve, evaluate.calibration_error(curve)


def gain_of(model: Evaluation, baseline: Evaluation) -> dict[str, Merit]:
    """What the model adds to the baseline, on the same events: the difference of the AUCs."""
    if "auc" not in model.merits:
        return {}
    labels, scores, weights = model.scored.columns
    curves = model.scored.roc, baseline.scored.roc
    gain = evaluate.auc_difference(
        labels, scores, baseline.scored.predictions, weights, curves=curves
    )
    if model.scored.event is None:
        return {gain.name: gain}

    def measure(kept: np.ndarray) -> dict[str, Merit]:
        one, other = model.scored.where(kept), baseline.scored.where(kept)
        labels, scores, weights = one.columns
        curves = one.roc, other.roc
        less = evaluate.auc_difference(labels, scores, other.predictions, weights, curves=curves)
        return {gain.name: less}

    return evaluate.clustered_merits({gain.name: gain}, model.scored.event, measure)


def _in_bins(scored: Scored, recipe: EvaluateRecipe, chosen: Chosen) -> list[InBins]:
    measured = []
    for index, (bins, name) in enumerate(zip(recipe.bins, _names(recipe), strict=True)):
        merits = _binned(scored, bins, chosen)
        if merits is None:
            continue
        pulls = None
        if scored.model.task == "regression":
            errors = chosen.get("resolution_error")  # not in runs of older versions
            pulls = _pulls(scored, bins, chosen["resolution"][index], errors and errors[index])
        measured.append(InBins(name, merits, pulls))
    return measured


def _names(recipe: EvaluateRecipe) -> list[str]:
    """Return the names of the figures: ``bins-pt``; those that are taken get a number.

    Examples
    --------
    >>> table = {"edges": [0, 1]}
    >>> _names(EvaluateRecipe(bins=[{"column": c, **table} for c in ("pt", "abs(eta)", "pt")]))
    ['bins-pt', 'bins-abs-eta', 'bins-pt-2']
    """
    names: list[str] = []
    for bins in recipe.bins:
        name = stem = f"bins-{re.sub(r'[^A-Za-z0-9_]+', '-', bins.column).strip('-')}"
        number = 2
        while name in names:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names


def _binned(scored: Scored, bins: BinsRecipe, chosen: Chosen) -> BinnedMerits | None:
    """What goes with the task; None for two classes where no cut could be chosen."""
    labels, predictions, weights = scored.columns
    values, column = scored.events.extra[bins.column], bins.column
    match scored.model.task:
        case "binary":
            if chosen["working_point"] is None:
                return None
            cut = chosen["working_point"]["threshold"]
            return evaluate.efficiency_in_bins(
                labels, predictions, values, bins.edges, cut, weights, column
            )
        case "multiclass":
            return evaluate.class_efficiency_in_bins(
                labels, predictions, values, bins.edges, weights, scored.model.classes, column
            )
        case _:
            return evaluate.regression_in_bins(
                labels, predictions, values, bins.edges, weights, column, scored.model.unit
            )


def _pulls(
    scored: Scored,
    bins: BinsRecipe,
    resolution: list[float | None],
    errors: list[float | None] | None,
) -> figures.PullHistogram | None:
    """Pulls of the events in bins whose resolution is known; None where there are none."""
    sigma = np.array([np.nan if value is None else value for value in [*resolution, None]])
    place = evaluate.place_in_bins(scored.events.extra[bins.column], bins.edges)
    known = derived(lambda rows: np.isfinite(sigma[rows]), place)
    if not any(rows.any() for (rows,) in blocks(known)):
        return None
    group = compressed(place, known)
    claimed = derived(lambda rows: sigma[rows], group)
    shared = None
    if errors is not None:
        shared = group, np.array([0.0 if error is None else error for error in errors])
    truth, predicted, weights = scored.columns
    if weights is not None:
        weights = compressed(weights, known)
        if not total(weights) > 0:
            return None
    return figures.pull_histogram(
        evaluate.pulls(compressed(truth, known), compressed(predicted, known), claimed),
        weights,
        shared=shared,
    )


def evaluate_run(
    path: str | Path,
    events: str | list[str] | Mapping[str, str | list[str]] | None = None,
    callback: TrainingCallback | None = None,
    draw: bool = False,
    *,
    label: str | None = None,
    on_bad_file: str | None = None,
) -> dict[str, Any]:
    """Compute a run's figures of merit again, on its own test part or on other events.

    Where the samples of the recipe say the classes, other events come with the names of their
    samples (a dictionary, or ``"NAME=PATH"``), or with a `label`: a column or expression of theirs.
    `on_bad_file` replaces the recipe's.

    With `draw`, its figures are written to ``evaluation/`` in the run's folder, each with its
    numbers. If the events include files that the run was trained on, that is said.

    Returns
    -------
    dict
        As metrics.json holds them: ``part``, ``events`` and ``merits``; ``trained_on``: the names
        of the files that the run was trained on; ``figures``: their folder, or None.
    """
    callback = callback or TrainingCallback()
    folder = RunFolder(path)
    folder.say_unchecked(callback.say)
    recipe, run = folder.recipe, RunModels.of(folder)
    if on_bad_file is not None:
        recipe = recipe.with_settings([f"events.on_bad_file={on_bad_file}"])
    if not run.models:
        raise RunFolderError(
            f"No fold of the run {path} is trained yet.",
            cause="it was interrupted, or is still training",
            do=f"steepest train --resume {path}",
        )
    model, folded = run.models[0], run.folded
    if events is None:
        recorded = (folder.environment or {}).get("events")
        use_revisions(recorded)
        sample = read(recipe, callback, folder.path)
        if recorded is not None and not same_events(recorded, sample.source):
            callback.say("The events have changed since the run was made.")
    else:
        callback.stage("Reading events")
        sample = load_events(
            recipe.events,
            events_by_sample(recipe.events, events),
            classes=model.classes,
            task=model.task,
            names=model.names,
            extra=carried(recipe),
            progress=callback.read,
            budget=memory_budget(recipe.events.memory, folder.path),
            split=folded,
            label=label,
        )
    for sentence in skipped_sentences(sample.source):
        callback.say(sentence)
    callback.stage("Evaluating")
    present = set(np.unique((sample.of_fold(0) if folded else sample).part).tolist())
    part = TEST if folded else evaluated_part(present)
    scored = run.scored(sample, part)
    if folded and len(scored.events) < len(sample):
        callback.say(
            f"{len(sample) - len(scored.events):,} events are of folds that are not trained, and "
            f"are left out. `steepest train --resume {path}` trains the rest."
        )
    parts = {part: sample} if folded else _without_features(sample).parts()
    options = expected_events(recipe.evaluate, recipe.events, parts, model.task)
    shown = {part: scored}
    if events is None:
        choosing = choosing_part(present, part)
        if choosing != part:
            shown[choosing] = run.scored(sample, choosing)
        chosen = choose(shown[choosing], options, PARTS[choosing])
    else:
        chosen = (folder.metrics or {}).get("chosen")
    evaluation = evaluate_model(scored, options, chosen)
    known = [] if events is None else _files_in_both(folder, sample.source)
    if known:
        callback.say(
            f"The run was trained on {', '.join(known)}: on events of its training part, "
            "figures of merit are too good. Its own test part: the same command without --events."
        )
    if draw:
        samples = describe_samples(parts, recipe.events) if events is None else []
        _draw(folder, evaluation, shown, part, options, callback, samples)
    return results.metrics_of(
        "evaluated",
        trained_on=known,
        figures=str(folder.path / FIGURES) if draw else None,
        run=str(folder.path),
        part=PARTS[part] if events is None else "all",
        source=sample.source,
        events=results.describe_part(scored.events, model.classes),
        model=results.describe_model(model),
        chosen=chosen,
        merits={"model": results.to_json(evaluation.merits)},
        bins=evaluation.bins_to_json(),
        **describe_heads(scored),
    )


FIGURES = "evaluation"
"""Where `evaluate_run` writes figures, in the run's folder."""


def _draw(
    folder: RunFolder,
    evaluation: Evaluation,
    scored: dict[int, Scored],
    part: int,
    options: EvaluateRecipe,
    callback: TrainingCallback,
    samples: Sequence[dict[str, Any]],
) -> None:
    from steepest.training import background
    from steepest.training import figures as drawn

    callback.stage("Drawing figures")
    model = evaluation.scored.model
    drawing = background.Drawing(folder, where=FIGURES, units=model.units)
    for figure in drawn.results(model, evaluation, None, scored, part, options, samples):
        drawing.add(*figure)


def _files_in_both(folder: RunFolder, source: dict[str, Any]) -> list[str]:
    """Return the names of files with the content of a file that the run was trained on."""
    recorded = ((folder.environment or {}).get("events") or {}).get("files", [])
    seen = {(file.get("sha256"), file.get("inside")) for file in recorded}
    return [
        file["name"]
        for file in source.get("files", [])
        if file.get("sha256") and (file["sha256"], file.get("inside")) in seen
    ]
