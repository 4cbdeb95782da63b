"""What the terminal shows of work that goes on."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest

import steepest
from steepest import terminal
from steepest.evaluate import Merit
from steepest.events.transfers import received, requested
from steepest.terminal import TerminalCallback, progress_unless


def test_received_bytes_have_the_bar_until_rows_are_read():
    with progress_unless(silent=False) as callback:
        assert isinstance(callback, TerminalCallback)
        callback.stage("Reading events")
        (task,) = callback.progress.tasks
        requested(3_000_000)
        received(1_500_000)
        assert (task.completed, task.total) == (1_500_000, 3_000_000)
        assert task.fields["detail"] == "1.5 of 3.0 MB received"
        callback.read(1_000, 4_000)
        received(1_500_000)
        assert (task.completed, task.total) == (1_000, 4_000)
        assert task.fields["detail"] == "1,000 rows  3.0 of 3.0 MB received"
        callback.stage("Descending", 10)
        (task,) = callback.progress.tasks
        assert task.fields["detail"] == ""
    requested(10)  # nobody looks on any more
    assert callback.transferred == ""


def test_python_shows_what_the_command_shows(trained_copy: Path, capsys: pytest.CaptureFixture):
    run = steepest.Run(trained_copy)
    out = trained_copy / "scores.parquet"
    work = {
        "AUC": run.resume,
        "accuracy": run.evaluate,
        "Landscape: ": lambda **shown: run.landscape("random", points=3, events=300, **shown),
        "events scored": lambda **shown: steepest.predict(
            run.path, run.recipe.events.path, out, overwrite=True, **shown
        ),
    }
    for expected, do in work.items():
        do()
        assert expected in capsys.readouterr().out
        do(progress=False)
        assert capsys.readouterr() == ("", "")


def test_a_notebook_has_a_line_that_is_replaced(monkeypatch: pytest.MonkeyPatch):
    shown: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], raw: bool) -> None:
            shown.append(data["text/plain"])

    display = types.ModuleType("IPython.display")
    display.display = lambda *args, **kwargs: Handle()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *args: None)
    with progress_unless(silent=False) as callback:
        callback.stage("Reading events", 100)
        callback.read(25, 100)
        callback.stage("Descending", 10)
    assert shown[0] == "Reading events 0 %  "
    assert "Descending 0 %  " in shown
    assert shown[-1] == ""


def test_a_table_of_80_columns_cuts_neither_names_nor_numbers(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"background_rejection_at_{efficiency}" for efficiency in (0.3, 0.9)]
    counts: dict[str, float | int] = {"background_passed": 163, "background_total": 2428}

    def merits(value, low, high):
        found = (Merit(name, value, low, high, 1.0, 0.68, counts, "") for name in names)
        undefined = Merit("robust_resolution", 5.967, np.nan, np.nan, np.nan, 0.68, {}, "", "GeV")
        return {m.name: m.to_json() for m in (*found, undefined)}

    metrics = {
        "part": "test",
        "parts": {"test": {"events": 5000}},
        "model": {"name": "dense network 128→64→64→64→64→1"},
        "merits": {
            "model": merits(28.4, 4.62, 1.137e10),
            "baseline": merits(1.5281, 1.4012, 1.5721),
        },
    }
    terminal.show_results(metrics, Path("report.html"))
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for whole in ("1/ε_B (ε_S = 0.3)", "1/ε_B (ε_S = 0.9)", "28 (4.6 to 1.1·10¹⁰)", "rests on",
                  "1.528 +0.044 −0.127", "163 of 2,428 bkg", "128→64→64→64→64→1"):  # fmt: skip
        assert whole in shown
    assert "…" not in shown
