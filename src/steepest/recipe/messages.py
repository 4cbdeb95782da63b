"""Error messages for invalid recipes: the key, the closest known key, and the remedy."""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from steepest.errors import RecipeError, nearest


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
    return RecipeError(
        f"{source} has a wrong value for {key!r}.",
        expected=" or ".join(
            _expectation(problem)
            for problem in problems
            if ".".join(_walk(problem["loc"], model)[0]) == key
        ),
        found=repr(first["input"]),
    )


def line_of(path: Path, error: Exception) -> str:
    """Return the offending line of a TOML file, if the error names one."""
    match = re.search(r"line (\d+)", str(error))
    if match is None:
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    number = int(match.group(1))
    return f": {lines[number - 1].strip()}" if 0 < number <= len(lines) else ""


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
