"""The tables of a recipe: unknown keys are errors, values are immutable, messages name the key."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_serializer,
)

from steepest.errors import RecipeError, nearest

NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
BareName = BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)
"""``optimizer = "adam"`` is short for ``optimizer = {name = "adam"}``."""


class Strict(BaseModel):
    """A table with exactly the keys it declares."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True)

    def changed(self) -> dict[str, Any]:
        """Return the values that are not their keys' defaults."""
        fields = type(self).model_fields
        values = {key: getattr(self, key) for key in fields}
        return {key: value for key, value in values.items() if value != fields[key].default}


class Named(Strict):
    """A table with a name and options; written as its name alone if these have their defaults."""

    @model_serializer(mode="wrap")
    def _to_bare_name(self, handler: Any) -> Any:
        values = handler(self)
        options = {key: values[key] for key in self.changed()}
        return {"name": values["name"], **options} if options else values["name"]


def explain(error: ValidationError, model: type[BaseModel], source: str) -> RecipeError:
    """Return the RecipeError for the first problem that pydantic found."""
    problems = error.errors(include_url=False)
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    first = (unknown or problems)[0]
    path, table = _walk(first["loc"], model)
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        return _unknown_key(source, key, path[-1], table)
    if first["type"] == "missing":
        return RecipeError(
            f"{source} lacks the key {key!r}.", do=f"add it: {key} = … (see docs/recipe.md)"
        )
    bare = first["type"] == "union_tag_invalid" and first["input"].keys() == {"name"}
    return RecipeError(
        f"{source} has a wrong value for {key!r}.",
        expected=" or ".join(
            _expectation(problem)
            for problem in problems
            if ".".join(_walk(problem["loc"], model)[0]) == key
        ),
        found=repr(first["input"]["name"] if bare else first["input"]),
    )


def _unknown_key(source: str, key: str, name: str, table: type[BaseModel] | None) -> RecipeError:
    known = sorted(table.model_fields) if table is not None else []
    guess = nearest(name, known)
    return RecipeError(
        f"{source} has an unknown key {key!r}.",
        expected=f"one of {', '.join(known)}" if known else None,
        do=f"write {guess!r}, or remove it" if guess else "remove it",
    )


def _expectation(problem: Any) -> str:
    text = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    text = text.replace("a valid tuple", "a list")
    if problem["type"] == "union_tag_invalid":
        return f"one of {problem['ctx']['expected_tags']}"
    if problem["type"] == "union_tag_not_found":
        return "a name, or a table with a name"
    return text


def _walk(
    location: tuple[int | str, ...], model: type[BaseModel]
) -> tuple[list[str], type[BaseModel] | None]:
    """Follow a pydantic location; drop union tags; return the key's path and its table's type."""
    path: list[str] = []
    table: type[BaseModel] | None = model
    candidates: list[type[BaseModel]] = [model]
    for part in location:
        if isinstance(part, int):
            path[-1] += f"[{part}]"
            continue
        owner = next((c for c in candidates if part in c.model_fields), None)
        tagged = next((c for c in candidates if _tag(c) == part), None)
        if owner is not None:
            path.append(part)
            table = owner
            candidates = _tables_in(owner.model_fields[part].annotation)
        elif tagged is not None:
            candidates = [tagged]
            table = tagged
        elif location[-1] == part and not _is_union_member(part):
            path.append(part)
            table = candidates[0] if candidates else table
    return path, table


def _tag(model: type[BaseModel]) -> Any:
    field = model.model_fields.get("name")
    return field.default if field is not None else None


def _is_union_member(part: str) -> bool:
    """Whether this part of a location is the name of a union member, not a key."""
    return part in {"str", "int", "float", "bool"} or "[" in part or part.startswith("constrained")


def _tables_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    origin = typing.get_origin(annotation)
    if origin in (list, tuple, typing.Annotated, typing.Union, types.UnionType):
        return [t for inner in typing.get_args(annotation) for t in _tables_in(inner)]
    return []
