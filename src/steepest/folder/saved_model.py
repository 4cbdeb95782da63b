"""A model to apply: that of a run, or a folder with the three files of a model alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file

from steepest.errors import RunFolderError
from steepest.folder.run_folder import RunFolder
from steepest.trained import FORMAT, TrainedModel

__all__ = ["SavedModel", "load_model"]

FILES = ("config.json", "model.safetensors", "scaling.safetensors")


@dataclass(frozen=True)
class SavedModel:
    """A model and where it is from.

    Attributes
    ----------
    path : Path
        The folder of its files.
    model : TrainedModel
        The model.
    sha256 : dict[str, str]
        The checksum of each of its files.
    run : RunFolder or None
        The run that it is from, if that was given.
    """

    path: Path
    model: TrainedModel
    sha256: dict[str, str]
    run: RunFolder | None = None

    @property
    def diverged(self) -> bool:
        """Whether it is what a descent that diverged has left."""
        metrics = self.run.metrics if self.run is not None else None
        return metrics is not None and metrics["status"] == "diverged"


def load_model(path: str | Path) -> SavedModel:
    """Read a model from a run's folder, or from a folder such as ``RUN/model``.

    Raises
    ------
    RunFolderError
        There is neither; the run has no model yet; a file is missing or damaged.

    Examples
    --------
    >>> load_model("runs/top-jets-1").model.names  # doctest: +SKIP
    """
    path = Path(path)
    if (path / "recipe.toml").is_file():
        run = RunFolder(path)
        model = run.model
        return SavedModel(path / "model", model, _sums(path / "model"), run)
    if not any((path / name).is_file() for name in FILES):
        raise _no_model(path)
    return SavedModel(path, _read(path), _sums(path))


def _read(path: Path) -> TrainedModel:
    for name in FILES:
        if not (path / name).is_file():
            raise RunFolderError(
                f"The model {path} has no {name}.",
                expected=", ".join(FILES),
                found=_seen(path),
                cause="a copy that left a file out",
                do="copy the whole folder RUN/model",
            )
    name = FILES[0]
    try:
        config = json.loads((path / name).read_text(encoding="utf-8"))
        _refuse_other(path, config)
        parameters = load_file(path / (name := FILES[1]))
        scaling = load_file(path / (name := FILES[2]))
        name = FILES[0]
        return TrainedModel.from_parts(config, parameters, scaling)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, RunFolderError):
            raise
        raise RunFolderError(
            f"{name} of the model {path} is damaged.",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            cause="it was changed, or cut short by a copy",
            do="copy the folder RUN/model again",
        ) from error


def _refuse_other(path: Path, config: Any) -> None:
    """Raise RunFolderError for a configuration of something else, or of a newer release."""
    found = config if isinstance(config, dict) else {}
    if found.get("format") != FORMAT["format"]:
        raise RunFolderError(
            f"{path} holds no model of steepest.",
            expected=f'a config.json with "format": "{FORMAT["format"]}"',
            found=f"a config.json with {', '.join(sorted(found)[:5]) or 'nothing of it'}",
            do="give a run's folder, or its folder model",
        )
    if found.get("version") != FORMAT["version"]:
        raise RunFolderError(
            f"The model {path} cannot be read.",
            expected=f"version {FORMAT['version']} of its format",
            found=f"version {found.get('version')!r}",
            cause="it was written by another release of steepest",
            do="use the release that wrote it, or train again",
        )


def _no_model(path: Path) -> RunFolderError:
    do = "check the path"
    if path.name in FILES and path.is_file():
        do = f"write {path.parent}"
    elif (path / "model" / FILES[0]).is_file():
        do = f"write {path / 'model'}"
    return RunFolderError(
        f"There is no model in {path}.",
        expected="a run's folder, or its folder model with " + ", ".join(FILES),
        found=_seen(path),
        do=do,
    )


def _seen(path: Path) -> str:
    if not path.is_dir():
        return "a file" if path.exists() else "no such folder"
    names = sorted(entry.name for entry in path.iterdir())
    return f"a folder with {', '.join(names[:5])}" if names else "an empty folder"


def _sums(path: Path) -> dict[str, str]:
    return {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in FILES}
