"""Estimators in folders and on the Hub, by the conventions of huggingface_hub's own mixin.

`save_pretrained`, `from_pretrained` and `push_to_hub` have the arguments of
`huggingface_hub.ModelHubMixin`. The folder is that of `steepest.save`, with estimator.json beside
it; a model that a run left there has none, and becomes an estimator all the same.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from steepest._version import __version__
from steepest.errors import InputError, RunFolderError
from steepest.folder import SavedModel, load_model, write_model
from steepest.folder.files import damage_explained, json_text, parse_json
from steepest.folder.hub import PREFIX, model_folder
from steepest.folder.provenance import FORMAT as PROVENANCE
from steepest.folder.provenance import NAME as TRAINING
from steepest.folder.provenance import published
from steepest.folder.run_folder import read_folder
from steepest.folder.saved_model import checked
from steepest.recipe import Recipe
from steepest.share.weaver import preprocess_files

FORMAT = {"format": "steepest-estimator", "version": 1}
FILE = "estimator.json"
_OF_THIS_PROCESS = ("callbacks", "random_state")
"""Parameters that are not saved."""
_KNOWN = ("n_iter_", "stop_reason_", "learning_rate_", "l2_", "n_features_in_")


class Shared:
    """What estimators have in common with models of huggingface_hub."""

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        **push_to_hub_kwargs: Any,
    ) -> str | None:
        """Write the model into a new folder, which `from_pretrained` and `steepest.load` read.

        Parameters
        ----------
        save_directory
            A path where nothing lies yet.
        repo_id, push_to_hub, push_to_hub_kwargs
            With ``push_to_hub=True``: where to upload it too, see `push_to_hub`.

        Raises
        ------
        RunFolderError
            There is something at `save_directory`, or the disk does not take it.

        Examples
        --------
        >>> model.save_pretrained("top-tagger")  # doctest: +SKIP
        """
        path = Path(save_directory)
        model = self._fitted_model()
        write_model(path, model, {**preprocess_files(model), **self._files()})
        if push_to_hub:
            return self.push_to_hub(repo_id or path.name, **push_to_hub_kwargs)
        return None

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
    ) -> Self:
        """Return the estimator of a folder, or of a model on the Hub: ``ORG/NAME``.

        Parameters
        ----------
        pretrained_model_name_or_path
            A folder of `save_pretrained`, `steepest.save` or ``RUN``; else the model's name on the
            Hub.
        revision
            A branch, tag or commit.
        force_download, token, cache_dir, local_files_only
            As `huggingface_hub.snapshot_download` takes them.

        Raises
        ------
        RunFolderError
            There is no such model; it is damaged, or of another kind or task.
        InputError
            The Hub does not give it.

        Examples
        --------
        >>> Classifier.from_pretrained("dl4phys/top-tagger").predict_proba(X)  # doctest: +SKIP
        """
        name = str(pretrained_model_name_or_path)
        if Path(name).exists():
            saved = load_model(name)
        else:
            folder = model_folder(
                PREFIX + name.removeprefix(PREFIX),
                force_download=force_download,
                token=token,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                revision=revision,
            )
            saved = read_folder(folder, downloaded=True)
        return cls._of_saved(saved)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Upload a model of steepest",
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Upload the model to the Hub, with a card; return the address of the commit.

        Parameters
        ----------
        repo_id
            ``ORG/NAME``; it is made if it is not there.
        commit_message, private, token, branch, create_pr
            As `huggingface_hub.ModelHubMixin.push_to_hub` takes them.

        Raises
        ------
        InputError
            The Hub refuses, cannot be reached, or has something else there.

        Examples
        --------
        >>> model.push_to_hub("dl4phys/top-tagger", private=True)  # doctest: +SKIP
        """
        from steepest.share.upload import Target, push_model

        target = Target(
            repo_id,
            private=private,
            pull_request=create_pr,
            branch=branch,
            token=token,
            message=commit_message,
        )
        return push_model(self._fitted_model(), self._files(), target).url

    def _fitted_model(self) -> Any:
        check_is_fitted(self, "model_")
        return self.model_  # pyright: ignore[reportAttributeAccessIssue]

    def _files(self) -> dict[str, str]:
        """The texts beside the model, by their files' names."""
        given: Any = self
        files = {FILE: json_text(self._described())}
        begun = getattr(given, "_begun", None)
        if begun is not None:
            recipe: Recipe = given._recipe(*begun)
            versions = {"steepest": __version__, "python": platform.python_version()}
            told = {"recipe": recipe.to_dict(), "metrics": None, "environment": versions}
            files[TRAINING] = json_text(published({**PROVENANCE, **told}))
        return files

    def _described(self) -> dict[str, Any]:
        given: Any = self
        parameters = {k: v for k, v in given.get_params().items() if k not in _OF_THIS_PROCESS}
        if isinstance(factors := parameters.get("class_weight"), Mapping):
            parameters["class_weight"] = list(factors.items())  # keys of any type
        names = getattr(self, "feature_names_in_", None)
        classes = getattr(self, "classes_", None)
        return {
            **FORMAT,
            "estimator": type(self).__name__,
            "parameters": _plain(parameters),
            "classes": None if classes is None else classes.tolist(),
            "type": None if classes is None else classes.dtype.str,
            "feature_names": None if names is None else list(names),
            "known": _plain({k: getattr(self, k) for k in _KNOWN if hasattr(self, k)}),
        }

    @classmethod
    def _of_saved(cls, saved: SavedModel) -> Self:
        """Return the estimator of a model that was read; of one without estimator.json too."""
        path, model = saved.path, saved.model
        made: Any = cls()
        task = "regression" if cls.__name__ == "Regressor" else "classification"
        if (model.task == "regression") != (task == "regression"):
            raise _other(path, f"a model of {task}", f"one of {model.task}")
        if isinstance(model.features, Mapping):
            raise _other(path, "a model of features", f"{model.model.title(model.task)}")
        if (path / FILE).is_file():
            with damage_explained(f"{FILE} of the model {path}", "copy the folder again"):
                _restore(made, parse_json(checked(path)(FILE)), path)
        else:
            made.hidden = tuple(getattr(model.model, "hidden", ()))
            made.n_features_in_ = len(model.names)
            made.feature_names_in_ = np.array(model.names, dtype=object)
            if model.task != "regression":
                made.classes_ = _classes(model.classes)
        made.model_, made.history_ = model, None
        return made


