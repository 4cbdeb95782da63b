"""``steepest lecture``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_lecture import SMALL
from steepest.lecture import lecture as room
from steepest.lecture import rates, section


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    """The command with less work to do."""
    monkeypatch.setattr(room, "Effort", lambda: SMALL)
    monkeypatch.setattr(room, "PICTURES", (section, rates))


def test_it_says_where_the_page_is(tmp_path: Path, steepest):
    out = tmp_path / "lecture"
    ended = steepest("lecture", "--out", out, "--seed", "2")
    assert ended.code == 0
    assert "Learning rate: too small, just right, too large" in ended.out
    assert f"Lecture: {out / 'lecture.html'}" in ended.out
    assert json.loads((out / "lecture.json").read_text(encoding="utf-8"))["seed"] == 2


def test_json_is_lecture_json_and_nothing_else(tmp_path: Path, events_file: Path, steepest):
    out = tmp_path / "lecture"
    ended = steepest(
        "lecture", "--data", events_file, "--label", "is_top", "--features", "mass, pt", "-o", out,
        "--json",
    )  # fmt: skip
    assert ended.code == 0
    numbers = json.loads(ended.out)
    assert numbers == json.loads((out / "lecture.json").read_text(encoding="utf-8"))
    assert numbers["data"]["features"] == ["mass", "pt"]


def test_help_teaches(steepest):
    ended = steepest("lecture", "--help")
    assert ended.code == 0
    for said in ("steepest lecture --out lecture", "--data", "--label", "Ctrl-C keeps"):
        assert said in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere.toml"], "nowhere.toml"),
        (["--data", "nowhere.parquet", "--label", "y"], "nowhere.parquet"),
        (["--data", "events.parquet"], "need a label"),
        (["--label", "y"], "go with files of events"),
        (["--data", "embedded:top-jets", "--label", "mass"], "has others"),
    ],
)
def test_bad_input(arguments: list[str], said: str, tmp_path: Path, steepest):
    ended = steepest("lecture", *arguments, "--out", tmp_path / "out")
    assert ended.code == 1
    assert said in ended.err
    assert "do:" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_foreign_folder(tmp_path: Path, steepest):
    (tmp_path / "mine.txt").write_text("mine")
    ended = steepest("lecture", "--out", tmp_path)
    assert ended.code == 1
    assert "a folder with mine.txt" in ended.err


def test_wrong_usage(steepest):
    assert steepest("lecture").code == 2
    assert steepest("lecture", "--out", "x", "--seed", "-1").code == 2
