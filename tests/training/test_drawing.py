"""Figures by one process or two: the same files, also where the second one fails."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from steepest.evaluate import figures
from steepest.folder import RunFolder
from steepest.recipe import Recipe
from steepest.training import drawing as module
from steepest.training.drawing import Drawing, second_drawer

CURVES = figures.descent_curves([1, 2, 3], [0.9, 0.5, 0.4], [0.1, 0.1, 0.1])


@pytest.fixture
def folder(recipe_table: dict, tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", Recipe.from_dict(recipe_table))


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another core is free, and what draws is not imported."""
    monkeypatch.setattr(module, "a_core_is_free", lambda: True)
    monkeypatch.setattr(module, "_can_draw", lambda: False)


def drawn(folder: RunFolder, names: list[str], second: object, draw: Callable) -> list[bytes]:
    drawing = Drawing(folder, second)  # pyright: ignore[reportArgumentType]
    for name in names:
        drawing.add(name, draw, CURVES)
    drawing.finish()
    return [(folder.path / "figures" / f"{name}.png").read_bytes() for name in names]


def test_the_second_process_draws_the_same_bytes(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, idle: None
):
    draw = partial(figures.descent_figure, CURVES)
    with second_drawer() as second:
        assert second is not None
        second.put("alone", draw)
        while not second.drawn:
            time.sleep(0.01)
        expected = figures.rendered(draw())
        assert second.drawn.pop() == ("alone", expected)
        assert set(drawn(folder, ["a", "b", "c"], second, draw)) == {expected}
    assert not second.drawn or {png for _, png in second.drawn} == {expected}


@pytest.mark.skipif(os.name != "posix", reason="programs of POSIX")
@pytest.mark.parametrize("program", ["/no/such/program", "/bin/false", "/bin/cat"])
def test_a_second_process_that_fails_is_not_missed(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, idle: None, program: str
):
    monkeypatch.setattr(sys, "executable", program)
    draw = partial(figures.descent_figure, CURVES)
    with second_drawer() as second:
        pngs = drawn(folder, ["a", "b"], second, draw)
    assert pngs == [figures.rendered(draw())] * 2


@pytest.mark.skipif(os.name != "posix", reason="a program of POSIX")
def test_a_second_process_that_is_late_is_not_waited_for(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, idle: None, tmp_path: Path
):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    draw = partial(figures.descent_figure, CURVES)
    with second_drawer() as second:
        assert second is not None
        assert len(drawn(folder, ["a", "b"], second, draw)) == 2


def test_what_a_figure_raises_is_raised(folder: RunFolder, idle: None):
    with second_drawer() as second, pytest.raises(TypeError):
        drawn(folder, ["a"], second, partial(figures.descent_figure, None, None))


def test_one_process_draws_where_it_has_imported_what_draws(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "a_core_is_free", lambda: True)
    monkeypatch.setitem(sys.modules, "matplotlib", module)
    with second_drawer() as second:
        assert second is None
