"""A run of MLflow, where MLflow's own settings say: ``MLFLOW_TRACKING_URI`` or its default."""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from steepest._version import __version__
from steepest.errors import InputError
from steepest.events import extra
from steepest.folder import RunFolder
from steepest.folder.files import parse_json
from steepest.recipe import Recipe

FILE = "mlflow.json"
"""In the run's folder: the identity of its run in MLflow, by which a resumed run goes on."""
EXPERIMENT = "steepest"
LONGEST, BATCH = 500, 100
"""Characters of a parameter, and entries of a request, that every version of MLflow takes."""
STATUS = {"complete": "FINISHED", "interrupted": "KILLED"}


class MLflow:
    """Logs parameters, validations and figures of merit of a run.

    The run of a fold is below that of all folds. The experiment is that of
    ``MLFLOW_EXPERIMENT_NAME``, or ``steepest``.
    """

    def __init__(self, folder: RunFolder, recipe: Recipe) -> None:
        tracking, self.entities, exceptions = (
            extra.load(f"mlflow.{module}", "mlflow", "A log")
            for module in ("tracking", "entities", "exceptions")
        )
        self.refused: type[Exception] = exceptions.MlflowException
        self.folder, self.last = folder, dict[str, int]()
        try:
            with _quiet():
                self.client: Any = tracking.MlflowClient()
                self.run = self._known() or self._new()
                self._describe(recipe)
        except (self.refused, OSError, ImportError) as error:
            raise InputError(
                "MLflow cannot log this run.",
                expected="a store that MLFLOW_TRACKING_URI names, or MLflow's default",
                found=str(error).splitlines()[0] if str(error) else type(error).__name__,
                do="check MLFLOW_TRACKING_URI, or leave 'mlflow' out of descent.log",
            ) from error

    @staticmethod
    def require() -> None:
        """Raise MissingExtraError if the package is not installed."""
        extra.load("mlflow", "mlflow", 'descent.log = ["mlflow"]')

    def _known(self) -> str | None:
        """Return the run that was begun before, if MLflow has it."""
        if not (self.folder.path / FILE).exists():
            return None
        run = parse_json(self.folder.read(FILE))["run_id"]
        try:
            self.client.get_run(run)
        except self.refused:  # another store, or it was deleted
            return None
        self.client.update_run(run, status="RUNNING")
        return run

    def _new(self) -> str:
        path = self.folder.path.resolve()
        named = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self.client.get_experiment_by_name(named)
        experiment = found.experiment_id if found else self.client.create_experiment(named)
        tags = {"steepest.run": str(path), "steepest.version": __version__}
        name, above = path.name, path.parent.parent / FILE
        if path.parent.name == "folds" and above.exists():
            tags["mlflow.parentRunId"] = parse_json(above.read_bytes())["run_id"]
            name = f"{path.parent.parent.name} fold {path.name}"
        run = self.client.create_run(experiment, run_name=name, tags=tags).info.run_id
        self.folder.write_json(FILE, {"run_id": run})
        return run

    def _describe(self, recipe: Recipe) -> None:
        """Log the keys of the recipe that are not known yet: MLflow does not let them change."""
        known = self.client.get_run(self.run).data.params
        params = [
            self.entities.Param(_named(key), str(value)[:LONGEST])
            for key, value in recipe.to_flat_dict().items()
            if _named(key) not in known
        ]
        for start in range(0, len(params), BATCH):
            self.client.log_batch(self.run, params=params[start : start + BATCH])

    def begin(self, step: int) -> None:
        """Read how far the log is: what it has of later steps is not written twice."""
        if step:
            with _quiet():
                for name in self.client.get_run(self.run).data.metrics:
                    history = self.client.get_metric_history(self.run, name)
                    self.last[name] = max(each.step for each in history)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log metrics of a step, each once."""
        now = int(time.time() * 1000)
        metrics = [
            self.entities.Metric(_named(name), value, now, step)
            for name, value in values.items()
            if step > self.last.get(_named(name), -1)
        ]
        with _quiet():
            for start in range(0, len(metrics), BATCH):
                self.client.log_batch(self.run, metrics=metrics[start : start + BATCH])

    def end(self, status: str) -> None:
        """Say how the run ended."""
        with _quiet():
            self.client.set_terminated(self.run, STATUS.get(status, "FAILED"))


def _named(name: str) -> str:
    """Return a name with the characters that MLflow takes."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what MLflow and its database tell of themselves."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
