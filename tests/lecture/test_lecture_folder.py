"""What a lecture leaves, what it refuses, and what is left after Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from small_lecture import SMALL
from steepest.errors import EventsError, Interrupted, RecipeError, RunFolderError
from steepest.evaluate.figures import as_numbers
from steepest.lecture import (
    Effort,
    Lecture,
    LectureData,
    batches,
    contours,
    draw,
    lecture_recipe,
    logistic,
    minima,
    rates,
    section,
    title,
)
from steepest.lecture import lecture as room
from steepest.lecture.lecture import PICTURES, LectureFolder, chapter
from steepest.training import TrainingCallback

NAMES = [picture.NAME for picture in PICTURES]


def without_seconds(value: Any) -> Any:
    """Everything but wall times."""
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if k != "seconds"}
    return [without_seconds(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Lecture:
    return draw(lecture_recipe(), tmp_path_factory.mktemp("a") / "lecture", effort=SMALL)


def test_what_lies_in_the_folder(drawn: Lecture):
    left = sorted(entry.name for entry in drawn.folder.path.iterdir())
    pictures = [name for name in NAMES if drawn.numbers["pictures"][name]["figure"]]
    files = [f"{name}.{kind}" for name in pictures for kind in ("pdf", "png")]
    assert left == sorted(["landscape", "lecture.html", "lecture.json", *files])
    # The search for minima, from one of which the escapes are counted, is short here.
    assert set(pictures) >= set(NAMES) - {"minima", "escapes"}


def test_lecture_json(drawn: Lecture):
    text = (drawn.folder.path / "lecture.json").read_text(encoding="utf-8")
    assert json.loads(text) == drawn.numbers
    numbers = drawn.numbers
    assert (numbers["format"], numbers["version"]) == ("steepest-lecture", 2)
    assert (numbers["status"], numbers["seed"]) == ("complete", 0)
    assert list(numbers["pictures"]) == NAMES
    for picture in numbers["pictures"].values():
        assert set(picture) == {"title", "figure", "text", "numbers", "seconds"}
        assert 1 <= len(picture["text"]) <= 3
    assert numbers["data"]["pair"] == ["mass", "n_constituents"]
    landscape = numbers["pictures"]["title"]["numbers"]["landscape"]
    assert landscape["format"] == "steepest-landscape"


def test_the_page_stands_alone(drawn: Lecture):
    page = drawn.page.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    words = re.sub(r"base64,[^\"]*", "", page)  # in which any four letters may be by chance
    assert "http" not in words
    for name, picture in drawn.numbers["pictures"].items():
        assert f'<section id="{name}">' in page
        assert picture["title"] in page
    assert "nan" not in words.lower().split()


def test_the_chapter_has_all_of_it(drawn: Lecture):
    text = chapter(drawn.numbers, "pictures/")
    for picture in drawn.numbers["pictures"].values():
        assert f"## {picture['title']}" in text
        if picture["figure"]:
            assert f"](pictures/{picture['figure']})" in text
    assert "| stop | after 200 steps |" in text


@pytest.mark.slow
def test_same_seed_same_numbers(jets: LectureData, tmp_path: Path):
    def numbers_of(picture: ModuleType, name: str) -> str:
        where = (tmp_path / name,) if picture is title else ()
        numbers = picture.compute(jets, 3, SMALL, TrainingCallback(), *where)
        plain = title.to_json(numbers) if picture is title else as_numbers(numbers)
        return json.dumps(without_seconds(plain))

    for picture in (section, logistic, rates, title, contours, batches):
        assert numbers_of(picture, "a") == numbers_of(picture, "b"), picture.NAME


@pytest.mark.slow
def test_same_seed_same_lecture(drawn: Lecture, tmp_path: Path):
    again = draw(lecture_recipe(), tmp_path / "b", effort=SMALL)
    assert without_seconds(again.numbers) == without_seconds(drawn.numbers)
    for file in drawn.folder.path.glob("*.png"):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


@pytest.fixture
def two_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PICTURES", (section, minima))


def test_ones_own_events_into_an_earlier_lecture(
    drawn: Lecture, events_recipe: Path, tmp_path: Path, two_pictures: None
):
    out = shutil.copytree(drawn.folder.path, tmp_path / "own")
    (out / "minima.png").write_bytes(b"of an earlier lecture")
    lecture = draw(lecture_recipe([str(events_recipe)]), out, seed=1, effort=SMALL)
    numbers = lecture.numbers
    assert numbers["seed"] == 1
    assert numbers["data"]["features"] == ["mass", "ratio", "pt"]
    assert numbers["data"]["classes"] == ["is_top = 0", "is_top = 1"]
    assert (out / "section.png").read_bytes() != (drawn.folder.path / "section.png").read_bytes()
    assert (out / "minima.png").exists() == (numbers["pictures"]["minima"]["figure"] is not None)


def test_what_is_not_in_the_events_is_said(
    tmp_path: Path, two_pictures: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(minima, "DIFFERENT", 1e6)
    picture = draw(lecture_recipe(), tmp_path / "out", effort=SMALL).numbers["pictures"]["minima"]
    assert picture["figure"] is None
    assert picture["numbers"] is None
    assert picture["text"][0].startswith("Not in these events: 2 starts in each of 2 samples")
    assert picture["text"][0] in (tmp_path / "out" / "lecture.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_default_lecture(tmp_path: Path):
    """All pictures, with the options that the command uses."""
    lecture = draw(lecture_recipe(), tmp_path / "lecture")
    pictures = lecture.numbers["pictures"]
    assert all(picture["figure"] for picture in pictures.values())
    assert pictures["minima"]["numbers"]["plateau"] is not None


# --- Ctrl-C -------------------------------------------------------------------------------------


class InterruptedAt(TrainingCallback):
    """Presses Ctrl-C when a stage begins."""

    def __init__(self, stage: str) -> None:
        self.at = stage

    def stage(self, name: str, total: int | None = None) -> None:
        if name.endswith(self.at):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("stage", "done"),
    [("The seven steps", 0), ("Learning rate: too small, just right, too large", 1),
     ("Loss surface", 1)],
)  # fmt: skip
def test_what_is_drawn_is_kept(
    stage: str, done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    second = title if stage == "Loss surface" else rates
    monkeypatch.setattr(room, "PICTURES", (section, second))
    out = tmp_path / "lecture"
    with pytest.raises(Interrupted, match=f"{done} of 2 pictures are drawn") as caught:
        draw(lecture_recipe(), out, effort=SMALL, callback=InterruptedAt(stage))
    assert caught.value.exit_code == 130
    numbers = json.loads((out / "lecture.json").read_text(encoding="utf-8"))
    assert numbers["status"] == "interrupted"
    assert list(numbers["pictures"]) == ["section"][:done]
    page = (out / "lecture.html").read_text(encoding="utf-8")
    assert f"Interrupted: {done} of the pictures are drawn" in page
    assert page.count("<img") == done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    LectureFolder(out)  # the same command may be given again


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["a folder with notes.txt", "a file"])
def test_a_foreign_folder_is_left_alone(kind: str, tmp_path: Path):
    out = tmp_path / "out"
    if kind == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "notes.txt").write_text("mine")
        (out / "lecture.json").write_text('{"format": "another"}')
        (out / "lecture.json").rename(out / "other.json")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunFolderError, match="is not the folder of a lecture") as caught:
        draw(lecture_recipe(), out, effort=SMALL)
    assert kind in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_with_another_lecture_json_is_foreign(tmp_path: Path):
    (tmp_path / "lecture.json").write_text("[]")
    with pytest.raises(RunFolderError, match="is not the folder of a lecture"):
        draw(lecture_recipe(), tmp_path, effort=Effort())


@pytest.mark.parametrize(
    ("data", "label", "features", "said"),
    [
        (["a.toml", "b.parquet"], None, [], "not for a recipe"),
        (["a.toml"], "y", [], "are for files of events"),
        ([], None, ["mass"], "are for files of events"),
        (["a.parquet"], None, [], "Files of events need a label"),
    ],
)
def test_what_does_not_go_together(data, label, features, said: str):
    with pytest.raises(RecipeError, match=said):
        lecture_recipe(data, label, features)


def write(path: Path, **columns: np.ndarray) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.mark.parametrize(
    ("columns", "said", "found"),
    [
        ({"y": "value"}, "has others", "numbers, for a regression"),
        ({"y": "many"}, "has others", "the 3 classes"),
        ({"y": "few"}, "too few events", "with label 1"),
        ({"a": "constant"}, "two features that differ", "1 with spread"),
        ({"a": "twice"}, "two features that differ", "2 with spread"),
        ({"w": "negative"}, "negative weights", "events below 0"),
    ],
)
def test_events_that_no_lecture_can_be_drawn_from(
    columns: dict[str, str], said: str, found: str, tmp_path: Path
):
    random = np.random.default_rng(0)
    b = random.normal(size=600)
    table = {"a": random.normal(size=600), "b": b, "y": random.integers(0, 2, 600)}
    other = {
        "value": b + 0.5,
        "many": random.integers(0, 3, 600),
        "few": (np.arange(600) < 10).astype(int),
        "constant": np.ones(600),
        "twice": 2 * b + 1,
        "negative": random.normal(1, 1, 600),
    }
    table |= {name: other[kind] for name, kind in columns.items()}
    path = write(tmp_path / "events.parquet", **table)
    recipe = lecture_recipe([path], "y", ["a", "b"])
    if "w" in table:
        recipe = recipe.model_copy(
            update={"events": recipe.events.model_copy(update={"weight": "w"})}
        )
    with pytest.raises(EventsError, match=said) as caught:
        draw(recipe, tmp_path / "out", effort=SMALL)
    assert found in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_single_class_and_a_missing_file_are_said_by_who_reads(tmp_path: Path):
    path = write(tmp_path / "one.parquet", a=np.arange(300.0), b=np.ones(300), y=np.ones(300, int))
    with pytest.raises(EventsError, match=r"one class|single|only"):
        draw(lecture_recipe([path], "y"), tmp_path / "out")
    with pytest.raises(EventsError, match=r"nowhere\.parquet"):
        draw(lecture_recipe([str(tmp_path / "nowhere.parquet")], "y"), tmp_path / "out")
