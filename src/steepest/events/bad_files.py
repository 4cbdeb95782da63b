"""Files that cannot be read, among others that can: an error that names them, or events without.

``on_bad_file = "skip"`` leaves a file out as a whole, also one that turns out to be damaged after
some of its events were read: all is then read again without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from steepest.errors import EventsError
from steepest.events.words import counted, listed

__all__ = [
    "SKIP",
    "none_readable",
    "of_files",
    "reason",
    "same_events",
    "skipped_sentences",
    "told_of",
]

SKIP = "skip"
HINT = 'on_bad_file = "skip" in [events], or --on-bad-file skip, leaves such files out'


def reason(error: EventsError) -> str:
    """Return in one line why a file cannot be read."""
    found = error.details["found"]
    return f"{error.what.rstrip('.')} ({found})" if found else error.what.rstrip(".")


def of_files(bad: Mapping[str, str], error: EventsError, several: bool) -> EventsError:
    """Return the error about the first of the bad files; among several, with what can be done."""
    if several:
        do = error.details["do"]
        details = {**error.details, "do": f"{do}; {HINT}" if do else HINT}
        error = EventsError(error.what, **details)
    error.bad_files = bad
    return error


@contextmanager
def told_of(file: str, several: bool) -> Iterator[None]:
    """Raise what is raised as the error about a file, if it is not told of one already."""
    try:
        yield
    except EventsError as error:
        if error.bad_files or error.bad_files is None:
            raise
        raise of_files({file: reason(error)}, error, several) from None


def of_content(error: EventsError) -> EventsError:
    """Return the error of files that can be read, but do not fit together: they are not skipped."""
    error.bad_files = None
    return error


def none_readable(bad: Mapping[str, str]) -> EventsError:
    """Return the error for events of which no file is left."""
    return EventsError(
        f"None of the {counted(len(bad), 'file')} can be read.",
        expected="at least one file that can be read",
        found=next(iter(bad.values())),
        do=f"check {listed(bad, 3)}",
    )


def skipped_sentences(source: Mapping[str, Any], most: int = 3) -> list[str]:
    """Return a sentence about the files that a fingerprint says were skipped, if there are any."""
    skipped = [file["reason"] for file in source.get("skipped", ())]
    if not skipped:
        return []
    of = len(skipped) + len(source["files"])
    told = f"{counted(len(skipped), 'file')} of {of}, which cannot be read: "
    return [f"Skipped {told}{'; '.join(skipped[:most])}{_and_more(len(skipped) - most)}."]


def _and_more(count: int) -> str:
    return f"; and {count} more" if count > 0 else ""


def same_events(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two fingerprints are of the same events, whatever hindered reading other files."""

    def told(source: Mapping[str, Any]) -> dict[str, Any]:
        return {**source, "skipped": [file["path"] for file in source.get("skipped", ())]}

    return told(one) == told(other)
