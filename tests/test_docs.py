"""What the documentation says: its code runs, its recipes are read, every key is explained."""

from __future__ import annotations

import doctest
import re
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from steepest.recipe import (
    BinsRecipe,
    Derived,
    FriendRecipe,
    HeadRecipe,
    ParticleFeature,
    Recipe,
    SampleRecipe,
)
from steepest.recipe.descent import OPTIMIZERS, SCHEDULES

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
PROSE = [ROOT / "README.md", *PAGES]
SKIPPED = "<!-- not run -->"
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^(?P=indent)```", re.M | re.S
)


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """The line number and the text of each block of a language that is not marked as skipped."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        before = text[: match.start()].rstrip()
        if match["language"] == language and not before.endswith(SKIPPED):
            indent = len(match["indent"])
            lines = [line[indent:] for line in match["code"].splitlines(keepends=True)]
            yield text[: match.start()].count("\n") + 2, "".join(lines)


def with_blocks(language: str) -> list:
    return [pytest.param(p, id=p.name) for p in PROSE if any(blocks(p, language))]


# --- Python -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The blocks of a page are one script, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__docs__"}
    for line, code in blocks(page, "python"):
        if code.lstrip().startswith(">>>"):
            run_examples(code, names, page, line)
        else:
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)


def run_examples(code: str, names: dict[str, Any], page: Path, line: int) -> None:
    example = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), line - 1)
    example.globs = names  # what an example defines, the next block sees
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(example, out=said.append, clear_globs=False)
    assert not runner.summarize(verbose=False).failed, "".join(said)


# --- recipes ------------------------------------------------------------------------------------


def recipes() -> list:
    return [
        pytest.param(code, id=f"{page.name}:{line}")
        for page in PROSE
        for line, code in blocks(page, "toml")
        if set(tomllib.loads(code)) <= set(Recipe.model_fields)
    ]


@pytest.mark.parametrize("code", recipes())
def test_toml_is_a_recipe(code: str):
    """A fragment without path or label is read with some."""
    table = tomllib.loads(code)
    if "samples" not in table.get("events", {}):
        table["events"] = {"path": "events.parquet", "label": "y"} | table.get("events", {})
    Recipe.from_dict(table)


def test_every_toml_block_with_events_is_tested():
    count = sum("[events" in code for page in PROSE for _, code in blocks(page, "toml"))
    assert count == sum("[events" in parameter.values[0] for parameter in recipes())


# --- the recipe's keys --------------------------------------------------------------------------

REQUIRED, LEFT_OUT = object(), None
LISTED = {Derived, BinsRecipe, SampleRecipe}


def tables_in(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a key may hold, but for those with a name of their own."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [] if annotation in (*OPTIMIZERS, *SCHEDULES) else [annotation]
    if typing.get_origin(annotation) in (
        list,
        tuple,
        typing.Annotated,
        typing.Union,
        types.UnionType,
    ):
        return [t for inner in typing.get_args(annotation) for t in tables_in(inner)]
    return []


def keys_of(table: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Every dotted key below a table, with its default."""
    keys: dict[str, Any] = {}
    for name, field in table.model_fields.items():
        inner = tables_in(field.annotation)
        lists = {Derived, BinsRecipe, FriendRecipe, HeadRecipe, ParticleFeature, SampleRecipe}
        if not inner or lists & set(inner):  # also the list as a whole
            keys[prefix + name] = plain(field)
        for below in inner if prefix + name != "events.samples.friends" else ():
            keys = keys_of(below, f"{prefix}{name}.") | keys  # the first of a union counts
    return keys


def plain(field: Any) -> Any:
    if field.is_required():
        return REQUIRED
    default = field.default
    if isinstance(default, BaseModel):
        return default.model_dump()
    return list(default) if isinstance(default, tuple) else default


def options_of(members: tuple[type[BaseModel], ...]) -> dict[tuple[str, str], Any]:
    """Every (name, option) of named tables, with its default; (name, "") for the name itself."""
    options: dict[tuple[str, str], Any] = {}
    for member in members:
        name = member.model_fields["name"].default
        own = {key: plain(f) for key, f in member.model_fields.items() if key != "name"}
        options |= {(name, ""): REQUIRED} | {(name, key): value for key, value in own.items()}
    return options


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading of docs/recipe.md, without the heads."""
    text = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    section = re.split(r"^#+ ", text.split(f"# {heading}", 1)[1], maxsplit=1, flags=re.M)[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|") and not line.startswith("|---")
    ]
    return [row for row in cells if row[0] not in ("key", "name")]


def value_of(cell: str) -> Any:
    match cell:
        case "required" | "":
            return REQUIRED
        case "left out":
            return LEFT_OUT
        case _:
            return tomllib.loads(f"value = {cell.strip('`')}")["value"]


def test_every_key_is_documented_with_its_default():
    headings = ("`[events]`", "Samples", "`[model]`", "`[descent]`", "`[evaluate]`")
    documented = {
        row[0].strip("`"): value_of(row[2]) for heading in headings for row in rows(heading)
    }
    assert documented == keys_of(Recipe)


@pytest.mark.parametrize(
    ("heading", "members"),
    [("`descent.optimizer`", OPTIMIZERS), ("`descent.schedule`", SCHEDULES)],
)
def test_every_named_table_is_documented(heading: str, members: tuple[type[BaseModel], ...]):
    expected = options_of(members)
    documented: dict[tuple[str, str], Any] = {}
    for name, option, _, default, *_ in rows(heading):
        option = option.strip("`")
        names = [name.strip("`")]
        if name.startswith("all but "):
            left_out = name.removeprefix("all but ").strip("`")
            names = [known for known, key in expected if key == "" and known != left_out]
        for known in names:
            documented[known, ""] = REQUIRED
            if option:
                documented[known, option] = value_of(default)
    assert documented == expected


# --- links --------------------------------------------------------------------------------------


def test_the_navigation_has_every_page():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w-]+\.md", text.split("nav:", 1)[1]))
    assert {page.name for page in PAGES} <= named
