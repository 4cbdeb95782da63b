"""A model to apply: that of a run, or a folder with the three files of a model alone."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from steepest.errors import RunFolderError
from steepest.folder.faults import damage_explained, seen
from steepest.folder.run_folder import RunFolder
from steepest.trained import FORMAT, VERSIONS, TrainedModel

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
                found=seen(path),
                cause="a copy that left a file out",
                do="copy the whole folder RUN/model",
            )
    config_file, parameters_file, scaling_file = FILES
    with _damage_explained(path, config_file):
        config = json.loads((path / config_file).read_text(encoding="utf-8"))
        _refuse_other(path, config)
    with _damage_explained(path, parameters_file):
        parameters = load_file(path / parameters_file)
    with _damage_explained(path, scaling_file):
        scaling = load_file(path / scaling_file)
    with _damage_explained(path, config_file):
        return TrainedModel.from_parts(config, parameters, scaling)


def _damage_explained(path: Path, name: str) -> AbstractContextManager[None]:
    return damage_explained(f"{name} of the model {path}", "copy the folder RUN/model again")


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
    if found.get("version") not in VERSIONS:
        raise RunFolderError(
            f"The model {path} cannot be read.",
            expected=f"version {' or '.join(map(str, VERSIONS))} of its format",
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
        found=seen(path),
        do=do,
    )


def _sums(path: Path) -> dict[str, str]:
    return {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in FILES}
