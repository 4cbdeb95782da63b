"""Networks of particles as a scikit-learn classifier of jets or events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d

from steepest.errors import EventsError, InputError, RunFolderError
from steepest.estimators.base import weights_of
from steepest.estimators.choices import class_weights, recipe_of
from steepest.estimators.classes import classes_of, indices_of, refuse_unknown, two_or_more
from steepest.estimators.classifier import Classifier
from steepest.estimators.progress import ProgressCallback, Verbose
from steepest.events import Sample
from steepest.events.jagged import names_of, particles_of
from steepest.events.particles import group_features
from steepest.folder import SavedModel, load_model
from steepest.folder.saved_model import checked
from steepest.groups import Groups
from steepest.models import kind_named
from steepest.recipe import Recipe
from steepest.training.inputs import Schema

Array = np.ndarray
_FORMAT = {"format": "steepest-particle-classifier", "version": 1}
_FILE = "estimator.json"


class ParticleClassifier(Classifier):
    """A network that reads the particles of a jet or an event, any number of them.

    Parameters
    ----------
    model
        deep-sets, particle-net-lite, particle-net, particle-transformer or lorentz-net.
    options
        Options of the network, as in ``[model]`` of a recipe: ``{"dropout": 0.2}``.
    most
        Particles of an event that are kept at most, those of the largest pT.
    batch_size, optimizer, learning_rate, schedule, scaling, l2, epochs
        The descent, as in a recipe.
    early_stopping
        True sets a tenth of the events aside, keeps the parameters that are best on them, and stops
        when none were better for a fifth of the epochs.
    class_weight
        Factors of the events' weights by class: a dict; "balanced", which makes the sums of weights
        of all classes equal; or None.
    record_every, verbose, callbacks, seed, random_state
        As for `Classifier`.

    Notes
    -----
    X is an awkward array of records, ``events * var * {pt, eta, phi, …}``, or a dict of jagged
    arrays: awkward arrays, or lists with an array for each event. Its fields are px, py, pz and
    energy, or pt, eta, phi and energy or mass, in GeV; all others are further features of a
    particle.

    Examples
    --------
    Jets of one prong and of two:

    >>> random = np.random.default_rng(0)
    >>> y = random.integers(0, 2, 300)
    >>> jets = {"pt": [], "eta": [], "phi": [], "mass": []}
    >>> for two in y:
    ...     n = random.integers(4, 12)
    ...     jets["pt"].append(random.exponential(20.0, n) + 1.0)
    ...     jets["eta"].append(two * random.choice([-0.4, 0.4], n) + random.normal(0, 0.1, n))
    ...     jets["phi"].append(random.normal(0, 0.1, n))
    ...     jets["mass"].append(np.zeros(n))
    >>> small = {"per_particle": [16, 16], "per_jet": [16]}
    >>> model = ParticleClassifier("deep-sets", options=small, epochs=30, learning_rate=0.01)
    >>> model = model.fit(jets, y)
    >>> model.score(jets, y) > 0.9, model.predict_proba(jets).shape
    (True, (300, 2))
    """

    hidden = ()
    method = "descent"
    tol = None

    def __init__(
        self,
        model: str = "particle-net-lite",
        *,
        options: Mapping[str, Any] | None = None,
        most: int = 128,
        batch_size: int | Literal["all", "auto"] = "auto",
        optimizer: str | dict[str, Any] = "adamw",
        learning_rate: float | Literal["auto"] = 0.003,
        schedule: str | dict[str, Any] = "one-cycle",
        scaling: str = "standard",
        l2: float = 0.0,
        epochs: int = 20,
        early_stopping: bool = False,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        record_every: int | Literal["auto"] = "auto",
        verbose: Verbose = False,
        callbacks: Sequence[ProgressCallback] | None = None,
        seed: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.options = options
        self.most = most
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.scaling = scaling
        self.l2 = l2
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.class_weight = class_weight
        self.record_every = record_every
        self.verbose: Verbose = verbose
        self.callbacks = callbacks
        self.seed = seed
        self.random_state = random_state

    partial_fit = available_if(lambda _: False)(Classifier.partial_fit)

    def save(self, path: str | Path) -> Path:
        """Write the model into a new folder, which `load` and `steepest predict` read.

        Raises
        ------
        RunFolderError
            There is something at `path` already.
        """
        path = Path(path)
        self.save_pretrained(path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; it predicts, to the bit, as the one that was saved.

        Raises
        ------
        RunFolderError
            There is no such model, or a file is damaged.
        """
        return cls._of_saved(load_model(Path(path)))

    def _described(self) -> dict[str, Any]:
        known = {k: v for k, v in self.get_params().items() if k not in _OF_THIS_PROCESS}
        return {
            **_FORMAT,
            "classes": self.classes_.tolist(),
            "type": self.classes_.dtype.str,
            "parameters": known,
        }

    @classmethod
    def _of_saved(cls, saved: SavedModel) -> Self:
        path = saved.path
        try:
            found = json.loads(checked(path)(_FILE).decode())
            if {key: found[key] for key in _FORMAT} != _FORMAT:
                raise ValueError(f"format {found['format']!r}, version {found['version']!r}")
            result = cls(**found["parameters"])
            result.classes_ = np.array(found["classes"], dtype=found["type"])
        except RunFolderError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunFolderError(
                f"{path} holds no ParticleClassifier.",
                expected=f"{_FILE} as ParticleClassifier.save writes it",
                found=f"{type(error).__name__}: {error}",
                cause="the folder of a run, or a damaged file",
                do="of a run: steepest.load(path).predict",
            ) from None
        result.model_ = saved.model
        result._further = tuple((saved.model.particles or {}).get("features", ()))
        return result

    def _recipe(self, events: int, seed: int, validated: bool, piecewise: bool) -> Recipe:
        stop = {"patience": max(10, self.epochs // 5)} if validated and self.early_stopping else {}
        descent = {
            name: getattr(self, name)
            for name in ("batch_size", "optimizer", "learning_rate", "schedule", "scaling", "l2",
                         "epochs")
        }  # fmt: skip
        descent |= {"seed": seed, "stop": stop, "history": {"every": self.record_every}}
        table = {
            "events": {"path": "arrays", "label": "y"},
            "model": {"name": self.model, **(self.options or {})},
            "descent": descent,
        }
        return recipe_of(table, type(self).__name__)

    def _schema(self) -> Schema:
        names = group_features(self._further)
        groups = {name: names[name] for name in self._groups()}
        given = {name: name for name in self._momentum}
        particles = {**given, "features": list(self._further), "most": self.most}
        return Schema(groups, *self._task(), "y", particles=particles)

    def _groups(self) -> tuple[str, ...]:
        groups = kind_named(self.model).groups
        if not groups:
            raise InputError(
                f"{self.model} reads no particles.",
                expected="deep-sets, particle-net-lite, particle-net, particle-transformer or "
                "lorentz-net",
                found=f"model={self.model!r}",
                do="use Classifier for numbers of events",
            )
        return groups

    def _sample(self, X: Any, y: Any, sample_weight: Any, new: bool) -> Sample:
        y = column_or_1d(y)
        if new:
            self._momentum, self._further = names_of(X)
            self.classes_ = two_or_more(classes_of(y), f"{len(y):,} events")
        else:
            what = "The validation labels have a class that the training labels lack."
            refuse_unknown(y, self.classes_, what)
        inputs = self._inputs(X)
        if len(inputs) != len(y):
            raise EventsError(
                "X and y have different events.",
                expected=f"{len(inputs):,} labels",
                found=f"{len(y):,}",
                do="give a label for each event",
            )
        weights = weights_of(sample_weight, len(y))
        weights = class_weights(self.class_weight, self.classes_, y, weights)
        kind = np.int64 if len(self.classes_) > 2 else np.float32
        return Sample(inputs, indices_of(y, self.classes_, kind), weights)

    def _inputs(self, X: Any) -> Groups:
        """The groups that the network reads."""
        groups = particles_of(X, self._further, self.most)
        return Groups({name: groups[name] for name in self._groups()})

    def _of_inputs(self, X: Any, says: Callable[[Any], Array]) -> Array:
        check_is_fitted(self, "model_")
        return says(self._inputs(X))


_OF_THIS_PROCESS = ("callbacks", "random_state")
"""Parameters that are not saved."""
