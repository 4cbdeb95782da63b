"""training.json: what a model that left its run tells of it: recipe, figures of merit, fingerprint.

It holds the recipe, metrics.json, and of environment.json the versions and the fingerprint of the
events. Of the machine nothing is told: paths are cut down to the names of the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steepest.errors import RunFolderError
from steepest.folder.files import damage_explained, parse_json

if TYPE_CHECKING:
    from steepest.folder.run_folder import RunFolder

NAME = "training.json"
FORMAT = {"format": "steepest-training", "version": 1}
_ENVIRONMENT = ("started", "steepest", "python", "packages", "events")
_LOCAL = re.compile(r"(?:/|~|\.\.?[/\\]|[A-Za-z]:[/\\]).*[/\\]", re.DOTALL)


def provenance_of(run: RunFolder) -> dict[str, Any]:
    """Return what training.json holds of a run.

    Raises
    ------
    RunFolderError
        The run is not complete: there are no figures of merit to tell.
    """
    metrics = run.metrics
    if metrics is None or metrics["status"] != "complete":
        raise RunFolderError(
            f"The run {run.path} is not complete.",
            expected='metrics.json with "status": "complete"',
            found="none" if metrics is None else f'"status": "{metrics["status"]}"',
            cause="it was interrupted, is still training, or diverged",
            do=f"steepest train --resume {run.path}",
        )
    environment = run.environment or {}
    return published(
        {
            **FORMAT,
            "recipe": run.recipe.to_dict(),
            "metrics": metrics,
            "environment": {k: environment[k] for k in _ENVIRONMENT if k in environment},
        }
    )


def read_provenance(path: Path, read: Callable[[str], bytes]) -> dict[str, Any] | None:
    """Return what training.json of a model's folder holds; None where there is none.

    Raises
    ------
    RunFolderError
        It is damaged, or of a later version.
    """
    if not (path / NAME).is_file():
        return None
    with damage_explained(f"{NAME} of the model {path}", "copy the folder again"):
        found = parse_json(read(NAME))
        if not isinstance(found, dict) or found.get("format") != FORMAT["format"]:
            raise ValueError(f"no {FORMAT['format']}")
        if found.get("version") == FORMAT["version"]:
            if not isinstance(found["recipe"]["events"], dict):
                raise ValueError("no recipe")
            return found
    raise RunFolderError(
        f"{NAME} of the model {path} cannot be read.",
        expected=f"version {FORMAT['version']}",
        found=f"version {found.get('version')!r}",
        cause="a later release of steepest has written it",
        do="pip install --upgrade steepest",
    )


def published(value: Any) -> Any:
    """Return JSON with the folders of local paths left out.

    Examples
    --------
    >>> published({"path": ["/home/me/jets.root:tree", "hf://datasets/a/b/c.parquet"]})
    {'path': ['jets.root:tree', 'hf://datasets/a/b/c.parquet']}
    """
    if isinstance(value, dict):
        return {key: published(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [published(entry) for entry in value]
    if isinstance(value, str) and "://" not in value:
        return _LOCAL.sub("", value, count=1) if _LOCAL.match(value) else value
    return value
