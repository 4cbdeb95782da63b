"""What the terminal shows of work that goes on."""

from __future__ import annotations

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
