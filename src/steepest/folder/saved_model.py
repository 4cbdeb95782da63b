"""A model by itself: RUN/model, a copy of that folder, or what `steepest.save` wrote."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.numpy
from safetensors.numpy import save_file

from steepest.errors import RunFolderError
from steepest.folder.files import (
    damage_explained,
    explained,
    json_text,
    parse_json,
    seen,
    write_text,
)
from steepest.folder.manifest import Manifest
from steepest.recipe import FriendRecipe
from steepest.trained import FORMAT, VERSIONS, TrainedModel

_LOAD: dict[str, Callable[[bytes], Any]] = {
    "config.json": parse_json,
    "model.safetensors": safetensors.numpy.load,
    "scaling.safetensors": safetensors.numpy.load,
}
FILES = tuple(_LOAD)
_COPY = "copy the folder again, or download it again"


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
    diverged : bool
        Whether it is what a descent that diverged has left, as far as its run is known.
    select : str or None
        The selection that its run was trained with, as far as that is known.
    friends : tuple[FriendRecipe, ...]
        The friends of the events that its run was trained on, as far as that is known.
    unchecked : str or None
        What to say where its run has no checksums.
    """

    path: Path
    model: TrainedModel
    sha256: dict[str, str]
    diverged: bool = False
    select: str | None = None
    friends: tuple[FriendRecipe, ...] = ()
    unchecked: str | None = None


def read_model(
    path: Path, read: Callable[[str], bytes], run: Path | None = None, downloaded: bool = False
) -> SavedModel:
    """Read the files of a model; messages name the run that it is from, if that is given.

    A downloaded one imports nothing: a class of one's own must have been imported before.
    """
    name_of, do = f"{{}} of the model {path}", "copy the folder RUN/model again"
    if run is not None:
        name_of = f"model/{{}} of the run {run}"
        do = "restore it, or train anew into another folder"
    parts, sums = [], {}
    for name, load in _LOAD.items():
        if not (path / name).is_file():
            raise RunFolderError(
                f"The model {path} has no {name}.",
                expected=", ".join(FILES),
                found=seen(path),
                cause="a copy that left a file out",
                do="copy the whole folder RUN/model",
            )
        with damage_explained(name_of.format(name), do):
            data = read(name)
            parts.append(load(data))
            sums[name] = hashlib.sha256(data).hexdigest()
            if name == "config.json":
                _refuse_other(path, parts[0])
                if downloaded:
                    _refuse_unknown_code(path, parts[0])
    with damage_explained(name_of.format("config.json"), do):
        return SavedModel(path, TrainedModel.from_parts(*parts), sums)


def checked(path: Path) -> Callable[[str], bytes]:
    """Return what reads a file of a model's folder, compared with its checksum if there is one."""
    return Manifest(path, f"the model {path}", _COPY).read


def write_model(path: Path, model: TrainedModel, others: Mapping[str, str]) -> None:
    """Write a model into a new folder, with `others`, texts by their file's name; all or nothing.

    Raises
    ------
    RunFolderError
        There is something at `path`, or the disk does not take it.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise RunFolderError(
            f"There is something at {path} already.",
            expected="a path where nothing lies yet",
            found=seen(path) if path.is_dir() else "a file",
            do="choose another path, or remove what lies there",
        )
    with explained("Writing the model", path, "nothing is written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
            part = Path(folder) / "model"
            part.mkdir()
            config, parameters, scaling = model.to_parts()
            write = Manifest(part, f"the model {path}", _COPY).write
            write("scaling.safetensors", lambda file: save_file(scaling, file))
            write("model.safetensors", lambda file: save_file(parameters, file))
            for name, text in {"config.json": json_text(config), **others}.items():
                write(name, lambda file, text=text: write_text(file, text))
            part.rename(path)


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
            expected=f"a version from {VERSIONS[0]} to {VERSIONS[-1]} of its format",
            found=f"version {found.get('version')!r}",
            cause="it was written by another release of steepest",
            do="use the release that wrote it, or train again",
        )


def _refuse_unknown_code(path: Path, config: dict[str, Any]) -> None:
    """Raise RunFolderError where reading a downloaded model would import a package."""
    model = config.get("model")
    if not isinstance(model, dict) or model.get("name") != "module":
        return
    options = model.get("options")
    named = str(options.get("module")) if isinstance(options, dict) else "None"
    module = named.partition(":")[0]
    if module not in sys.modules:
        raise RunFolderError(
            f"The model {path} is a class of its author's, {named}.",
            expected="a class that this process has imported: a download imports nothing",
            found=f"no module {module!r} that is imported",
            do=f"if you trust it, install its package, and `import {module}` before",
        )


def no_model(path: Path) -> RunFolderError:
    """Return the error that says that there is no model at a path."""
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
