"""K folds: a model for each fold of the events, and figures of merit of all events together.

Each model is an ordinary run in ``RUN/folds/N``: fold N is its test part. So every event is scored
by the model that has not seen it, and the figures of merit rest on all events.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from steepest.errors import DivergenceError, EventsError, Interrupted
from steepest.evaluate.figures import fold_curves, fold_figure
from steepest.evaluate.figures.process import DrawingProcess
from steepest.evaluate.merit import Merit
from steepest.events import PARTS, TEST, TRAIN, Sample
from steepest.folder import FolderCheckpointer, RunFolder
from steepest.recipe import EvaluateRecipe, Recipe
from steepest.training import figures, results, variations
from steepest.training.background import Drawing
from steepest.training.callback import TrainingCallback
from steepest.training.evaluation import Evaluation, choose, choosing_part, evaluate_model, gain_of
from steepest.training.fit import check_fit, fit_baseline
from steepest.training.heads import describe_heads
from steepest.training.inputs import Schema, inputs_of, read
from steepest.training.jet_features import baseline_reads, with_jet_features
from steepest.training.logs import logged
from steepest.training.longer import as_long_as, may_go_on
from steepest.training.one_run import Again, nothing_to_finish, refuse_other_events, run_in
from steepest.training.results import environment
from steepest.training.scored import Pool, RunModels, Scored
from steepest.training.variations import evaluate_variations
from steepest.training.yields import describe_samples, expected_events, sample_efficiencies


def train_folds(
    path: Path,
    recipe: Recipe,
    callback: TrainingCallback,
    process: DrawingProcess | None,
    overwrite: bool = False,
) -> RunFolder:
    """Train the models of all folds into a new folder, and evaluate them together."""
    sample = read(recipe, callback, path)
    parts, schema = inputs_of(sample.of_fold(0), recipe)
    check_fit(parts[TRAIN], schema, recipe.model, recipe.descent)
    del parts
    with RunFolder.create_locked(path, recipe, overwrite) as folder:
        folder.write_json("environment.json", environment(sample.source))
        return _Folds(folder, recipe, sample, callback, process).run()


def resume_folds(
    folder: RunFolder,
    longer: Recipe | None,
    callback: TrainingCallback,
    process: DrawingProcess | None,
    finish: bool = False,
) -> RunFolder:
    """Go on where the models of all folds were interrupted; the folder is locked.

    By a `longer` recipe the descent of each fold goes on, those that are done too. With `finish`,
    the fold in progress ends at its last checkpoint, and no other one is begun.
    """
    recipe = longer or folder.recipe
    if finish and not any(_has_steps(run) for run in folder.folds):
        raise nothing_to_finish(folder)
    sample = read(recipe, callback, folder.path)
    refuse_other_events(folder, sample.source)
    if longer is not None:
        folder.reopen(longer)
    folder.manifest.forget(("metrics.json",))  # of a run that was ended before its last fold
    return _Folds(folder, recipe, sample, callback, process, finish).run()


def _has_steps(run: RunFolder) -> bool:
    """Whether a fold has a model, or a checkpoint to make one of."""
    return run.metrics is not None or FolderCheckpointer(run.path).newest() is not None


@dataclass
class _Folds:
    """The training of all folds."""

    folder: RunFolder
    recipe: Recipe
    sample: Sample
    callback: TrainingCallback
    process: DrawingProcess | None
    finish: bool = False
    models: dict[int, Pool] = field(default_factory=dict)
    baselines: dict[int, Pool] = field(default_factory=dict)
    compares: bool = True
    """Whether there is a linear baseline of every fold."""

    def run(self) -> RunFolder:
        self.compares = self.recipe.evaluate.baseline
        with logged(self.folder, self.recipe, self.callback, rounds=False):
            return self._run()

    def _run(self) -> RunFolder:
        for note in self.sample.notes:
            self.folder.say(note)  # the run of each fold says it to who looks on
        began = time.monotonic()
        runs, count = [], self.recipe.events.split.folds or 0
        begun = [run for run in self.folder.folds if _has_steps(run)] if self.finish else ()
        for fold in range(len(begun) if self.finish else count):
            self._say(f"Fold {fold} ({fold + 1} of {count}).")
            parts, schema = inputs_of(self.sample.of_fold(fold), self.recipe)
            runs.append(self._trained(fold, parts, schema))
            self._collect(runs[-1], parts, schema)
        try:
            self._finish(runs, began)
        except KeyboardInterrupt:
            what = "Interrupted while the results of the folds were written."
            raise self._resumable(what, "all folds are trained") from None
        return self.folder

    def _say(self, sentence: str) -> None:
        self.folder.say(sentence)
        self.callback.say(sentence)

    def _trained(self, fold: int, parts: dict[int, Sample], schema: Schema) -> RunFolder:
        """Return the run of a fold: new, resumed, longer than it was, or complete already."""
        path = self.folder.path / "folds" / str(fold)
        split = self.recipe.events.split.model_copy(update={"fold": fold})
        events = self.recipe.events.model_copy(update={"split": split, "variations": ()})
        recipe = self.recipe.model_copy(update={"events": events})
        given = parts, schema, self.callback, self.process
        try:
            if not (path / "recipe.toml").exists():
                with RunFolder.create_locked(path, recipe) as run:
                    run.write_json("environment.json", environment(self.sample.source))
                    return run_in(run, recipe, *given)
            run = RunFolder(path)
            goes_on = not self.finish and may_go_on(run, recipe.descent)
            if run.metrics is not None and not goes_on:
                return run
            with run.locked():
                if goes_on:
                    run.reopen(as_long_as(run, recipe.descent))
                return run_in(run, run.recipe, *given, Again(self.finish, goes_on))
        except Interrupted as error:
            found = error.details["found"]
            raise self._resumable(f"Fold {fold}: {error.what}", found, type(error)) from None
        except DivergenceError:
            self._say(f"Fold {fold} diverged.")
            self.folder.write_json("metrics.json", {**(RunFolder(path).metrics or {})})
            raise

    def _resumable(
        self, what: str, found: str | None, kind: type[Interrupted] = Interrupted
    ) -> Interrupted:
        return kind(what, found=found, do=f"steepest train --resume {self.folder.path}")

    def _collect(self, run: RunFolder, parts: dict[int, Sample], schema: Schema) -> None:
        """Score the events of a fold with its model and its linear baseline."""
        model, few = run.model, figures.EVENTS_DRAWN // (self.recipe.events.split.folds or 1)
        given = {**parts, TRAIN: parts[TRAIN].thinned(few)}
        for part, events in given.items():
            self.models.setdefault(part, Pool()).add(Scored(model, events))
        flat, train = baseline_reads(schema), parts[TRAIN]
        if not self.compares or flat is None or (flat is not schema and train.on_disk):
            return
        scaling = model.scaling if flat is schema else None
        train = with_jet_features(train)
        try:
            baseline = fit_baseline(train, flat, TrainingCallback(), scaling=scaling).model
        except (EventsError, DivergenceError):  # its own run has said so
            self.baselines, self.compares = {}, False
            return
        for part, events in given.items():
            of_part = Scored(baseline, with_jet_features(events))
            self.baselines.setdefault(part, Pool()).add(of_part)

    def _finish(self, runs: list[RunFolder], began: float) -> None:
        """Evaluate all events together; write figures, and last metrics.json."""
        self.callback.stage("Evaluating all folds")
        recipe, of_runs = self.recipe, [run.metrics or {} for run in runs]
        task = self.sample.task
        options = expected_events(recipe.evaluate, recipe.events, {TEST: self.sample}, task)
        models = tuple(run.model for run in runs)
        scored = {part: pool.scored() for part, pool in self.models.items()}
        choosing = choosing_part(scored, TEST)
        chosen = choose(scored[choosing], options, PARTS[choosing])
        evaluation = evaluate_model(scored[TEST], options, chosen)
        linear = self._linear(choosing, scored, options)
        merits = {"model": evaluation.merits}
        if linear is not None:
            merits |= {"baseline": linear.merits, "gain": gain_of(evaluation, linear)}
        samples = self._samples(scored[TEST].events, len(runs))
        drawing = Drawing(self.folder, self.process, units=models[0].units)
        drawing.add("folds", *_curves(runs))
        given = models[0], evaluation, linear, scored, TEST, options, samples
        for figure in figures.results(*given):
            drawing.add(*figure)
        varied = evaluate_variations(
            recipe, RunModels.of(self.folder), TEST, chosen, self.callback, self._say,
            self.folder.path,
        )  # fmt: skip
        if shapes := variations.figure(evaluation, varied):
            drawing.add(*shapes)
        drawing.finish()
        metrics = _metrics(of_runs, merits, scored[TEST])
        metrics["warnings"] += self._left_out(len(runs), len(scored[TEST].events))
        names = [one["name"] for one in samples]
        found = sample_efficiencies(scored[TEST], names, options.signal_efficiencies)
        metrics["samples"] = [
            {**one, "efficiencies": found.get(one["name"], [])} for one in samples
        ]
        seconds = {
            "descent": sum(run["seconds"]["descent"] for run in of_runs),
            "after": time.monotonic() - began,
        }
        metrics["variations"] = variations.to_json(varied)
        metrics |= {"chosen": chosen, "bins": evaluation.bins_to_json(), "seconds": seconds}
        metrics |= describe_heads(scored[TEST])
        self.folder.write_json("metrics.json", metrics)
        for name, spread in list(metrics["spread"].items())[:1]:
            title = evaluation.merits[name].title
            self._say(
                f"{title} of the {len(runs)} folds: mean {spread['mean']:.4g}, standard deviation "
                f"{spread['standard_deviation']:.2g}."
            )

    def _samples(self, scored: Sample, trained: int) -> list[dict[str, Any]]:
        """Describe the samples; their yields are those of all events, scored or not."""
        events = self.recipe.events
        described = describe_samples({TEST: scored}, events)
        if trained == events.split.folds:
            return described
        whole = describe_samples({TEST: self.sample}, events)
        return [{**one, "all": every["all"]} for one, every in zip(described, whole, strict=True)]

    def _left_out(self, trained: int, events: int) -> list[str]:
        """Say which events no model has scored, where the run was ended before its last fold."""
        count = self.recipe.events.split.folds or 0
        if trained == count:
            return []
        sentence = (
            f"{trained} of {count} folds are trained: figures of merit are those of their "
            f"{events:,} events of {len(self.sample):,}, and the others have no model that has not "
            f"seen them. `steepest train --resume {self.folder.path}` trains the rest."
        )
        self._say(sentence)
        return [sentence]

    def _linear(
        self, choosing: int, scored: dict[int, Scored], options: EvaluateRecipe
    ) -> Evaluation | None:
        """Evaluate the linear baselines of all folds together."""
        if not self.baselines:
            return None
        chosen = None
        if options.significance is not None:
            chosen = choose(self.baselines[choosing].scored(), options, PARTS[choosing])
        name = f"{results.name_of(scored[TEST].model)} (baseline)"
        pooled = self.baselines[TEST].scored()
        return evaluate_model(pooled, options, chosen, name, bins=False)


def _warnings(of_folds: list[list[str]]) -> list[str]:
    """Return what is said of all folds, and what of one with its number.

    Examples
    --------
    >>> _warnings([["A file is skipped.", "The model is worse."], ["A file is skipped."]])
    ['A file is skipped.', 'Fold 0: The model is worse.']
    """
    common = [text for text in of_folds[0] if all(text in texts for texts in of_folds)]
    return common + [
        f"Fold {fold}: {text}"
        for fold, texts in enumerate(of_folds)
        for text in texts
        if text not in common
    ]


def _metrics(
    of_runs: list[dict[str, Any]], merits: dict[str, dict[str, Merit]], scored: Scored
) -> dict[str, Any]:
    """Return metrics.json: as for one model, and what each fold gives."""
    first = of_runs[0]
    same = (
        "task", "label", "classes", "features", "source", "baseline", "descent", "class_factors",
    )  # fmt: skip
    weights = {p: [run["parts"][p]["weight"] for run in of_runs] for p in first["losses"]}
    return results.metrics_of(
        "complete",
        **{key: first[key] for key in same},
        parts={**first["parts"], "test": results.describe_part(scored.events, first["classes"])},
        model={**first["model"], "coefficients": None},
        losses={
            part: float(np.average([run["losses"][part] for run in of_runs], weights=of_part))
            for part, of_part in weights.items()
        },
        part="test",
        merits={name: results.to_json(values) for name, values in merits.items()},
        folds=[
            {
                "folder": f"folds/{fold}",
                "events": run["parts"]["test"]["events"],
                "steps": run["descent"]["steps"],
                "kept_step": run["descent"]["kept_step"],
                "merits": run["merits"]["model"],
            }
            for fold, run in enumerate(of_runs)
        ],
        warnings=_warnings([run["warnings"] for run in of_runs]),
        spread=_spread([run["merits"]["model"] for run in of_runs]),
    )


def _spread(merits: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation over the folds, of what each fold has a value for."""
    spread = {}
    for name in merits[0]:
        values = [entry[name]["value"] for entry in merits if name in entry]
        if len(values) == len(merits) > 1 and None not in values:
            deviation = float(np.std(values, ddof=1))
            spread[name] = {"mean": float(np.mean(values)), "standard_deviation": deviation}
    return spread


def _curves(runs: list[RunFolder]) -> tuple[Callable[[], Any], Any]:
    """Return what draws the losses of all folds, and their numbers."""
    from functools import partial

    curves = fold_curves([run.history.to_pydict() for run in runs])
    return partial(fold_figure, curves), curves
