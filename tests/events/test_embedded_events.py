"""The packaged sample, and what is said when it is not as it was packaged."""

from __future__ import annotations

import hashlib
from importlib import resources

import pytest

from steepest.errors import EventsError
from steepest.events import load_sample, open_events
from steepest.events.paths import embedded_path
from steepest.recipe import EventsRecipe

PACKAGED = resources.files("steepest.events").joinpath("embedded", "top-jets.parquet")
needs_sample = pytest.mark.skipif(
    not PACKAGED.is_file(), reason="the sample top-jets is not in this checkout"
)


@needs_sample
def test_the_sample_can_be_opened() -> None:
    source = open_events("embedded:top-jets")
    assert source.rows > 0
    assert source.path == "embedded:top-jets"


@needs_sample
def test_the_sample_can_be_trained_on() -> None:
    names = open_events("embedded:top-jets").schema.names
    assert "is_top" in names
    sample = load_sample(EventsRecipe(path="embedded:top-jets", label="is_top"))
    assert sample.classes == ("0", "1")
    assert len(sample.rows) == sample.read["rows_total"]


@pytest.fixture
def folder(write, tmp_path):
    """A folder with a sample and its checksum, as the package has them."""
    path = write({"pt": [1.0, 2.0]}, "some-jets.parquet")
    with open(path, "rb") as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    (tmp_path / "some-jets.sha256").write_text(f"{digest}  some-jets.parquet\n")
    return tmp_path


def test_a_sample_as_it_was_packaged(folder) -> None:
    assert embedded_path("embedded:some-jets", folder) == folder / "some-jets.parquet"


def test_another_content(folder, refused) -> None:
    expected = (folder / "some-jets.sha256").read_text().split()[0]
    (folder / "some-jets.parquet").write_bytes(b"other")
    message = f"""
The embedded sample 'some-jets' is not the one that was packaged.
  expected: sha256 {expected}
  found:    sha256 {hashlib.sha256(b"other").hexdigest()}
  cause:    the installed file was changed or damaged
  do:       install steepest again
"""
    refused(EventsError, message, embedded_path, "embedded:some-jets", folder)


@pytest.mark.parametrize("content", [None, ""])
def test_no_checksum(content, folder, refused) -> None:
    digest = (folder / "some-jets.sha256").read_text().split()[0]
    (folder / "some-jets.sha256").unlink()
    if content is not None:
        (folder / "some-jets.sha256").write_text(content)
    message = f"""
The embedded sample 'some-jets' has no checksum, so it cannot be checked.
  expected: a file some-jets.sha256 beside it
  found:    sha256 {digest}
  cause:    the installation is incomplete
  do:       install steepest again
"""
    refused(EventsError, message, embedded_path, "embedded:some-jets", folder)


def test_no_such_sample(folder, refused) -> None:
    message = """
There is no embedded sample 'some-jet'.
  expected: one of some-jets
  do:       write 'embedded:some-jets'
"""
    refused(EventsError, message, embedded_path, "embedded:some-jet", folder)


def test_no_sample_at_all(tmp_path, refused) -> None:
    message = """
There is no embedded sample 'top-jets'.
  expected: a packaged sample
  found:    no sample in this installation
  do:       install steepest again
"""
    refused(EventsError, message, embedded_path, "embedded:top-jets", tmp_path)


def test_names_are_names_not_paths(folder, tmp_path) -> None:
    with pytest.raises(EventsError):
        embedded_path("embedded:../" + tmp_path.name + "/some-jets", folder)
