"""The complete recipe: its tables, checks for contradictions, and conversion from and to TOML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    PositiveInt,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from steepest.errors import RecipeError
from steepest.recipe.descent import DescentRecipe
from steepest.recipe.evaluate import EvaluateRecipe
from steepest.recipe.events import EventsRecipe, ParticlesRecipe
from steepest.recipe.tables import Positive, Strict, explain
from steepest.recipe.toml import anchor_paths, apply_setting, read_toml

__all__ = [
    "AnyModelRecipe",
    "HeadRecipe",
    "ModelRecipe",
    "OtherModelRecipe",
    "Recipe",
    "default_recipe",
]


def default_recipe() -> Path:
    """The recipe of `steepest train` without arguments: a dense network on the embedded jets."""
    return Path(str(files("steepest") / "recipe" / "top-jets.toml"))


class HeadRecipe(Strict):
    """An auxiliary head: a column that the network regresses beside the label.

    Examples
    --------
    >>> HeadRecipe(value="jet_mass").named, HeadRecipe(name="mass", value="jet_mass / 80").named
    ('jet_mass', 'mass')
    """

    value: str
    """A column or an expression."""
    name: str | None = None
    """Of its loss, its figures of merit and its column of predictions; None: the column's."""
    weight: Positive = 1.0
    """λ of its loss (z − t)² in the sum, with t the column in units of its spread."""

    @property
    def named(self) -> str:
        """Its name."""
        return self.name or self.value

    @model_validator(mode="after")
    def _is_a_word(self) -> HeadRecipe:
        if not self.named.isidentifier() or self.named == "label":
            raise ValueError("a name of letters, digits and _, other than 'label'")
        return self


BareValue = BeforeValidator(lambda given: {"value": given} if isinstance(given, str) else given)


class _WithHeads(Strict):
    """A model, and what it may predict beside the label."""

    heads: (
        Annotated[tuple[Annotated[HeadRecipe, BareValue], ...], Field(strict=False, min_length=1)]
        | None
    ) = None
    """Auxiliary heads, for networks that PyTorch computes."""

    @field_validator("heads")
    @classmethod
    def _have_names_of_their_own(
        cls, heads: tuple[HeadRecipe, ...] | None
    ) -> tuple[HeadRecipe, ...] | None:
        names = [head.named for head in heads or ()]
        if len(set(names)) < len(names):
            raise ValueError("heads of different names")
        return heads


class ModelRecipe(_WithHeads):
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
    """None: zeros without a hidden layer, He for ReLU and GELU, Glorot for the others."""
    start: Annotated[tuple[FiniteFloat, ...], Field(strict=False)] | None = None
    """θ that the descent begins with, in place of an initialisation."""


class OtherModelRecipe(_WithHeads):
    """f_θ of another kind in the registry of models, which checks the other keys itself."""

    model_config = ConfigDict(extra="allow")

    name: str
    initial: str | None = None
    """A run, or a folder such as RUN/model, whose parameters the descent begins from."""
    body_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    """With `initial`: the steps of all layers but the last are multiplied by this."""

    @property
    def options(self) -> dict[str, Any]:
        """The keys that the kind of model knows."""
        return dict(self.model_extra or {})


THROUGH_ORIGIN = "through-origin"
"""The kind of model that is linear and has no intercept."""


def _model_tag(value: Any) -> str:
    named = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return "dense" if named in (None, "dense") else "other"


AnyModelRecipe = Annotated[
    Annotated[ModelRecipe, Tag("dense")] | Annotated[OtherModelRecipe, Tag("other")],
    Discriminator(_model_tag),
]


