"""What an operating system says about a disk is explained; other errors are not touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from steepest.errors import InputError, RunFolderError
from steepest.folder import atomic


def explained(error: BaseException) -> None:
    with atomic.explained("Writing history.parquet", Path("run"), "the run is kept"):
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
        atomic.write_atomically(tmp_path / "metrics.json", write)
    assert list(tmp_path.iterdir()) == []
