"""Files read over the network through fsspec: ``https://``, ``s3://``, ``root://``, ``hf://``.

A `RemoteFile` is read in blocks of 16 KiB. Each block is downloaded once into a sparse local copy:
a temporary file, or (for the Hub) a file that is kept. fsspec's own disk cache, `MMapCache`, marks
blocks as present before they are downloaded, so a broken connection would leave zeros there.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from fsspec.callbacks import Callback

from steepest.errors import EventsError
from steepest.events import transfers
from steepest.events.file_systems import file_system_of
from steepest.events.retries import ATTEMPTS, NoRangesError, names_in, patiently, refusals
from steepest.events.words import listed

__all__ = [
    "CONNECTIONS",
    "FilePath",
    "RemoteFile",
    "is_url",
    "library_source",
    "remote_files",
    "size_of",
]

Range = tuple[int, int]
"""From a byte to the one after the last."""

BLOCK = 16 * 2**10
AHEAD = 64 * 2**10
"""Bytes that are downloaded when a stream reads fewer that are not present."""
REQUEST = 128 * BLOCK
"""Most bytes of one request: what is repeated if its connection breaks."""
CONNECTIONS = 8


class RemoteFile:
    """A file that is read over the network; what was read is kept in a local copy.

    `url` is its name in messages, `fs` and `path` its place in fsspec. Without a `size` it must be
    connected to before it is read. The local `copy` is a temporary file unless one is named;
    `complete` says that it has all bytes already. `download` downloads the file whole and returns
    where it is, and `errors` returns the context that turns what a server refuses into an
    `EventsError`.

    Examples
    --------
    >>> (file,) = remote_files("https://example.org/jets.parquet")  # doctest: +SKIP
    >>> file.connect()  # doctest: +SKIP
    >>> file.open().read(4)  # doctest: +SKIP
    b'PAR1'
    """

    def __init__(
        self,
        url: str,
        fs: Any,
        path: str,
        size: int | None = None,
        *,
        copy: Path | None = None,
        complete: bool = False,
        download: Callable[[], Path] | None = None,
        errors: Callable[[str], AbstractContextManager[None]] | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.url, self.fs, self.path = url, fs, path
        self.name = unquote(PurePosixPath(urlsplit(url).path).name)
        self.suffix = PurePosixPath(self.name).suffix
        self._errors = errors or partial(refusals, url)
        self._attempts = attempts
        self._download_whole = download or self._get_file
        self._record = None if complete else copy and copy.with_name(f"{copy.name}.blocks")
        if copy is None:
            handle, temporary = tempfile.mkstemp(prefix="steepest-")
            os.close(handle)
            copy = Path(temporary)
            weakref.finalize(self, copy.unlink, missing_ok=True)
        self.copy = copy
        self._connected = size is not None
        self.size = size or 0
        self._present = np.full(-(-self.size // BLOCK), complete)
        if size is not None and not complete:
            self._prepare(size)

    def __str__(self) -> str:
        return self.url

    def connect(self) -> None:
        """Ask for the size; from a server that does not know ranges, download the file.

        Raises
        ------
        EventsError
            There is no such file, it is a folder, or the server refuses or does not answer.
        """
        if self._connected:
            return
        with self._errors(""):
            info = patiently(lambda: self.fs.info(self.path), self._attempts)
            if info["type"] != "file":
                raise EventsError(
                    f"{self.url} is a folder.",
                    expected="a file, or a glob over files",
                    found=listed(names_in(self.fs, self.path), 5) or "an empty folder",
                    do=f"write {self.url.rstrip('/')}/*.parquet",
                )
        self.size = info["size"] or 0
        if self.size and info.get("partial", True):
            self._prepare(self.size)
        else:
            self._fetch_whole()
        self._connected = True

    def open(self, mode: str = "rb") -> io.RawIOBase:
        """Return a stream that downloads what is read and not yet present."""
        if mode != "rb":
            raise ValueError(f"a remote file is opened with mode 'rb', not {mode!r}")
        return _Stream(self)

    def whole(self) -> Path:
        """Download what is missing; return the local copy."""
        self.fetch([(0, self.size)])
        return self.copy

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes, downloaded with what follows if they are not present."""
        if self._missing([(start, stop)]):
            self.fetch([(start, min(max(stop, start + AHEAD), self.size))])
        with self.copy.open("rb") as stream:
            stream.seek(start)
            return stream.read(stop - start)

    def fetch(self, ranges: Iterable[Range], part: str = "") -> None:
        """Download the blocks of the ranges that are not present, over several connections.

        Raises
        ------
        EventsError
            The server refuses or does not answer; `part` says what was read. What was downloaded
            is kept.
        """
        missing = self._missing(ranges)
        if not missing:
            return
        with self._errors(part):
            try:
                self._fetch_ranges(missing)
            except NoRangesError:
                self._fetch_whole()

    def _fetch_ranges(self, ranges: Sequence[Range]) -> None:
        pool = ThreadPoolExecutor(min(CONNECTIONS, len(ranges)))
        expected, done = sum(stop - start for start, stop in ranges), 0
        transfers.requested(expected)
        try:
            for future in [pool.submit(self._fetch_range, *each) for each in ranges]:
                count = future.result()
                transfers.received(count)
                done += count
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            transfers.requested(done - expected)
            self._keep()

    def _fetch_range(self, start: int, stop: int) -> int:
        content = patiently(lambda: self._get(start, stop), self._attempts)
        with self.copy.open("r+b") as stream:
            stream.seek(start)
            stream.write(content)
        self._present[start // BLOCK : -(-stop // BLOCK)] = True
        return len(content)

    def _get(self, start: int, stop: int) -> bytes:
        with self.fs.open(
            self.path, "rb", block_size=BLOCK, cache_type="none", size=self.size
        ) as stream:
            stream.seek(start)
            try:
                content = stream.read(stop - start)
            except ValueError as error:  # HTTPFileSystem's, for an answer without a range
                raise NoRangesError(str(error)) from None
        if len(content) > stop - start:
            raise NoRangesError(f"{len(content)} bytes in place of {stop - start}")
        if len(content) < stop - start:
            raise OSError(f"{len(content)} bytes in place of {stop - start}")
        return content

    def _fetch_whole(self) -> None:
        with self._errors(""):
            self.copy = patiently(self._download_whole, self._attempts)
        self.size, self._record = self.copy.stat().st_size, None
        self._present = np.ones(-(-self.size // BLOCK), bool)

    def _get_file(self) -> Path:
        self.fs.get_file(self.path, str(self.copy), callback=_Progress())
        if self.size not in (0, size := self.copy.stat().st_size):
            raise OSError(f"{size} bytes in place of {self.size}")
        return self.copy

    def _missing(self, ranges: Iterable[Range]) -> list[Range]:
        """Return the ranges of consecutive blocks that are not present."""
        wanted = np.zeros(len(self._present), bool)
        for start, stop in ranges:
            wanted[start // BLOCK : -(-stop // BLOCK)] = True
        blocks = np.flatnonzero(wanted & ~self._present)
        runs = np.split(blocks, np.flatnonzero(np.diff(blocks) != 1) + 1) if len(blocks) else []
        return [
            (start, min(start + REQUEST, int(run[-1] + 1) * BLOCK, self.size))
            for run in runs
            for start in range(int(run[0]) * BLOCK, int(run[-1] + 1) * BLOCK, REQUEST)
        ]

    def _prepare(self, size: int) -> None:
        """Find what a kept copy has, or make an empty one of the file's size."""
        self.copy.parent.mkdir(parents=True, exist_ok=True)
        self._present = np.zeros(-(-size // BLOCK), bool)
        if not self.copy.is_file() or self.copy.stat().st_size != size:
            if self._record is not None:
                self._record.unlink(missing_ok=True)
            with self.copy.open("wb") as stream:
                stream.truncate(size)
        self._present = self._recorded()

    def _recorded(self) -> np.ndarray:
        """Return which blocks the record says are present."""
        if self._record is not None and self._record.is_file():
            present = np.fromfile(self._record, np.uint8)
            if len(present) == len(self._present):
                return present == 1
        return np.zeros(len(self._present), bool)

    def _keep(self) -> None:
        """Record the blocks that are on disk, also those that another process has added."""
        if self._record is None:
            return
        with self.copy.open("r+b") as stream:
            os.fsync(stream.fileno())
        present = self._present | self._recorded()
        draft = self._record.with_name(f"{self._record.name}.{os.getpid()}")
        draft.write_bytes(present.astype(np.uint8).tobytes())
        os.replace(draft, self._record)


FilePath = Path | RemoteFile
"""A local file, or one that is read over the network: both have `name`, `suffix` and `open`."""


def size_of(path: FilePath) -> int:
    """Return a file's bytes."""
    return path.size if isinstance(path, RemoteFile) else path.stat().st_size


def library_source(path: FilePath) -> Any:
    """Return what a library is given to read a file: the path, or a stream over the network."""
    return path.open() if isinstance(path, RemoteFile) else path


class _Stream(io.RawIOBase):
    """A seekable stream over a `RemoteFile`."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._file.size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def readinto(self, buffer: Any) -> int:
        stop = min(self._place + len(buffer), self._file.size)
        content = self._file.read(self._place, stop) if stop > self._place else b""
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)


class _Progress(Callback):
    """Reports the download of a whole file."""

    def set_size(self, size: int | None) -> None:
        transfers.requested(size or 0)

    def relative_update(self, inc: int = 1) -> None:
        transfers.received(inc)


def is_url(text: str) -> bool:
    """Whether a path names a file system of fsspec, as ``s3://`` does.

    Examples
    --------
    >>> is_url("s3://bucket/jets.parquet"), is_url("jets.root:tree")
    (True, False)
    """
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", text) is not None


def remote_files(url: str) -> list[RemoteFile]:
    """Return the file of a URL, or the files that match it, sorted by name; not connected to yet.

    Raises
    ------
    EventsError
        The server refuses or cannot be reached, or no file matches.
    MissingExtraError
        The package for this kind of URL is not installed.
    """
    with refusals(url):
        fs, path = patiently(lambda: file_system_of(url))
        if not re.search(r"[*[]", path):
            return [RemoteFile(url, fs, path)]
        found = patiently(lambda: fs.glob(path, detail=True))
    files = sorted(name for name, info in found.items() if info["type"] == "file")
    if files:
        return [RemoteFile(fs.unstrip_protocol(name), fs, name) for name in files]
    http = url.startswith("http")
    raise EventsError(
        f"No file matches {url}.",
        expected="at least one file",
        cause="most web servers do not list their files" if http else None,
        do="write the paths of the files" if http else "check the pattern",
    )
