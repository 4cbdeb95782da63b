"""Run the command line in this process: what a terminal would show, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from steepest.cli import main


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def steepest(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> Ended:
        monkeypatch.setattr("sys.argv", ["steepest", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


Command = Callable[..., Ended]
