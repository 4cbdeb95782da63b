"""The ``[events]`` table: input files, label, features, selection and split."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    field_validator,
    model_serializer,
    model_validator,
)

from steepest.recipe.tables import Fraction, Positive, Strict

__all__ = [
    "Derived",
    "EventsRecipe",
    "FriendRecipe",
    "ParticleFeature",
    "ParticlesRecipe",
    "SampleRecipe",
    "SplitRecipe",
    "UnitRecipe",
    "VariationRecipe",
    "bytes_in",
]

Finite = Annotated[float, Field(allow_inf_nan=False)]


_SIZE = re.compile(r"([0-9]*\.?[0-9]+)\s*([kKMGT]?i?)B")


def bytes_in(size: str) -> int:
    """Return the number of bytes in a size such as "500 MB", "2GiB".

    Raises
    ------
    ValueError
        If the text is not a size. The message describes the expected form.

    Examples
    --------
    >>> bytes_in("2 kB"), bytes_in("1.5 KiB")
    (2000, 1536)
    """
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise ValueError('a size such as "500 MB" or "2 GB", or "auto"')
    number, prefix = found.groups()
    base = 1024 if prefix.endswith("i") else 1000
    return int(float(number) * base ** ("KMGT".index(prefix[0].upper()) + 1 if prefix else 0))


class Derived(Strict):
    """A feature computed from columns: ``{name = "tau32", value = "tau3 / tau2"}``.

    Examples
    --------
    >>> b_score = Derived(name="b_score", value="jet_b", missing=-999, fill="median")
    >>> b_score.model_dump()
    {'name': 'b_score', 'value': 'jet_b', 'missing': -999.0, 'fill': 'median'}
    """

    name: str
    value: str
    missing: Finite | str | None = None
    """A value that marks missing values, such as -999; null and NaN are always missing."""
    fill: Finite | str | None = None
    """Replacement for missing values: a number, "mean" or "median"; for text, a category."""
    indicator: bool = False
    """Whether to add a feature that is 1 if the value was missing, otherwise 0."""
    unseen: Literal["error", "zeros"] = "error"
    """For a category that is not in the training part: an error, or 0 for all categories."""

    @model_validator(mode="after")
    def _fill_what_is_indicated(self) -> Derived:
        if self.indicator and self.fill is None:
            raise ValueError("a table with fill, which indicator = true needs")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: Any) -> Any:
        values = handler(self)
        return {key: values[key] for key in self.changed()}


class SplitRecipe(Strict):
    """The shares of the validation and test part; the rest is the training part.

    With `folds`, each of so many models is tested on its own share of the events, a fold, and
    trained on the others.
    """

    validation: Fraction = 0.1
    test: Fraction = 0.2
    by: str | None = None
    """A column, such as an event number, whose hash is used; None: the file name and the row."""
    seed: NonNegativeInt = 0
    folds: Annotated[int, Field(ge=2, le=50)] | None = None
    """The number of folds; None: one model, tested on the test part."""
    fold: NonNegativeInt | None = None
    """The fold whose model is trained, from 0; None: all, one after the other."""

    @model_validator(mode="before")
    @classmethod
    def _test_on_a_fold(cls, given: Any) -> Any:
        """With folds the test share is that of a fold."""
        if not isinstance(given, dict) or not isinstance(folds := given.get("folds"), int):
            return given
        if folds < 1 or given.get("test", 1 / folds) == 1 / folds:
            return {**given, "test": 1 / folds} if folds > 1 else given
        raise ValueError("without test, which folds replaces: each fold is tested once")

    @property
    def cross_validated(self) -> bool:
        """Whether the models of all folds are trained."""
        return self.folds is not None and self.fold is None

    @model_validator(mode="after")
    def _have_the_fold(self) -> SplitRecipe:
        if self.fold is not None and (self.folds is None or self.fold >= self.folds):
            raise ValueError("with fold below folds")
        return self

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> SplitRecipe:
        if self.validation + self.test >= 1.0:
            raise ValueError("validation + test must be below 1, to leave events to train on")
        return self


class ParticleFeature(Strict):
    """A feature of a particle computed from lists: ``{name = "d0", value = "tanh(part_d0)"}``."""

    name: str
    value: str


class ParticlesRecipe(Strict):
    """The particles of each event: lists of momenta in GeV, as columns or expressions.

    Either `px`, `py`, `pz` and `energy`, or `pt`, `eta`, `phi` and one of `energy` and `mass`; left
    out, columns of usual names. ``E_{i}`` stands for the columns E_0, E_1, …, of a particle each.

    Examples
    --------
    >>> ParticlesRecipe(pt="part_pt", eta="part_eta", phi="part_phi", mass="part_mass").momenta()
    {'pt': 'part_pt', 'eta': 'part_eta', 'phi': 'part_phi', 'mass': 'part_mass'}
    """

    pt: str | None = None
    eta: str | None = None
    phi: str | None = None
    mass: str | None = None
    px: str | None = None
    py: str | None = None
    pz: str | None = None
    energy: str | None = None
    most: Annotated[int, Field(ge=1)] = 128
    """Particles of an event that are kept at most: those of the largest pT."""
    features: Annotated[tuple[str | ParticleFeature, ...], Field(strict=False)] = ()
    """Lists that are features of a particle too, beside those that its momentum gives."""

    def momenta(self) -> dict[str, str]:
        """What is given of a momentum, by name; nothing where all of it is left out."""
        return {n: text for n in MOMENTUM if (text := getattr(self, n)) is not None}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the further features."""
        return tuple(f if isinstance(f, str) else f.name for f in self.features)

    @model_validator(mode="after")
    def _have_names_of_their_own(self) -> ParticlesRecipe:
        names = self.feature_names
        if len(set(names)) < len(names):
            raise ValueError("features of different names")
        return self

    @model_validator(mode="after")
    def _is_a_momentum(self) -> ParticlesRecipe:
        if (given := self.momenta().keys()) and given not in COORDINATES:
            raise ValueError("px, py, pz and energy; or pt, eta, phi and either energy or mass")
        return self


