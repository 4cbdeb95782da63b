"""`sweep`: trials one after the other, until there are as many as asked for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steepest.errors import InputError, Interrupted
from steepest.folder.files import explained
from steepest.ranks import current
from steepest.recipe import Recipe
from steepest.shown import shown
from steepest.sweeps.ranges import Range, check_ranges, ranges_in
from steepest.sweeps.result import Sweep
from steepest.sweeps.study import (
    Storage,
    bind,
    load_optuna,
    pruner_named,
    quiet,
    retry,
    seeded_sampler,
)
from steepest.sweeps.trial import train_trial
from steepest.training import TrainingCallback, stem_of

if TYPE_CHECKING:
    import optuna


def sweep(
    recipe: Recipe | str | Path | dict[str, Any],
    settings: Iterable[str],
    trials: int,
    out: str | Path | None = None,
    *,
    storage: str | None = None,
    pruner: str = "median",
    seed: int = 0,
    progress: bool = True,
    callback: TrainingCallback | None = None,
) -> Sweep:
    """Train a recipe many times with keys that Optuna chooses, for the lowest validation loss.

    Each trial is an ordinary run, ``OUT/trial-N``. The same call goes on with a sweep that was
    interrupted, or that shall get more trials; several processes may make it at once. The test
    part is never looked at to choose.

    Parameters
    ----------
    recipe
        A recipe, the path of one, or a nested dictionary.
    settings
        Ranges such as ``"descent.learning_rate=log(1e-4,1)"``, ``int(a,b)``, ``uniform(a,b)``,
        ``choice(a,b,c)``, and ordinary settings such as ``"descent.epochs=5"``.
    trials
        So many in all, those of earlier calls and of other processes among them.
    out
        The folder of the sweep; left out, ``runs/NAME-sweep``.
    storage
        The URL of a database for the study, as SQLAlchemy writes it: for processes on many nodes.
        Left out, SQLite in `out`.
    pruner
        "median", "hyperband", "successive-halving" or "none": Optuna's, which end trials early.
    seed
        Of what Optuna draws. The runs have the seeds of the recipe.
    progress, callback
        As `steepest.train` takes them.

    Raises
    ------
    RecipeError
        A range cannot be understood, is of an unknown key, or would change what the loss means.
    InputError
        The study is of another recipe; the database cannot be opened; a trial cannot be trained.
    Interrupted
        After Ctrl-C; the same call goes on.
    MissingExtraError
        Optuna is not installed.

    Examples
    --------
    >>> found = sweep(
    ...     "recipe.toml", ["descent.learning_rate=log(1e-4,1)"], trials=20
    ... )  # doctest: +SKIP
    >>> found.best, found.table  # doctest: +SKIP
    """
    load_optuna()
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise InputError("A sweep has trials.", expected="1 or more", found=repr(trials))
    if current().size > 1:
        raise InputError(
            "The trials of a sweep are not trained over many ranks.",
            expected="one process a trial",
            found=f"{current().size} ranks",
            do="start the same command several times, with one --out",
        )
    plain, ranges = ranges_in(settings)
    recipe = _loaded(recipe, plain)
    check_ranges(recipe, ranges)
    chosen = pruner_named(pruner)
    where = Storage(Path(out) if out is not None else _next_to(recipe), storage)
    where.refuse_occupied()
    with explained("Making the folder of the sweep", where.folder, "nothing was done yet"):
        where.folder.mkdir(parents=True, exist_ok=True)
    study = where.open()
    with where.locked():
        bind(study, recipe, ranges)
    study.sampler, study.pruner = seeded_sampler(study, seed), chosen
    with shown(progress, callback) as told, quiet():
        try:
            with where.explained():
                _run(study, where, recipe, ranges, trials, told)
        except (Interrupted, KeyboardInterrupt) as error:
            kind = type(error) if isinstance(error, Interrupted) else Interrupted
            raise kind(
                "The sweep was interrupted; its trials are kept.",
                found=f"complete trials: {len(Sweep(study, where, ranges).complete)}, in "
                f"{where.folder}",
                do="the same command goes on",
            ) from None
    found = Sweep(study, where, ranges)
    if progress and callback is None:
        from steepest.terminal import show_sweep

        show_sweep(found, as_json=False)
    return found


def _loaded(recipe: Recipe | str | Path | dict[str, Any], settings: list[str]) -> Recipe:
    if isinstance(recipe, str | Path):
        loaded = Recipe.from_toml(recipe, settings=settings)
    elif isinstance(recipe, dict):
        loaded = Recipe.from_dict(recipe).with_settings(settings)
    else:
        loaded = recipe.with_settings(settings)
    return loaded.anchored(Path.cwd())


def _next_to(recipe: Recipe) -> Path:
    return Path("runs") / f"{stem_of(recipe)}-sweep"


def _run(
    study: optuna.Study,
    where: Storage,
    recipe: Recipe,
    ranges: tuple[Range, ...],
    trials: int,
    told: TrainingCallback,
) -> None:
    """Train trials until there are so many, those of other processes among them."""
    optuna = load_optuna()
    begun = len(_counted(study))
    if begun:
        told.say(f"Going on with {begun} of {trials} trials in {where.folder}.")
    number = -1

    def objective(held: ExitStack, title: str, trial: optuna.Trial) -> float:
        nonlocal number
        held.close()
        number = trial.number
        return train_trial(
            trial, recipe, ranges, where.folder, told, f"Trial {number}, {title} of {trials}"
        )

    while True:
        with ExitStack() as held:
            held.enter_context(where.locked())  # until the trial has its number
            optuna.storages.fail_stale_trials(study)
            count = len(_counted(study))
            if count >= trials:
                break
            try:
                study.optimize(partial(objective, held, f"{count + 1}"), n_trials=1)
            except (Interrupted, KeyboardInterrupt):
                _take_up_later(study)
                raise
            except optuna.exceptions.UpdateFinishedTrialError:
                told.say(f"Trial {number} was given up by others while this process was paused.")
                continue
        _say_trial(Sweep(study, where, ranges), number, told)
    running = [t.number for t in study.trials if t.state == optuna.trial.TrialState.RUNNING]
    if running:
        told.say(
            f"Trials in progress: {', '.join(map(str, running))}, by other processes; if one was "
            "killed, the same command takes its trial up after a minute."
        )


def _counted(study: optuna.Study) -> list[Any]:
    """The trials that count: done, or in progress somewhere."""
    states = load_optuna().trial.TrialState
    return study.get_trials(False, (states.COMPLETE, states.PRUNED, states.RUNNING))


def _take_up_later(study: optuna.Study) -> None:
    """Queue the trial that this process has just left: the next one goes on with its run."""
    states = load_optuna().trial.TrialState
    failed = [t for t in study.get_trials(states=(states.FAIL,)) if "failed" not in t.user_attrs]
    again = {n for t in study.trials for n in t.system_attrs.get("retry_history", ())}
    for trial in failed:
        if trial.number not in again:
            retry()(study, trial)


def _say_trial(found: Sweep, number: int, told: TrainingCallback) -> None:
    trial = next(t for t in found.trials if t.number == number)
    loss = "" if trial.loss is None else f", {trial.loss:.5g}"
    best = next(iter(found.complete), None)
    told.say(
        f"Trial {number}: {trial.status}{loss}"
        + (f" (best {best.loss:.5g}, trial {best.number})" if best else "")
        + f"; {', '.join(f'{key} = {value}' for key, value in trial.values.items())}."
    )
