"""The whole recipe, and its way from and to TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from steepest.errors import RecipeError
from steepest.recipe._strict import Strict
from steepest.recipe.descent import DescentRecipe
from steepest.recipe.messages import explain, line_of

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Efficiency = Annotated[float, Field(gt=0.0, lt=1.0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def default_recipe() -> Path:
    """The recipe of `steepest train` without arguments: a dense network on the embedded jets."""
    return Path(str(files("steepest") / "recipe" / "top-jets.toml"))


_SIZE = re.compile(r"([0-9]*\.?[0-9]+)\s*([kKMGT]?i?)B")


def bytes_in(size: str) -> int:
    """Return the number of bytes in a size such as "500 MB", "2GiB".

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
    """A value that says that there is none, such as -999; null and NaN always do."""
    fill: Finite | str | None = None
    """What stands in for a missing value: a number, "mean", "median"; for text, a category."""
    indicator: bool = False
    """Whether there is also a feature that is 1 where the value was missing, else 0."""
    unseen: Literal["error", "zeros"] = "error"
    """What a category is that the training part has not: an error, or zero in all categories."""

    @model_validator(mode="after")
    def _fill_what_is_indicated(self) -> Derived:
        if self.indicator and self.fill is None:
            raise ValueError("a table with fill, as indicator = true needs it")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: Any) -> Any:
        fields = type(self).model_fields
        written = handler(self).items()
        return {key: value for key, value in written if value != fields[key].default}


class SplitRecipe(Strict):
    """Which share of the events validates and tests; the rest trains."""

    validation: Share = 0.1
    test: Share = 0.2
    by: str | None = None
    """A column (an event number) whose hash decides; left out, the file's name and the row do."""
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _leave_something_to_train_on(self) -> SplitRecipe:
        if self.validation + self.test >= 1.0:
            raise ValueError("validation + test must be below 1, to leave events to train on")
        return self


class EventsRecipe(Strict):
    """Which events, which of their columns, and how they are split."""

    path: str | list[str]
    label: str
    features: list[str | Derived] | None = None
    """Left out: every numeric column but the label, the weight and the split's column."""
    weight: str | None = None
    select: str | None = None
    split: SplitRecipe = SplitRecipe()
    memory: str = "auto"
    """What the events may take of it, as "2 GB"; more of them are kept on disk. Left out: half of
    what is available when they are read."""

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, memory: str) -> str:
        if memory != "auto":
            bytes_in(memory)
        return memory

    @property
    def paths(self) -> list[str]:
        """The paths as a list, whether one or many were given."""
        return [self.path] if isinstance(self.path, str) else list(self.path)


class ModelRecipe(Strict):
    """f_θ: a dense network; with no hidden layer, linear, logistic or softmax regression."""

    name: Literal["dense"] = "dense"
    hidden: Annotated[tuple[PositiveInt, ...], Field(strict=False)] = (64, 64)
    activation: Literal["relu", "tanh", "sigmoid", "gelu"] = "relu"
    initialization: (
        Literal[
            "zeros",
            "glorot-uniform",
            "glorot-normal",
            "he-uniform",
            "he-normal",
            "lecun-normal",
        ]
        | None
    ) = None
    """Left out: zeros without a hidden layer, He for ReLU and GELU, Glorot for the others."""


class BinsRecipe(Strict):
    """Bins of a column, in which figures of merit are reported: turn-on curves and the like."""

    column: str
    """A column or an expression; it need not be a feature."""
    edges: Annotated[tuple[FiniteFloat, ...], Field(strict=False)]

    @field_validator("edges")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
            raise ValueError("two numbers or more, each above the one before")
        return edges


class SignificanceRecipe(Strict):
    """What a counting experiment expects before the cut that is to be chosen."""

    signal: Annotated[FiniteFloat, Field(gt=0.0)]
    background: Annotated[FiniteFloat, Field(gt=0.0)]
    background_uncertainty: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """Relative: 0.1 is 10 %."""


class EvaluateRecipe(Strict):
    """What is reported."""

    baseline: bool = True
    """Fit the linear model on the same features too, so that the report says what is gained."""
    signal_efficiencies: Annotated[tuple[Efficiency, ...], Field(strict=False)] = (
        0.3,
        0.5,
        0.7,
        0.9,
    )
    working_point: Efficiency = 0.5
    """The signal efficiency of the cut whose efficiencies are reported in bins."""
    bins: Annotated[tuple[BinsRecipe, ...], Field(strict=False)] = ()
    significance: SignificanceRecipe | None = None

    @field_validator("bins", mode="before")
    @classmethod
    def _as_list(cls, bins: Any) -> Any:
        return [bins] if isinstance(bins, Mapping | BinsRecipe) else bins

    @property
    def columns(self) -> list[str]:
        """The columns to bin in, each once."""
        return list(dict.fromkeys(bins.column for bins in self.bins))


