"""A file of the Hub of which parts are read: HTTP ranges, kept at their places in a local copy.

The copy has the file's length and holes where nothing was read, so that whoever reads those parts
alone reads it as the file. Which parts they are is written down once they are on the disk.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from steepest.events.hub import retries as hub_patience
from steepest.events.hub import transfer as hub_transfer
from steepest.events.hub.errors import load

__all__ = ["Copy", "NoRangesError", "Span", "coalesced", "cut", "missing"]

Span = tuple[int, int]
"""From a byte to the one after the last."""

GAP = 128 * 2**10
"""Holes up to so many bytes are read too: a request of its own takes longer, of eight at once."""
MOST = 8 * 2**20
"""Bytes of a request at most, so that eight connections share a long range."""
AT_ONCE = 8


class NoRangesError(OSError):
    """The server answers a request for a part with something else."""


class Copy:
    """The local copy of one file.

    Parameters
    ----------
    url
        Where the file is; of a commit, so that it never changes.
    size
        Its bytes.
    path, record
        Where the copy lies, and the list of what it has; both are made.

    Attributes
    ----------
    have : list[tuple[int, int]]
        The parts that the copy has, ascending.
    """

    def __init__(self, url: str, size: int, path: Path, record: Path) -> None:
        self.url, self.size, self.path, self.record = url, size, path, record
        for folder in (path.parent, record.parent):
            folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            whole = os.fstat(descriptor).st_size == size
            if not whole:
                os.truncate(descriptor, size)
        finally:
            os.close(descriptor)
        self.have: list[Span] = self._recorded() if whole else []

    def lacks(self, spans: Iterable[Span]) -> int:
        """Return how many bytes of the spans the copy does not have."""
        return _bytes(missing(spans, self.have))

    def fetch(self, spans: Iterable[Span]) -> None:
        """Read the parts that the copy lacks; neighbours come with one request.

        Raises
        ------
        OSError or huggingface_hub's
            The Hub does not answer, refuses, or answers with something else, after its library has
            tried again. What came is kept.
        """
        wanted = cut(coalesced(missing(spans, self.have), GAP), MOST)
        if not wanted:
            return
        descriptor = os.open(self.path, os.O_RDWR)
        pool = ThreadPoolExecutor(min(AT_ONCE, len(wanted)))
        came: list[Span] = []
        hub_transfer.expect(_bytes(wanted))
        try:
            pending = [pool.submit(self._get, descriptor, span) for span in wanted]
            for future, span in zip(pending, wanted, strict=True):
                future.result()
                came.append(span)
                hub_transfer.came(span[1] - span[0])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            os.fsync(descriptor)
            os.close(descriptor)
            self._keep(came)
            hub_transfer.expect(_bytes(came) - _bytes(wanted))  # the rest does not come any more

    def write(self, start: int, content: bytes) -> None:
        """Put bytes into the copy that are known without being read, and are not recorded."""
        with self.path.open("r+b") as stream:
            stream.seek(start)
            stream.write(content)

    def read(self, span: Span) -> bytes:
        """Return bytes of the copy."""
        with self.path.open("rb") as stream:
            stream.seek(span[0])
            return stream.read(span[1] - span[0])

    def _get(self, descriptor: int, span: Span) -> None:
        utils = load("huggingface_hub.utils")
        constants = load("huggingface_hub.constants")
        headers = utils.build_hf_headers(library_name="steepest") | {
            "Range": f"bytes={span[0]}-{span[1] - 1}",
            "Accept-Encoding": "identity",
        }
        answer = hub_patience.ask(
            "GET", self.url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        )
        utils.hf_raise_for_status(answer)
        found = answer.headers.get("Content-Range", "no range")
        expected = f"bytes {span[0]}-{span[1] - 1}/{self.size}"
        if answer.status_code != 206 or found != expected:
            raise NoRangesError(f"status {answer.status_code} with {found} in place of {expected}")
        content = memoryview(answer.content)
        while content:
            written = os.pwrite(descriptor, content, span[1] - len(content))
            content = content[written:]

    def _recorded(self) -> list[Span]:
        try:
            return [(start, stop) for start, stop in json.loads(self.record.read_text())]
        except (FileNotFoundError, ValueError):  # without a record, or half a one, nothing is there
            return []

    def _keep(self, came: Sequence[Span]) -> None:
        """Write down what the copy has, and what another process has added meanwhile."""
        if not came:
            return
        self.have = coalesced([*self.have, *self._recorded(), *came], 0)
        draft = self.record.with_name(f"{self.record.name}.{os.getpid()}")
        draft.write_text(json.dumps(self.have))
        os.replace(draft, self.record)


def _bytes(spans: Iterable[Span]) -> int:
    return sum(stop - start for start, stop in spans)


def coalesced(spans: Iterable[Span], gap: int) -> list[Span]:
    """Return the spans ascending, those joined that touch or have at most `gap` bytes between.

    Examples
    --------
    >>> coalesced([(20, 30), (0, 10), (12, 15)], gap=2)
    [(0, 15), (20, 30)]
    """
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def missing(spans: Iterable[Span], have: Sequence[Span]) -> list[Span]:
    """Return what of the spans is in none of those in `have`, which are ascending and apart.

    Examples
    --------
    >>> missing([(0, 10), (8, 20)], have=[(2, 4), (9, 12)])
    [(0, 2), (4, 9), (12, 20)]
    """
    lacking: list[Span] = []
    for start, stop in coalesced(spans, 0):
        first_after = bisect_right(have, start, key=lambda span: span[1])
        for first, last in islice(have, first_after, None):
            if first >= stop:
                break
            if first > start:
                lacking.append((start, first))
            start = max(start, last)
        if start < stop:
            lacking.append((start, stop))
    return lacking


def cut(spans: Iterable[Span], most: int) -> list[Span]:
    """Return the spans in pieces of at most so many bytes.

    Examples
    --------
    >>> cut([(0, 10), (20, 25)], most=4)
    [(0, 4), (4, 8), (8, 10), (20, 24), (24, 25)]
    """
    return [
        (place, min(place + most, stop))
        for start, stop in spans
        for place in range(start, stop, most)
    ]