MOMENTUM = ("pt", "eta", "phi", "mass", "px", "py", "pz", "energy")
COORDINATES = (
    {"px", "py", "pz", "energy"},
    {"pt", "eta", "phi", "energy"},
    {"pt", "eta", "phi", "mass"},
)


class UnitRecipe(Strict):
    """Title and unit of a column in figures and tables; ``pt = "GeV"`` is short for the unit.

    Examples
    --------
    >>> UnitRecipe(title="$p_T$", unit="GeV").said()
    {'title': '$p_T$', 'unit': 'GeV'}
    """

    title: str | None = None
    unit: str | None = None

    def said(self) -> dict[str, str]:
        """Return what is given."""
        return {key: text for key in ("title", "unit") if (text := getattr(self, key)) is not None}

    @model_serializer(mode="wrap")
    def _to_bare_unit(self, handler: Any) -> Any:
        said = self.said()
        return said["unit"] if said.keys() == {"unit"} else said


BareUnit = BeforeValidator(lambda given: {"unit": given} if isinstance(given, str) else given)


class FriendRecipe(Strict):
    """Files with further columns of the events: row by row, or by key.

    Examples
    --------
    >>> FriendRecipe(path="scores.parquet", key=["run", "event"]).keys
    ['run', 'event']
    """

    path: str | list[str]
    """``{stem}`` stands for the name of each file of events, without folder and suffix."""
    key: str | list[str] | None = None
    """Columns that both have, once each in the friend; None: row by row."""
    missing: Literal["error", "null"] = "error"
    """What an event without a row of its key is: an error, or one without the friend's values."""
    prefix: str = ""
    """Put before the names of the friend's columns."""

    @property
    def paths(self) -> list[str]:
        """The paths as a list."""
        return [self.path] if isinstance(self.path, str) else list(self.path)

    @field_validator("key")
    @classmethod
    def _has_a_column(cls, key: str | list[str] | None) -> str | list[str] | None:
        if key is not None and not key:
            raise ValueError("a column, or a list of columns; left out for row by row")
        return key

    @property
    def keys(self) -> list[str]:
        """The columns of the key as a list; empty for row by row."""
        return [self.key] if isinstance(self.key, str) else list(self.key or ())

    @model_serializer(mode="wrap")
    def _to_bare_path(self, handler: Any) -> Any:
        values, changed = handler(self), self.changed()
        return values["path"] if changed.keys() == {"path"} else {k: values[k] for k in changed}


