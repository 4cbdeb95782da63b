"""The clock that stops while kernels are compiled."""

from __future__ import annotations

import time

import pytest

from steepest.compiled.clock import (
    clock,
    compilation_ended,
    compilation_started,
    tell_compilation,
)
from steepest.compiled.jit import helper
from steepest.terminal import TerminalCallback


def test_compilation_is_told():
    inner = helper(lambda x: x + 1)
    outer = helper(lambda x: 2 * inner(x))
    told: list[str] = []
    with tell_compilation(lambda: told.append("compiling")):
        assert outer(1) == 4
        assert outer(2) == 6
    assert told == ["compiling"]  # the inner one belongs to the outer one
    assert helper(lambda x: x)(1) == 1
    assert told == ["compiling"]  # nobody looks on any more


def test_the_time_of_a_compilation_is_left_out(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    began = clock()
    now = 101.0
    compilation_started()
    now = 108.0
    compilation_ended()
    now = 110.0
    assert clock() - began == pytest.approx(3.0)


def test_the_terminal_says_it_once(capsys: pytest.CaptureFixture[str]):
    callback = TerminalCallback()
    callback.stage("Descending", 10)
    callback.compiling()
    callback.compiling()
    assert capsys.readouterr().err.count("Compiling for this machine, once") == 1
    (task,) = callback.progress.tasks
    assert task.fields["detail"] == "compiling …"
