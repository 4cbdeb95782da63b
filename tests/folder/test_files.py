"""What an operating system says about a disk is explained; so is damage."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from steepest.errors import InputError, RunFolderError
from steepest.folder import files
from steepest.folder.files import damage_explained, seen


def explained(error: BaseException) -> None:
    with files.explained("Writing history.parquet", Path("run"), "the run is kept"):
        raise error


@pytest.mark.parametrize("error", [ValueError("a mistake of ours"), InputError("Explained.")])
def test_what_is_not_of_the_disk_is_left_as_it_is(error: Exception):
    with pytest.raises(type(error)) as caught:
        explained(error)
    assert caught.value is error


@pytest.mark.parametrize(
    "said",
    [f"I/O error: {os.strerror(errno.ENOSPC)}", f"Error while writing (os error {errno.ENOSPC})"],
)
def test_an_error_that_hides_its_number_in_its_text(said: str):
    with pytest.raises(RunFolderError) as caught:
        explained(SafetensorError(said))
    assert str(caught.value) == (
        "Writing history.parquet failed in run.\n"
        f"  found:    {os.strerror(errno.ENOSPC)}\n"
        "  cause:    the disk, the quota or the allowed file size is used up\n"
        "  do:       free some space; the run is kept"
    )


def test_an_error_of_the_system_without_a_number_is_left_as_it_is():
    error = OSError("nothing known")
    with pytest.raises(OSError, match="nothing known") as caught:
        explained(error)
    assert caught.value is error


def test_what_is_not_done_leaves_nothing(tmp_path: Path):
    def write(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(tmp_path / "metrics.json", write)
    assert list(tmp_path.iterdir()) == []


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
