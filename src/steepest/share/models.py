"""A model in a folder of its own: `save` writes it, `load` reads it, from the Hub as well.

The folder is that of ``RUN/model``, with training.json (recipe, figures of merit, fingerprint of
the events, versions) and checksums; docs/hub.md lists the files. Nothing is pickled, and reading it
runs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steepest.errors import InputError
from steepest.folder import RunFolder, load_model, provenance_of, write_model
from steepest.folder.files import json_text
from steepest.folder.provenance import NAME
from steepest.share.weaver import preprocess_files
from steepest.trained import TrainedModel


def save(source: Any, folder: str | Path) -> Path:
    """Write a model into a new folder, which can be copied, shared and read again.

    Parameters
    ----------
    source
        A `steepest.Run`, or the path of its folder; a fitted estimator; a
        `steepest.trained.TrainedModel`, of which nothing else is known.
    folder
        A path where nothing lies yet.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RunFolderError
        The run is not complete or damaged; something lies at `folder`; the disk does not take it.
    InputError
        `source` is none of these.

    Examples
    --------
    >>> steepest.save(run, "top-tagger")  # doctest: +SKIP
    """
    folder = Path(folder)
    if hasattr(source, "save_pretrained"):
        source.save_pretrained(folder)
    elif isinstance(source, TrainedModel):
        write_model(folder, source, preprocess_files(source))
    elif isinstance(source, str | Path) or hasattr(source, "path"):
        path = source if isinstance(source, str | Path) else source.path
        save_run(RunFolder(path), folder)
    else:
        raise InputError(
            "There is no model to save.",
            expected="a Run or its folder, a fitted estimator, or a TrainedModel",
            found=f"a {type(source).__name__}",
            do="steepest.save(run, folder)",
        )
    return folder


def save_run(run: RunFolder, folder: Path) -> None:
    """Write the model of a complete run, and what is known of its training."""
    provenance = provenance_of(run)
    model = run.model
    write_model(folder, model, {NAME: json_text(provenance), **preprocess_files(model)})


def load(source: str | Path) -> TrainedModel:
    """Return the model of a folder, or of the Hub: ``hf://ORG/NAME`` or ``hf://ORG/NAME@REVISION``.

    Parameters
    ----------
    source
        What `save` wrote, a run's folder, ``RUN/model``, or a model on the Hub.

    Returns
    -------
    TrainedModel
        ``model.predict(X)`` takes raw features ``(events, features)`` in the order of
        ``model.names``.

    Raises
    ------
    RunFolderError
        There is no model; a file is missing, damaged, or of a later version; the kind of model is
        not known.
    InputError
        The Hub does not give it.
    MissingExtraError
        huggingface_hub or PyTorch is needed and not installed.

    Examples
    --------
    >>> steepest.load("hf://dl4phys/top-tagger").predict(X)  # doctest: +SKIP
    """
    return load_model(str(source)).model
