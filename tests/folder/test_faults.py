"""What lies at a path, in words, and damaged files of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from steepest.errors import RunFolderError
from steepest.folder.faults import damage_explained, seen


def test_what_lies_at_a_path(tmp_path: Path):
    assert seen(tmp_path / "nowhere") == "no such folder"
    assert seen(tmp_path) == "an empty folder"
    for name in "gfedcba":
        (tmp_path / name).touch()
    assert seen(tmp_path) == "a folder with a, b, c, d, e"
    assert seen(tmp_path / "a") == "a file"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert seen(tmp_path / "link") == "a file"


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (ValueError("one line\nanother"), "one line"),
        (KeyError("widths"), "'widths'"),
        (TypeError("list indices must be integers"), "list indices must be integers"),
        (OSError(), "OSError"),
    ],
)
def test_what_reading_stumbles_over_is_damage(error: Exception, found: str):
    with pytest.raises(RunFolderError) as caught, damage_explained("x of RUN", "restore it"):
        raise error
    assert str(caught.value) == (
        f"x of RUN is damaged.\n  found:    {found}\n"
        "  cause:    it was changed, or cut short by a copy\n"
        "  do:       restore it"
    )
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [RunFolderError("Said already."), KeyboardInterrupt()])
def test_what_is_no_damage_passes(error: BaseException):
    with pytest.raises(type(error)) as caught, damage_explained("x of RUN", "restore it"):
        raise error
    assert caught.value is error