BarePath = BeforeValidator(lambda given: {"path": given} if isinstance(given, str) else given)
Friends = Annotated[tuple[Annotated[FriendRecipe, BarePath], ...], Field(strict=False)]
"""``friends = ["scores.root:tree"]`` is short for ``friends = [{path = "scores.root:tree"}]``."""


class SampleRecipe(Strict):
    """One process: its files, its class, and what its weights are normalised to.

    With a cross-section σ and the luminosity L, an event of weight w has the weight w · σ · L / Σw,
    where Σw goes over all events of the files, before any selection.
    """

    name: str
    path: str | list[str]
    label: int | str | None = None
    """The class. Left out of all samples: their names are the classes."""
    cross_section: Positive | None = None
    """σ in pb, times the branching fraction and filter efficiency if these are not in Σw."""
    weight: str | None = None
    """A column or expression; left out: that of ``[events]``."""
    select: str | None = None
    """A condition besides the one of ``[events]``."""
    sum_of_weights: Positive | str | None = None
    """Σw: a number, an expression of the events' columns, ``"PART:COLUMN"``, or the bin of a
    histogram, ``"HISTOGRAM:BIN"``; left out: the sum of `weight` over all events."""
    friends: Friends | None = None
    """Left out: those of ``[events]``."""
    on_bad_file: Literal["stop", "skip"] | None = None
    """As in ``[events]``; None: what stands there."""

    @property
    def paths(self) -> list[str]:
        """The paths as a list, also if only one was given."""
        return [self.path] if isinstance(self.path, str) else list(self.path)


class VariationRecipe(Strict):
    """A systematic variation: the events with another weight, other columns or other files."""

    name: str
    weight: str | None = None
    columns: dict[str, str] | None = None
    """Columns, and the expressions that stand for them in features, weight and selection."""
    path: str | list[str] | None = None
    sample: str | None = None
    """The sample that varies; None: all of them."""
    sum_of_weights: Positive | str | None = None
    """Σw of the samples that vary, as in a sample; None: that of the nominal weight."""

    @model_validator(mode="after")
    def _vary_something(self) -> VariationRecipe:
        if self.weight is None and self.path is None and not self.columns:
            raise ValueError("a weight, columns or a path, besides the name")
        return self


_LABEL_KEYS = {"value": "", "name": "title", "unit": "unit"}
"""What a label's table has, and what that is of `UnitRecipe`."""


