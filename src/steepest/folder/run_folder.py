"""A run's folder: made once, locked while a run writes to it, read by whoever comes after."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy
from safetensors.numpy import save_file

from steepest.descent.state import Path as DescentPath
from steepest.errors import RunFolderError
from steepest.folder.files import (
    PARTIAL,
    damage_explained,
    explained,
    json_text,
    parse_json,
    seen,
    write_text,
)
from steepest.folder.hub import is_address, model_folder
from steepest.folder.live import read_history, read_progress, remove_live
from steepest.folder.manifest import NAME, Manifest, damaged
from steepest.folder.provenance import read_provenance
from steepest.folder.saved_model import FILES, SavedModel, checked, no_model, read_model
from steepest.recipe import FriendRecipe, Recipe
from steepest.trained import TrainedModel

_LOCK = ".lock"
_DO = "restore it, or train anew into another folder"
_KINDS = {str: "text", dict: "a table", list: "a list"}
_DOCUMENTS: dict[str, dict[str, type]] = {
    "metrics.json": {"format": str, "status": str},
    "environment.json": {"format": str, "events": dict},
    "explanation.json": {"format": str, "verdict": str, "findings": list, "checks": list},
}
"""The keys that every version of a file has."""
HISTORY_FORMAT = {b"steepest": b'{"format": "steepest-history", "version": 1}'}


class RunFolder:
    """Reads and writes what lies in a run's folder.

    Parameters
    ----------
    path
        An existing run's folder; `RunFolder.create` makes a new one.
    is_main
        Whether this process locks and writes. In others these do nothing.

    Raises
    ------
    RunFolderError
        If there is no run at `path`.
    """

    def __init__(self, path: str | Path, is_main: bool = True) -> None:
        self.path = Path(path)
        self.is_main = is_main
        self.manifest = _manifest(self.path)
        if not is_run(self.path):
            recipe = (self.path / "recipe.toml").is_file()
            raise RunFolderError(
                f"There is no run in {path}.",
                expected="a folder with a recipe.toml, as `steepest train` makes it",
                found=seen(self.path),
                cause="the recipe there was not trained in this folder" if recipe else None,
                do=f"steepest train {self.path / 'recipe.toml'}" if recipe else "check the path",
            )

    @classmethod
    def create(cls, path: str | Path, recipe: Recipe) -> RunFolder:
        """Make a new folder for a run of `recipe`; refuses one that holds anything."""
        with cls.create_locked(path, recipe) as folder:
            return folder

    @classmethod
    @contextmanager
    def create_locked(
        cls, path: str | Path, recipe: Recipe, overwrite: bool = False
    ) -> Iterator[RunFolder]:
        """Make a new folder for a run of `recipe`, and hold it alone.

        The lock is taken before anything is written: of two processes that make the same folder,
        one is refused. With `overwrite`, a run that lies there is removed.
        """
        path = Path(path)
        with explained("Making the run's folder", path, "nothing was done yet"):
            cls.refuse_occupied(path, overwrite)
            path.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            with explained("Making the run's folder", path, "nothing was done yet"):
                cls.refuse_occupied(path, overwrite)  # the one that had the lock may have written
                if overwrite:
                    _empty(path)
                text = recipe.to_toml()
                _manifest(path).write("recipe.toml", lambda file: write_text(file, text))
            yield cls(path)

    @staticmethod
    def refuse_occupied(path: Path, overwrite: bool = False) -> None:
        """Raise RunFolderError if anything lies at `path`; with `overwrite`, anything but a run."""
        if overwrite and is_run(path):
            return
        names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
        # a file half written is of a process that has the lock, or has ended before its first file
        held = [name for name in names if name != _LOCK and not name.startswith(PARTIAL)]
        if path.is_dir() and not held:
            return
        if is_run(path):
            raise RunFolderError(
                f"{path} holds another run.",
                expected="a new or empty folder",
                found="its recipe.toml",
                do=f"choose another with --out, replace it with --overwrite, or go on with it: "
                f"steepest train --resume {path}",
            )
        if path.exists() or path.is_symlink():
            found = "a file"
            if path.is_dir():
                found = f"a folder with {min(held)}"
            raise RunFolderError(
                f"{path} is not empty.",
                expected="a new or empty folder",
                found=found,
                do="choose another with --out",
            )

    @property
    def epochs_done(self) -> float:
        """How many epochs a run has done that came to its end; 0 of one that has not."""
        if not (self.path / "history.parquet").exists():
            return 0.0
        done = self.history["epoch"]
        return done[-1].as_py() if len(done) else 0.0

    def reopen(self, recipe: Recipe) -> None:
        """Make a complete run one that goes on, by a recipe with a longer descent."""
        self.manifest.forget(
            ("metrics.json", "history.parquet", "path.safetensors", "explanation.json")
        )
        self.write_text("recipe.toml", recipe.to_toml())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder alone; the lock goes with the process, however it ends."""
        if not self.is_main:
            yield
            return
        with _locked(self.path):
            yield

    def say(self, sentence: str) -> None:
        """Append a sentence to log.txt, with the time."""
        if not self.is_main:
            return
        with explained("Writing log.txt", self.path, "what was done so far is kept"):
            moment = time.strftime("%Y-%m-%d %H:%M:%S")
            with (self.path / "log.txt").open("a", encoding="utf-8") as log:
                log.write(f"{moment}  {sentence}\n")

    @property
    def recipe(self) -> Recipe:
        """What was asked for."""
        self.manifest.read("recipe.toml")
        return Recipe.from_toml(self.path / "recipe.toml", anchor=False)

    @property
    def unchecked(self) -> str | None:
        """What to say of a run whose files have no checksums; None of others."""
        if self.manifest.exists:
            return None
        return (
            f"The run {self.path} has no {NAME}, as those of older releases: whether its files are "
            "as they were written cannot be told."
        )

    def say_unchecked(self, say: Callable[[str], None]) -> None:
        """Say so of a run whose files have no checksums."""
        if self.unchecked is not None:
            say(self.unchecked)

    def verify(self) -> None:
        """Raise RunFolderError for a file that is missing, or not as it was written."""
        self.manifest.verify(made_anew=("report.html",))

    @property
    def metrics(self) -> dict[str, Any] | None:
        """What metrics.json holds; None while the run is not done."""
        return self._json("metrics.json")

    @property
    def l2(self) -> float:
        """λ of J: as it was decided, or as the recipe of an older or unfinished run says it."""
        decided = (self.metrics or {}).get("descent", {}).get("l2", self.recipe.descent.l2)
        return decided if isinstance(decided, float) else 0.0

    @property
    def environment(self) -> dict[str, Any] | None:
        """What environment.json holds, or None if it was not written yet."""
        return self._json("environment.json")

    @property
    def explanation(self) -> dict[str, Any] | None:
        """What explanation.json holds, or None if the run was not explained."""
        return self._json("explanation.json")

    @property
    def history(self) -> pa.Table:
        """Every recorded step and validation; while the run goes on, those so far."""
        if not (self.path / "history.parquet").exists():
            live = read_history(self.path)
            if live is not None:
                return live

        def read(data: bytes) -> pa.Table:
            return pq.ParquetFile(pa.BufferReader(data)).read()

        return self._read("history.parquet", read)

    @property
    def progress(self) -> dict[str, Any] | None:
        """How far a running descent is, see `steepest.folder.live`; None where none is running."""
        return read_progress(self.path)

    @property
    def drawings(self) -> dict[str, Any]:
        """By name of a figure: the function that draws it, and its options; empty if none is."""
        if not (self.path / "figures.json").exists():
            return {}
        return self._read("figures.json", parse_json)

    def figure(self, name: str) -> Any:
        """The numbers of a figure."""
        return self._read(f"figures/{name}.json", parse_json)

    @property
    def descent_path(self) -> DescentPath | None:
        """The path of θ, or None if the run took no steps."""
        if not (self.path / "path.safetensors").exists():
            return None
        return self._read("path.safetensors", _path_of)

    @property
    def log(self) -> str:
        """What log.txt holds, which is no file that others rely on; empty if it is not there."""
        file = self.path / "log.txt"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    @property
    def model(self) -> TrainedModel:
        """The trained model."""
        return self.saved_model.model

    @property
    def saved_model(self) -> SavedModel:
        """The trained model with the checksums of its files."""
        for name in FILES:
            self._existing(f"model/{name}")
        return read_model(
            self.path / "model", lambda name: self.manifest.read(f"model/{name}"), self.path
        )

    def read(self, name: str) -> bytes:
        """What a file holds, whole and as it was written."""
        return self._read(name, bytes)

    @property
    def folds(self) -> list[RunFolder]:
        """The runs of the folds that were begun, in order; none of a run with one model."""
        found: list[RunFolder] = []
        while (self.path / "folds" / str(len(found)) / "recipe.toml").is_file():
            found.append(RunFolder(self.path / "folds" / str(len(found)), self.is_main))
        return found

    @property
    def trained_folds(self) -> list[RunFolder]:
        """The runs of the folds that are done: not all, if a user ended the run."""
        return [run for run in self.folds if (run.metrics or {}).get("status") == "complete"]

    def _json(self, name: str) -> dict[str, Any] | None:
        """What a JSON file holds that has the keys that others rely on; None if it is not there."""
        if not (self.path / name).exists():
            return None
        value = self._read(name, parse_json)
        wanted = _DOCUMENTS[name]
        for key, kind in wanted.items():
            found = value.get(key) if isinstance(value, dict) else None
            if not isinstance(found, kind):
                what = f"{name} of the run {self.path}"
                raise damaged(what, f"{key!r} with {_KINDS[kind]}", _json_of(found), _DO)
        return value

    def _read(self, name: str, load: Callable[[bytes], Any]) -> Any:
        self._existing(name)
        with damage_explained(f"{name} of the run {self.path}", _DO):
            return load(self.manifest.read(name))

    def write_history(self, history: pa.Table) -> None:
        """Write history.parquet, which readers take in place of the live files from then on."""
        history = history.replace_schema_metadata(HISTORY_FORMAT)
        self._write("history.parquet", lambda file: pq.write_table(history, file))
        if self.is_main:
            remove_live(self.path)

    def write_path(self, path: DescentPath) -> None:
        """Write path.safetensors."""
        arrays = {"steps": path.steps, "thetas": path.thetas}
        self._write("path.safetensors", lambda file: save_file(arrays, file))

    def write_model(self, model: TrainedModel) -> None:
        """Write model/: configuration, parameters, scaling."""
        config, parameters, scaling = model.to_parts()
        self.write_all(
            {
                "model/scaling.safetensors": lambda file: save_file(scaling, file),
                "model/model.safetensors": lambda file: save_file(parameters, file),
                "model/config.json": lambda file: write_text(file, json_text(config)),
            },
            "the model",
        )

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file."""
        self.write_text(name, json_text(value))

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        self._write(name, lambda file: write_text(file, text))

    def write_all(self, files: Mapping[str, Callable[[Path], object]], what: str) -> None:
        """Let each function write a file to the path that it is given; `what` they are together."""
        if not self.is_main:
            return
        kept = f"what was done is kept; go on with `steepest train --resume {self.path}`"
        with explained(f"Writing {what}", self.path, kept):
            self.manifest.write_all(files)

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        self.write_all({name: write}, name)

    def _existing(self, name: str) -> Path:
        file = self.path / name
        if not file.exists():
            if self.recipe.events.split.cross_validated:
                raise RunFolderError(
                    f"The run {self.path} has no {name}: it has folds, each with its own.",
                    expected="the run of one fold",
                    do=f"name a fold, such as {self.path / 'folds' / '0'}",
                )
            raise RunFolderError(
                f"The run {self.path} has no {name}.",
                cause="it was interrupted, or is still training",
                do=f"steepest train --resume {self.path}",
            )
        return file


def _manifest(path: Path) -> Manifest:
    grow, own = ("log.txt", "live", "tensorboard"), ("checkpoints", "journal", "landscape", "folds")
    return Manifest(path, f"the run {path}", _DO, grow + own)


def _path_of(data: bytes) -> DescentPath:
    arrays = safetensors.numpy.load(data)
    steps, thetas = arrays["steps"], arrays["thetas"]
    if steps.ndim != 1 or thetas.ndim != 2 or len(steps) != len(thetas):
        raise ValueError(f"steps of shape {steps.shape}, thetas of shape {thetas.shape}")
    return DescentPath(steps, thetas)


def _json_of(value: Any) -> str:
    return "nothing of it" if value is None else f"{json_text(value).strip()[:40]}"


def is_run(path: Path) -> bool:
    """Whether a run lies there: a recipe alone, which a user may have written, is none."""
    marks = (_LOCK, "log.txt", "environment.json", "metrics.json", "model/config.json")
    return (path / "recipe.toml").is_file() and any((path / mark).exists() for mark in marks)


def _empty(path: Path) -> None:
    """Remove a run, and leave its lock."""
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()


def in_use(path: Path) -> bool:
    """Whether a process of this machine holds the run's lock, by the kernel's table of locks.

    Taking the lock to see would disturb a process that takes it just then. False where the system
    has no such table, and for locks of other machines.
    """
    try:
        inode = (path / _LOCK).stat().st_ino
        table = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return False
    return any(" FLOCK " in line and f":{inode} " in line for line in table.splitlines())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with explained("Locking the run's folder", path, "nothing was changed"):
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(
                f"Another process is training in {path}.",
                do="wait until it ends, or train into another folder",
            ) from None
        yield
    finally:
        os.close(descriptor)


def load_model(path: str | Path) -> SavedModel:
    """Read a model from a run's folder, a folder such as ``RUN/model``, or ``hf://ORG/NAME``.

    Raises
    ------
    RunFolderError
        There is neither; the run has no model yet; a file is missing or damaged.
    EventsError, MissingExtraError
        The Hub does not give the model; huggingface_hub is not installed.

    Examples
    --------
    >>> load_model("runs/top-jets-1").model.names  # doctest: +SKIP
    """
    if is_address(path):
        return read_folder(model_folder(str(path)), downloaded=True)
    path = Path(path)
    if is_run(path):
        run = RunFolder(path)
        metrics = run.metrics
        diverged = metrics is not None and metrics["status"] == "diverged"
        return replace(
            run.saved_model,
            diverged=diverged,
            select=run.recipe.events.select,
            friends=run.recipe.events.friends or (),
            unchecked=run.unchecked,
        )
    if path.name == "model" and (path.parent / "recipe.toml").is_file():
        return RunFolder(path.parent).saved_model
    return read_folder(path)


def read_folder(path: Path, downloaded: bool = False) -> SavedModel:
    """Read a folder with a model alone."""
    if not any((path / name).is_file() for name in FILES):
        raise no_model(path)
    read = checked(path)
    saved = read_model(path, read, downloaded=downloaded)
    provenance = read_provenance(path, read)
    if provenance is None:
        return saved
    events = provenance["recipe"]["events"]
    with damage_explained(f"training.json of the model {path}", "copy the folder again"):
        friends = tuple(map(FriendRecipe.model_validate, events.get("friends") or ()))
    return replace(saved, select=events.get("select"), friends=friends)
