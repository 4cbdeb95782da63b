"""Reading a recipe file into nested tables, and changes to them before they are validated."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from steepest.errors import RecipeError
from steepest.recipe.descent import DescentRecipe

__all__ = ["anchor_paths", "apply_setting", "read_toml"]

_LONGEST_PATH = 4096
_TEXT_DATA = (".csv", ".tsv", ".txt", ".dat")
"""Suffixes of events in text form; other event files are recognised by their bytes."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a recipe file; RecipeError if it is missing or not valid TOML."""
    _refuse_text(str(path))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(
            f"There is no recipe {path}.",
            found=f"in {path.resolve().parent}: {_toml_files(path.resolve().parent)}",
            do="check the path; `steepest train` without a recipe trains on the embedded jets",
        ) from None
    except OSError as error:
        raise RecipeError(
            f"The recipe {path} cannot be read.",
            expected="a readable TOML file",
            found=error.strerror or type(error).__name__,
            do="check the path and its permissions",
        ) from None
    except UnicodeDecodeError as error:
        if path.suffix != ".toml":
            raise _no_recipe(path, "bytes that are not UTF-8 text") from None
        raise RecipeError(
            f"The recipe {path} cannot be read.",
            expected="a TOML file, UTF-8",
            found=f"byte {error.start} is not UTF-8",
            cause="it was saved in another encoding",
            do="save it as UTF-8",
        ) from None
    except tomllib.TOMLDecodeError as error:
        if path.suffix.lower() in _TEXT_DATA:
            raise _no_recipe(path, f"the suffix {path.suffix}, and no TOML") from None
        if _begins_with_numbers(path):
            raise _no_recipe(path, "a first line of numbers, and no TOML") from None
        raise RecipeError(
            f"The recipe {path} is not valid TOML.",
            found=f"{error}{_line_of(path, error)}",
            do='put text in quotes: label = "is_top"',
        ) from None


def _begins_with_numbers(path: Path) -> bool:
    """Whether the first line is one of a table without a header."""
    with path.open(encoding="utf-8") as stream:
        fields = re.split(r"[\s,;]+", stream.readline().strip())
    try:
        return len([float(field) for field in fields]) > 1
    except ValueError:
        return False


def _line_of(path: Path, error: Exception) -> str:
    """Return the offending line of a TOML file, if the error names one."""
    match = re.search(r"line (\d+)", str(error))
    if match is None:
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    number = int(match.group(1))
    return f": {lines[number - 1].strip()}" if 0 < number <= len(lines) else ""


def _no_recipe(path: Path, found: str) -> RecipeError:
    return RecipeError(
        f"{path} is not a recipe.",
        expected="a recipe: a TOML file, UTF-8",
        found=found,
        cause="it is a file of events, which a recipe names",
        do=f'write a recipe with [events], path = "{path.name}" and label = "COLUMN", '
        "and train with that",
    )


def _refuse_text(text: str) -> None:
    """Raise RecipeError if the text of a recipe is given instead of its path."""
    if "\n" not in text and len(text) < _LONGEST_PATH:
        return
    first = next((line for line in text.splitlines() if line.strip()), "")
    raise RecipeError(
        "The path of the recipe is not a path.",
        expected="the path of a TOML file, or the tables of a recipe",
        found=f"{len(text):,} characters that begin with {first[:40]!r}",
        cause="the text of a recipe was given",
        do="write it to a file, or pass its tables: train(tomllib.loads(text))",
    )


def _toml_files(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.glob("*.toml")) if folder.is_dir() else []
    return ", ".join(names[:5]) or "no .toml file"


def anchor_paths(table: dict[str, Any], folder: Path) -> None:
    """Make paths of events and of an initial model absolute, from the folder of the recipe."""
    model = table.get("model")
    if isinstance(model, dict) and isinstance(initial := model.get("initial"), str):
        model["initial"] = _anchored(initial, folder)
    events = table.get("events")
    if not isinstance(events, dict):
        return
    holders = [events, *_tables(events, "samples"), *_tables(events, "variations")]
    for holder in list(holders):
        if isinstance(friends := holder.get("friends"), list | tuple):
            bare = [{"path": friend} if isinstance(friend, str) else friend for friend in friends]
            holder["friends"] = bare
            holders += _tables(holder, "friends")
    for holder in holders:
        path = holder.get("path")
        if isinstance(path, str):
            holder["path"] = _anchored(path, folder)
        elif isinstance(path, list):
            holder["path"] = [_anchored(p, folder) if isinstance(p, str) else p for p in path]


def _tables(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    given = holder.get(key)
    return [t for t in given if isinstance(t, dict)] if isinstance(given, list | tuple) else []


def _anchored(path: str, folder: Path) -> str:
    scheme = path.split(":", 1)[0]
    if scheme == "embedded" or "://" in path or Path(path).is_absolute():
        return path
    return str(folder / Path(path).expanduser())


def apply_setting(table: dict[str, Any], setting: str) -> None:
    """Apply one setting ``a.b.c=value``; the value is TOML, or text if it is not valid TOML."""
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
    value = _toml_value(text.strip())
    if (parents, last) == (["events", "split"], "folds"):
        table.pop("test", None)  # a fold is the test part
    table[last] = value


_DEFAULT_NAMES = {
    name: DescentRecipe.model_fields[name].default.name for name in ("optimizer", "schedule")
}
"""Named tables that a setting extends if the recipe does not have them."""


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