class Recipe(Strict):
    """What to train, on what, how.

    Examples
    --------
    >>> recipe = Recipe.from_dict({"events": {"path": "jets.parquet", "label": "is_top"}})
    >>> recipe.descent.optimizer.name, recipe.model.hidden
    ('adam', (64, 64))
    >>> Recipe.from_dict({"events": {"path": "jets.parquet", "label": "is_top", "wieght": "w"}})
    Traceback (most recent call last):
    steepest.errors.RecipeError: The recipe has an unknown key 'events.wieght'.
      expected: one of features, label, memory, path, select, split, weight
      do:       write 'weight', or remove it
    """

    events: EventsRecipe
    model: ModelRecipe = ModelRecipe()
    descent: DescentRecipe = DescentRecipe()
    evaluate: EvaluateRecipe = EvaluateRecipe()

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], *, source: str = "The recipe") -> Recipe:
        """Validate a nested dictionary; raises RecipeError with the nearest known key."""
        try:
            recipe = cls.model_validate(dict(table))
        except ValidationError as error:
            raise explain(error, cls, source) from None
        recipe._refuse_contradictions(source)
        return recipe

    @classmethod
    def from_toml(
        cls, path: str | Path, *, settings: Iterable[str] = (), anchor: bool = True
    ) -> Recipe:
        """Read a recipe file; relative event paths are taken from the file's folder.

        `settings` are changes such as ``"descent.learning_rate=0.1"``; paths in them are taken
        from the working directory. With ``anchor=False`` paths stay as they are written.
        """
        path = Path(path)
        table = _read_toml(path)
        if anchor:
            _anchor_paths(table, path.resolve().parent)
        for setting in settings:
            _apply(table, setting)
        return cls.from_dict(table, source=f"The recipe {path}")

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """Return the recipe with changes such as ``"descent.epochs=5"``."""
        table = self.to_dict()
        for setting in settings:
            _apply(table, setting)
        return Recipe.from_dict(table)

    def anchored(self, folder: Path) -> Recipe:
        """Return the recipe with its relative event paths made absolute, as seen from `folder`."""
        table = self.to_dict()
        _anchor_paths(table, folder.resolve())
        return Recipe.from_dict(table)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as nested plain values, without the keys that are left open."""
        return self.model_dump(exclude_none=True)

    def to_toml(self) -> str:
        """Return the recipe as TOML; reading it gives an equal recipe."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    def _refuse_contradictions(self, source: str) -> None:
        method = self.descent.method
        if method != "descent" and self.model.hidden:
            models = "linear regression" if method == "exact" else "models without a hidden layer"
            raise RecipeError(
                f"{source}: method {method!r} is for {models}.",
                expected="model.hidden = []",
                found=f"model.hidden = {list(self.model.hidden)}",
                do="set model.hidden = [], or descent.method = 'descent'",
            )
        if method == "exact" and self.descent.loss not in (None, "mean-squared-error"):
            raise RecipeError(
                f"{source}: method 'exact' minimises the mean squared error alone.",
                found=f"descent.loss = {self.descent.loss!r}",
                do="leave descent.loss out, or set descent.method = 'descent'",
            )
        if self.descent.keep == "best" and self.events.split.validation == 0.0:
            raise RecipeError(
                f"{source}: keep = 'best' is judged by the validation loss, but there are no "
                "validation events.",
                found="events.split.validation = 0",
                do="set events.split.validation above 0, or leave descent.keep out",
            )
        if self.descent.stop.patience is not None and self.events.split.validation == 0.0:
            raise RecipeError(
                f"{source}: stop.patience watches the validation loss, but there are no "
                "validation events.",
                found="events.split.validation = 0",
                do="set events.split.validation above 0, or leave descent.stop.patience out",
            )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(
            f"There is no recipe {path}.",
            found=f"in {path.resolve().parent}: {_toml_files(path.resolve().parent)}",
            do="check the path; `steepest train` without a recipe trains on the embedded jets",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"The recipe {path} cannot be read.",
            expected="a readable TOML file, UTF-8",
            found=str(error),
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(
            f"The recipe {path} is not valid TOML.",
            found=f"{error}{line_of(path, error)}",
            do='text goes in quotes: label = "is_top"',
        ) from None


def _toml_files(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.glob("*.toml")) if folder.is_dir() else []
    return ", ".join(names[:5]) or "no .toml file"


def _anchor_paths(table: dict[str, Any], folder: Path) -> None:
    """Make relative event paths absolute, as seen from the recipe's folder."""
    events = table.get("events")
    if not isinstance(events, dict):
        return
    path = events.get("path")
    if isinstance(path, str):
        events["path"] = _anchored(path, folder)
    elif isinstance(path, list):
        events["path"] = [_anchored(p, folder) if isinstance(p, str) else p for p in path]


def _anchored(path: str, folder: Path) -> str:
    scheme = path.split(":", 1)[0]
    if scheme == "embedded" or "://" in path or Path(path).is_absolute():
        return path
    return str(folder / Path(path).expanduser())


def _apply(table: dict[str, Any], setting: str) -> None:
    """Apply one ``a.b.c=value``; the value is TOML, or else text."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise RecipeError(
            f"The setting {setting!r} cannot be understood.",
            expected="KEY=VALUE, such as descent.learning_rate=0.1",
        )
    *parents, last = key.strip().split(".")
    for name in parents:
        inner = table.setdefault(name, _DEFAULT_NAMES.get(name, {}))
        if isinstance(inner, str):  # the short form of a named table: optimizer = "adam"
            inner = table[name] = {"name": inner}
        if not isinstance(inner, dict):
            raise RecipeError(f"The setting {setting!r}: {name!r} is a value, not a table.")
        table = inner
    table[last] = _toml_value(text.strip())


_DEFAULT_NAMES = {
    name: DescentRecipe.model_fields[name].default.name for name in ("optimizer", "schedule")
}
"""An option of a named table that the recipe leaves out belongs to the default's."""


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
