"""Figures drawn by one process or two: the same files, also where the second one fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import undrawn
from steepest.evaluate import figures
from steepest.evaluate.figures import process as drawing_processes
from steepest.evaluate.figures.process import DrawingProcess, Files, drawing_process, start_ahead
from steepest.folder import RunFolder
from steepest.recipe import Recipe
from steepest.training import TrainingCallback, background, train
from steepest.training.background import Drawing
from undrawn import PixelProcess

CURVES = figures.descent_curves([1, 2, 3], [0.9, 0.5, 0.4], [0.1, 0.1, 0.1])
DRAW = partial(figures.descent_figure, CURVES)
MISSING = "/no/such/program"


@pytest.fixture
def folder(recipe_table: dict, tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", Recipe.from_dict(recipe_table))


@pytest.fixture
def process():
    process = DrawingProcess()
    yield process
    process.end()


def drawn(
    folder: RunFolder, process: DrawingProcess | None, names: str, draw: Callable = DRAW
) -> set[bytes]:
    drawing = Drawing(folder, process)
    for name in names:
        drawing.add(name, draw, CURVES)
    drawing.finish()
    assert {file.stem for file in (folder.path / "figures").glob("*.json")} == set(names)
    return {(folder.path / "figures" / f"{name}.png").read_bytes() for name in names}


def test_the_second_process_draws_the_same_bytes(process: DrawingProcess):
    files = process.submit(DRAW, ("png", "pdf")).result(timeout=120)
    assert files == {kind: figures.rendered(DRAW(), kind) for kind in ("png", "pdf")}


@pytest.mark.slow
def test_two_processes_write_what_one_writes(folder: RunFolder, process: DrawingProcess):
    assert drawn(folder, process, "abcde") == drawn(folder, None, "abcde")


@pytest.mark.slow
def test_few_figures_are_left_to_the_second_process(
    folder: RunFolder, process: DrawingProcess, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    monkeypatch.setattr(background, "_TIMEOUT", 120.0)
    assert len(drawn(folder, process, "abc")) == 1
    assert "matplotlib" not in sys.modules


def test_features_are_drawn_during_the_descent(
    recipe_table: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []

    class Process(PixelProcess):
        def submit(self, draw: Any, formats: Sequence[str] = ("png",)) -> Future[Files | None]:
            seen.append(draw.func.__name__)
            return super().submit(draw, formats)

    class Callback(TrainingCallback):
        def say(self, sentence: str) -> None:
            seen.append(sentence.partition(":")[0])

    undrawn.draw(monkeypatch, lambda: nullcontext(Process()), Drawing)
    train(Recipe.from_dict(recipe_table), tmp_path / "run", Callback())
    assert seen.index("feature_figure") < seen.index("Learning rate")
    assert seen.count("feature_figure") == 1


def test_what_is_printed_while_drawing_is_not_taken_for_a_figure(process: DrawingProcess):
    assert process.submit(partial(print, "so be it")).result(timeout=120) is None


@pytest.mark.skipif(os.name != "posix", reason="programs of POSIX")
@pytest.mark.parametrize("program", ["/bin/false", "/bin/cat"])
def test_the_first_process_draws_where_the_second_fails(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, program: str
):
    monkeypatch.setattr(sys, "executable", program)
    process = DrawingProcess()
    assert drawn(folder, process, "ab") == {figures.rendered(DRAW())}
    process.end()


@pytest.mark.skipif(os.name != "posix", reason="a program of POSIX")
def test_the_first_process_draws_where_the_second_hangs(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    hangs = tmp_path / "hangs"
    hangs.write_text("#!/bin/sh\nexec sleep 600\n")
    hangs.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hangs))
    monkeypatch.setattr(background, "_TIMEOUT", 0.2)
    process = DrawingProcess()
    assert len(drawn(folder, process, "ab")) == 1
    process.end()


def test_what_a_figure_raises_is_raised(folder: RunFolder, process: DrawingProcess):
    figure: Any = figures.descent_figure
    with pytest.raises(TypeError):
        drawn(folder, process, "a", partial(figure, None, None))


@pytest.mark.parametrize(("cores", "imported"), [(1, False), (2, True)])
def test_no_second_process_where_it_would_not_help(
    monkeypatch: pytest.MonkeyPatch, cores: int, imported: bool
):
    monkeypatch.setattr(drawing_processes, "usable_cores", lambda: cores)
    if imported:
        monkeypatch.setitem(sys.modules, "matplotlib", background)
    else:
        monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    with drawing_process() as process:
        assert process is None


@pytest.mark.parametrize("executable", [sys.executable, MISSING])
def test_a_second_process_ends_with_its_context(monkeypatch: pytest.MonkeyPatch, executable: str):
    monkeypatch.setattr(drawing_processes, "usable_cores", lambda: 2)
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    monkeypatch.setattr(sys, "executable", executable)
    with drawing_process() as process:
        assert (process is None) == (executable == MISSING)
    if process is not None:
        with pytest.raises(RuntimeError):
            process.submit(DRAW)


def test_a_process_that_was_started_ahead_is_the_one_that_draws(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawing_processes, "usable_cores", lambda: 2)
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    start_ahead()
    start_ahead()
    (started,) = drawing_processes._AHEAD
    with drawing_process() as process:
        assert process is started
        assert not drawing_processes._AHEAD
