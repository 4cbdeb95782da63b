"""What calls from Python show: progress, tables, notes and reports, as the commands do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steepest.errors import DivergenceError, InputError
from steepest.folder import RunFolder
from steepest.ranks import current
from steepest.training import TrainingCallback


def show(what: str, result: Any, progress: bool, callback: TrainingCallback | None) -> None:
    """Print a result as the command does, unless the caller looks after that."""
    if progress and callback is None:
        from steepest import terminal

        getattr(terminal, f"show_{what}")(result, as_json=False)


@contextmanager
def shown(progress: bool, callback: TrainingCallback | None) -> Iterator[TrainingCallback]:
    """Give what is told of the progress: `callback`, or what shows it."""
    if callback is not None or not progress:
        yield callback or TrainingCallback()
        return
    from steepest.terminal import progress_unless

    with progress_unless(silent=False) as shown:
        yield shown


@contextmanager
def reported(
    path: Path, progress: bool, callback: TrainingCallback | None
) -> Iterator[TrainingCallback]:
    """Write the report of what was trained, also of what diverged; show the table.

    Of many ranks, the main one does so.
    """
    if not current().is_main:
        yield callback or TrainingCallback()
        return
    with shown(progress, callback) as told:
        try:
            yield told
        except DivergenceError:
            _write_reports(RunFolder(path))
            raise
        _write_reports(RunFolder(path))
    if progress and callback is None:
        from steepest.terminal import show_results

        folder = RunFolder(path)
        show_results(folder.metrics or {}, path / "report.html")


@contextmanager
def watched(path: Path, told: TrainingCallback, explain: bool) -> Iterator[TrainingCallback]:
    """Give `told` something that looks at the descent, too; its sentences go to the log."""
    if not explain:
        yield told
        return
    from steepest.explain.watch import Watch

    if current().size > 1:
        raise InputError(
            "A training over many ranks is not explained while it goes on.",
            expected="one process",
            found=f"{current().size} ranks",
            do=f"leave --explain out; afterwards: steepest explain {path}",
        )
    watch = Watch(told)
    try:
        yield watch
    finally:
        if watch.has_begun:
            for sentence in watch.sentences():
                RunFolder(path).say(sentence)
                told.say(sentence)


def _write_reports(folder: RunFolder) -> None:
    """Write the report of a run, and of its folds that are done."""
    from steepest.report import write_report

    for each in (*folder.folds, folder):
        if each.metrics is not None:
            write_report(each)