class Recipe(Strict):
    """A description of a training run: events, model, training and evaluation.

    Attributes
    ----------
    events, model, descent, evaluate
        The tables. Keys that are left out have their defaults.

    Raises
    ------
    RecipeError
        An unknown key, a value of the wrong type or out of range, or a contradiction.

    Examples
    --------
    >>> recipe = Recipe.from_dict({"events": {"path": "jets.parquet", "label": "is_top"}})
    >>> recipe.descent.optimizer.name, recipe.model.hidden
    ('adam', (64, 64))
    >>> Recipe.from_dict({"events": {"path": "jets.parquet", "label": "is_top", "wieght": "w"}})
    Traceback (most recent call last):
    steepest.errors.RecipeError: The recipe has an unknown key 'events.wieght'.
      expected: one of explode, features, fill, friends, label, luminosity, memory, missing,
                on_bad_file, particles, path, samples, select, split, train_weights, units,
                variations, weight
      do:       write 'weight', or remove it
    """

    events: EventsRecipe
    model: AnyModelRecipe = ModelRecipe()
    descent: DescentRecipe = DescentRecipe()
    evaluate: EvaluateRecipe = EvaluateRecipe()

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], *, source: str = "The recipe") -> Recipe:
        """Return the recipe for nested dictionaries.

        Parameters
        ----------
        table
            The tables, as in TOML; ``events.path`` and ``events.label`` are required.
        source
            The subject of the error messages.

        Raises
        ------
        RecipeError
            An unknown key (the message suggests the closest known one), a value of the wrong type
            or out of range, or a contradiction.
        """
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
        """Read a recipe file; relative event paths are relative to the folder of the file.

        Parameters
        ----------
        path
            The file.
        settings
            Changes such as ``"descent.learning_rate=0.1"``. A value is TOML, or text if it is not
            valid TOML. Paths in settings are relative to the working directory.
        anchor
            False leaves relative paths unchanged.

        Raises
        ------
        RecipeError
            The file does not exist or is not valid TOML; or as for `from_dict`.

        Examples
        --------
        >>> from steepest.recipe import default_recipe
        >>> Recipe.from_toml(default_recipe(), settings=["descent.epochs=5"]).descent.epochs
        5
        """
        path = Path(path)
        table = read_toml(path)
        if anchor:
            anchor_paths(table, path.resolve().parent)
        for setting in settings:
            apply_setting(table, setting)
        return cls.from_dict(table, source=f"The recipe {path}")

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """Return the recipe with changes such as ``"descent.epochs=5"``; errors as `from_toml`."""
        table = self.to_dict()
        for setting in settings:
            apply_setting(table, setting)
        return Recipe.from_dict(table)

    def anchored(self, folder: Path) -> Recipe:
        """Return the recipe with event paths relative to `folder` made absolute."""
        table = self.to_dict()
        anchor_paths(table, folder.resolve())
        return Recipe.from_dict(table)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as nested dictionaries, without keys that have no value."""
        return self.model_dump(exclude_none=True)

    def to_flat_dict(self) -> dict[str, Any]:
        """Return the values by their keys with those of the tables, such as ``descent.epochs``.

        Examples
        --------
        >>> recipe = Recipe.from_dict({"events": {"path": "jets.parquet", "label": "is_top"}})
        >>> recipe.to_flat_dict()["events.label"]
        'is_top'
        """
        return dict(_flat(self.to_dict()))

    def with_particles(self) -> Recipe:
        """The recipe with ``[events.particles]`` of usual names."""
        events = self.events.model_copy(update={"particles": ParticlesRecipe()})
        return self.model_copy(update={"events": events})

    def to_toml(self) -> str:
        """Return the recipe as TOML; reading it gives an equal recipe.

        Examples
        --------
        >>> recipe = Recipe.from_dict({"events": {"path": "jets.parquet", "label": "is_top"}})
        >>> import tomllib
        >>> Recipe.from_dict(tomllib.loads(recipe.to_toml())) == recipe
        True
        """
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    def _refuse_events(self, source: str) -> None:
        events = self.events
        required = {"path": events.path, "label": events.label} if events.samples is None else {}
        for key, value in required.items():
            if value is None:
                raise RecipeError(
                    f"{source} lacks the key 'events.{key}'.",
                    do=f"add it: events.{key} = … (see docs/recipe.md)",
                )
        if events.samples is None:
            return
        labelled = [sample.name for sample in events.samples if sample.label is not None]
        for key, value in {"path": events.path, "label": events.label and labelled}.items():
            if value:
                raise RecipeError(
                    f"{source}: events.{key} and the samples say the same thing twice.",
                    expected=f"the {key} of each sample, or events.{key}",
                    found=f"events.{key} and events.samples of {', '.join(labelled) or 'files'}",
                    do=f"leave events.{key} out",
                )

    def _refuse_contradictions(self, source: str) -> None:
        self._refuse_events(source)
        method = self.descent.method
        hidden = self.model.hidden if isinstance(self.model, ModelRecipe) else None
        linear = hidden == () or self.model.name == THROUGH_ORIGIN
        if method in ("newton", "exact") and not linear:
            models = "linear regression" if method == "exact" else "models without a hidden layer"
            raise RecipeError(
                f"{source}: method {method!r} is for {models}.",
                expected="model.hidden = []",
                found=f"model.name = {self.model.name!r}"
                if hidden is None
                else f"model.hidden = {list(hidden)}",
                do="set model.hidden = [], or descent.method = 'descent'",
            )
        if method == "exact" and self.descent.loss not in (None, "mean-squared-error"):
            raise RecipeError(
                f"{source}: method 'exact' minimises only the mean squared error.",
                found=f"descent.loss = {self.descent.loss!r}",
                do="leave descent.loss out, or set descent.method = 'descent'",
            )
        needs_validation = {
            "descent.keep": ("keep = 'best'", self.descent.keep == "best"),
            "descent.stop.patience": ("stop.patience", isinstance(self.descent.stop.patience, int)),
        }
        for key, (what, is_set) in needs_validation.items():
            if is_set and self.events.split.validation == 0.0:
                raise RecipeError(
                    f"{source}: {what} needs the validation loss, but there are no "
                    "validation events.",
                    found="events.split.validation = 0",
                    do=f"set events.split.validation above 0, or leave {key} out",
                )


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