class EventsRecipe(Strict):
    """Input files, label, features, selection and split."""

    path: str | list[str] | None = None
    friends: Friends | None = None
    """Files with further columns of the events."""
    explode: str | None = None
    """A row for each element of the lists of this name: "Jet" for those of ``Jet_pt`` and so on."""
    label: str | None = None
    """A column or an expression; a table with value, name and unit says how it is called, too."""
    units: dict[str, Annotated[UnitRecipe, BareUnit]] | None = None
    """Titles and units of columns, derived features and the label."""
    samples: Annotated[tuple[SampleRecipe, ...], Field(strict=False, min_length=1)] | None = None
    """Files by process, in place of `path`; the label may then be left out."""
    luminosity: Positive | None = None
    """L in fb⁻¹, for samples with a cross-section."""
    on_bad_file: Literal["stop", "skip"] = "stop"
    """For a file among several that cannot be read: an error, or it is left out and told."""
    features: list[str | Derived] | None = None
    """None: all numeric columns except those of the label, the weight and the split."""
    missing: Finite | None = None
    """A value that marks missing values in all features that are columns of numbers."""
    fill: Finite | Literal["mean", "median"] = "median"
    """Replacement for `missing`."""
    weight: str | None = None
    train_weights: str | None = None
    """Weights of the descent: "balanced", "as-given" or an expression; None: balanced if the sums
    of weights of the classes differ by more than a factor of 2."""
    particles: ParticlesRecipe | None = None
    """The particles, for models that read them; features are then those of the event, if any."""
    select: str | None = None
    split: SplitRecipe = SplitRecipe()
    variations: Annotated[tuple[VariationRecipe, ...], Field(strict=False)] = ()
    """Variations of the evaluated events."""
    memory: str = "auto"
    """Memory for the events, such as "2 GB"; larger samples are kept on disk. "auto": half of the
    memory that is available when they are read."""

    @model_validator(mode="before")
    @classmethod
    def _take_a_label_with_a_name(cls, given: Any) -> Any:
        """``{name = "M", value = "…", unit = "GeV"}`` is the value, with its title and unit."""
        label = given.get("label") if isinstance(given, dict) else None
        value = label.get("value") if isinstance(label, dict) else None
        if not isinstance(label, dict) or not isinstance(value, str) or label.keys() - _LABEL_KEYS:
            return given
        said = {to: label[key] for key, to in _LABEL_KEYS.items() if to and key in label}
        units = {**(given.get("units") or {}), **({value: said} if said else {})}
        return {**given, "label": value, **({"units": units} if units else {})}

    @field_validator("label", mode="before")
    @classmethod
    def _is_text(cls, label: Any) -> Any:
        if label is not None and not isinstance(label, str):
            raise ValueError("text, or a table with value, and perhaps name and unit, of text")
        return label

    @field_validator("variations")
    @classmethod
    def _have_names_of_their_own(
        cls, variations: tuple[VariationRecipe, ...]
    ) -> tuple[VariationRecipe, ...]:
        names = [variation.name for variation in variations]
        if "nominal" in names or len(set(names)) < len(names):
            raise ValueError("a different name for each, none of them nominal")
        return variations

    @model_validator(mode="after")
    def _vary_a_known_sample(self) -> EventsRecipe:
        known = {sample.name for sample in self.samples or ()}
        for variation in self.variations:
            if variation.sample is not None and variation.sample not in known:
                raise ValueError(
                    f"variations of the samples {', '.join(sorted(known)) or '(none)'}"
                )
            if known and variation.path is not None and variation.sample is None:
                raise ValueError("a sample for each variation that has a path")
            self._refuse_sums(variation)
        return self

    def _refuse_sums(self, variation: VariationRecipe) -> None:
        """Raise ValueError for a Σw that normalises nothing, or that is of other files."""
        varied = [s for s in self.samples or () if variation.sample in (None, s.name)]
        normalised = [s for s in varied if s.cross_section is not None]
        if variation.sum_of_weights is not None and not normalised:
            raise ValueError("sum_of_weights of variations of samples that have a cross_section")
        of_other_files = variation.path is not None and variation.sum_of_weights is None
        if of_other_files and any(isinstance(s.sum_of_weights, float) for s in normalised):
            raise ValueError(
                f"sum_of_weights of the variation {variation.name}: the number that the sample has "
                "is of its own files"
            )

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, memory: str) -> str:
        if memory != "auto":
            bytes_in(memory)
        return memory

    @field_validator("samples")
    @classmethod
    def _of_different_names(
        cls, samples: tuple[SampleRecipe, ...] | None
    ) -> tuple[SampleRecipe, ...] | None:
        names = [sample.name for sample in samples or ()]
        if len(set(names)) < len(names):
            raise ValueError("samples of different names")
        return samples

    @property
    def paths(self) -> list[str]:
        """All paths as a list, those of the samples too."""
        if self.samples is not None:
            return [path for sample in self.samples for path in sample.paths]
        return [self.path] if isinstance(self.path, str) else list(self.path or ())