def _restore(made: Any, found: dict[str, Any], path: Path) -> None:
    if found["format"] != FORMAT["format"] or found["version"] != FORMAT["version"]:
        raise _other(
            path,
            f"{FILE} of format {FORMAT['format']}, version {FORMAT['version']}",
            f"format {found['format']!r}, version {found['version']!r}",
        )
    if found["estimator"] != type(made).__name__:
        raise _other(path, f"a {type(made).__name__}", f"a {found['estimator']}")
    parameters = found["parameters"]
    if isinstance(factors := parameters.get("class_weight"), list):
        parameters["class_weight"] = dict(factors)
    made.set_params(**parameters)
    if isinstance(made.hidden, list):
        made.hidden = tuple(made.hidden)
    for name in _KNOWN:
        if name in found["known"]:
            setattr(made, name, found["known"][name])
    if found["classes"] is not None:
        made.classes_ = np.array(found["classes"], dtype=found["type"])
    if found["feature_names"] is not None:
        made.feature_names_in_ = np.array(found["feature_names"], dtype=object)


def _classes(names: tuple[str, ...]) -> np.ndarray:
    """The labels that the names of classes stand for: numbers where all are."""
    try:
        return np.array([int(name) for name in names])
    except ValueError:
        return np.array(names)


def _other(path: Path, expected: str, found: str) -> RunFolderError:
    return RunFolderError(
        f"{path} holds a model of another kind.",
        expected=expected,
        found=found,
        do="steepest.load(…) reads a model of any kind",
    )


def _plain(value: Any) -> Any:
    """NumPy's numbers and tuples as JSON has them; InputError for what it cannot hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        "The estimator has a parameter that cannot be saved.",
        expected="numbers, texts, and lists and tables of them",
        found=f"a {type(value).__name__}",
        do="set_params with plain values",
    )
