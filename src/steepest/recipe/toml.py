"""From a recipe's file to its nested tables, and changes to these before they are checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from steepest.errors import RecipeError
from steepest.recipe.descent import DescentRecipe
from steepest.recipe.messages import line_of

__all__ = ["anchor_paths", "apply_setting", "read_toml"]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a recipe's file; RecipeError if there is none, or no TOML in it."""
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


def anchor_paths(table: dict[str, Any], folder: Path) -> None:
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


def apply_setting(table: dict[str, Any], setting: str) -> None:
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
