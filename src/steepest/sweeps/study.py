"""The study of a sweep: its database, what it is of, its sampler and its pruner."""

from __future__ import annotations

import contextlib
import fcntl
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steepest.errors import InputError, RunFolderError
from steepest.events import extra
from steepest.folder.files import explained
from steepest.folder.run_folder import is_run
from steepest.recipe import Recipe
from steepest.sweeps.ranges import Range

if TYPE_CHECKING:
    import optuna

DATABASE = "study.db"
LOCK = ".study.lock"
HEARTBEAT, GRACE = 15, 60
"""Seconds between signs of life of a trial; without one for so long, its process has ended."""
RETRIES = 3
"""So often a trial is taken up again whose process was killed: it may need too much memory."""
PRUNERS = ("median", "hyperband", "successive-halving", "none")
PARTS = 20
"""A pruner is told the loss after each twentieth of the steps that a trial plans."""


def load_optuna() -> Any:
    """Return `optuna`, or raise MissingExtraError."""
    return extra.load("optuna", "sweep", "A sweep")


@dataclass(frozen=True)
class Storage:
    """Where a study lies.

    Attributes
    ----------
    folder
        Of the sweep: the runs, and the database unless `url` names another.
    url
        Of a database, for processes that share no folder of one machine; None: SQLite in `folder`.
    """

    folder: Path
    url: str | None = None

    @property
    def shown(self) -> str:
        """The database, without its password."""
        if self.url is None:
            return str(self.folder / DATABASE)
        from sqlalchemy.engine import make_url

        return make_url(self.url).render_as_string(hide_password=True)

    @property
    def name(self) -> str:
        """Of the study."""
        return self.folder.name

    def refuse_occupied(self) -> None:
        """Raise RunFolderError for a folder with anything but a sweep."""
        if not self.folder.exists():
            return
        held = sorted(e.name for e in self.folder.iterdir()) if self.folder.is_dir() else ["a file"]
        if (held and LOCK not in held and DATABASE not in held) or is_run(self.folder):
            raise RunFolderError(
                f"{self.folder} is not empty, and holds no sweep.",
                expected="a new or empty folder, or that of a sweep which goes on",
                found=", ".join(held[:5]),
                do="choose another with --out",
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study for a moment: processes of a folder decide one after the other."""
        with explained("Locking the sweep", self.folder, "nothing was changed"):
            descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def open(self) -> optuna.Study:
        """Open the study, which is made if it is not there.

        Raises
        ------
        InputError
            The database cannot be opened.
        """
        optuna = load_optuna()
        from sqlalchemy.engine import make_url

        url = self.url or f"sqlite:///{(self.folder / DATABASE).resolve()}"
        opening = ImportError, RuntimeError, optuna.exceptions.OptunaError
        with self.explained(*opening), quiet(), self.locked():
            is_file = make_url(url).get_backend_name() == "sqlite"
            options = {"connect_args": {"timeout": 60}} if is_file else {"pool_pre_ping": True}
            storage = _storage_class()(
                url,
                engine_kwargs=options,
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=retry(),
            )
            return optuna.create_study(
                storage=storage,
                study_name=self.name,
                direction="minimize",
                load_if_exists=True,
            )

    @contextmanager
    def explained(self, *others: type[Exception]) -> Iterator[None]:
        """Turn errors of the database, and other ones, into an InputError."""
        try:
            yield
        except Exception as error:
            behind = database_error(error)
            if behind is None and not isinstance(error, others):
                raise
            given = self.url is not None
            raise InputError(
                "The database of the sweep cannot be used.",
                expected="a URL of SQLAlchemy, such as postgresql://USER@HOST/NAME"
                if given
                else f"the study in {self.folder / DATABASE}",
                found=_first_line(behind or error, self.url or ""),
                cause=None if given else "the file is damaged, or no study of Optuna",
                do="check --storage, and that its driver is installed; the same command goes on"
                if given
                else "choose another folder with --out",
            ) from None


def database_error(error: BaseException) -> BaseException | None:
    """Return the error of the database behind an error, which Optuna may have lost sight of."""
    from sqlalchemy.exc import SQLAlchemyError

    internal = load_optuna().exceptions.StorageInternalError
    found, behind = None, error
    while behind is not None:
        if isinstance(behind, SQLAlchemyError):
            return behind
        found = behind if isinstance(behind, internal) else found
        behind = behind.__cause__ or behind.__context__
    return found


@cache
def _storage_class() -> Any:
    """Optuna's database, whose heartbeat does not end with a traceback where the server left."""
    optuna = load_optuna()

    class Database(optuna.storages.RDBStorage):
        def record_heartbeat(self, trial_id: int) -> None:
            with contextlib.suppress(optuna.exceptions.StorageInternalError):
                super().record_heartbeat(trial_id)

    return Database


def _first_line(error: BaseException, url: str) -> str:
    """What an error says, without a password that it may repeat."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    behind = error.__cause__ or error.__context__
    if isinstance(error, ImportError) and behind is not None:
        said += f" {behind}"  # the name of the driver
    with contextlib.suppress(ValueError, ArgumentError):
        if password := make_url(url).password:
            said = said.replace(str(password), "***")
    return said


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of Optuna's on the terminal: what it logs, and that a part is experimental."""
    optuna = load_optuna()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def retry() -> Any:
    """Return what queues a trial again, with its losses so far and its folder."""
    optuna = load_optuna()
    with quiet():
        return optuna.storages.RetryHeartbeatStaleTrialCallback(
            max_retry=RETRIES, inherit_intermediate_values=True
        )


def bind(study: optuna.Study, recipe: Recipe, ranges: Sequence[Range]) -> None:
    """Say in a new study what it is of; refuse to go on with one of something else."""
    asked = {"recipe": recipe.to_dict(), "ranges": {each.key: each.text for each in ranges}}
    asked = _plain(asked)
    known = study.user_attrs.get("steepest")
    if known is None and not study.trials:
        study.set_user_attr("steepest", asked)
    elif known != asked:
        found = sorted({*_leaves(known or {}), *_leaves(asked)}, key=str)
        other = [key for key, _ in found if dict(_leaves(known or {})).get(key)
                 != dict(_leaves(asked)).get(key)]  # fmt: skip
        raise InputError(
            f"The study {study.study_name!r} is of another recipe, or of other ranges.",
            expected="the same recipe, --set and ranges as it was begun with",
            found=f"other values of {', '.join(dict.fromkeys(other))}",
            do="choose another folder with --out",
        )


def _plain(value: Any) -> Any:
    """Return what JSON makes of it."""
    import json

    return json.loads(json.dumps(value))


def _leaves(table: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(table, dict):
        return [leaf for key, value in table.items() for leaf in _leaves(value, f"{prefix}{key}.")]
    return [(prefix.rstrip(".").removeprefix("recipe.").removeprefix("ranges."), repr(table))]


def pruner_named(name: str) -> optuna.pruners.BasePruner:
    """Return a pruner of Optuna; its resource are the twentieths of a descent.

    Raises
    ------
    InputError
        There is none of that name.
    """
    pruners = load_optuna().pruners
    with quiet():
        match name:
            case "median":
                return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=PARTS // 4)
            case "hyperband":
                return pruners.HyperbandPruner(1, PARTS, 3)
            case "successive-halving":
                return pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3)
            case "none":
                return pruners.NopPruner()
    raise InputError(
        f"There is no pruner {name!r}.", expected=f"one of {', '.join(PRUNERS)}", found=repr(name)
    )


@cache
def _seeded_class() -> Any:
    """The class of `seeded_sampler`: Optuna, whose class it derives from, is an extra."""
    optuna = load_optuna()

    class Seeded(optuna.samplers.BaseSampler):
        def __init__(self, study: Any, seed: int) -> None:
            self.study, self.seed = study, seed
            self.inner: Any = None

        def before_trial(self, study: Any, trial: Any) -> None:
            earlier = self.study.get_trials(deepcopy=False)[: trial.number]
            again = sum("failed_trial" in each.system_attrs for each in earlier)
            seed = (self.seed + trial.number - again) % 2**32
            self.inner = optuna.samplers.TPESampler(seed=seed)

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self.inner.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self.inner.sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return self.inner.sample_independent(study, trial, name, distribution)

    return Seeded


def seeded_sampler(study: optuna.Study, seed: int) -> optuna.samplers.BaseSampler:
    """Return a tree-structured Parzen estimator whose draws depend on the place of the trial.

    So a sweep that was interrupted goes on with the draws of one that was not, and processes that
    share a study do not all draw the same.

    References
    ----------
    J. Bergstra et al., NeurIPS 2011.
    """
    with quiet():
        return _seeded_class()(study, seed * 1_000_003)
