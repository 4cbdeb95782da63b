"""Where the scores go, what is refused before the work begins, and what was written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steepest.errors import InputError
from steepest.prediction.writers import RNTUPLE, WRITERS, Writer


@dataclass(frozen=True)
class Target:
    """A file to write, what is named inside it, and its format."""

    path: Path
    part: str
    writer: Writer

    @property
    def parts(self) -> Path:
        """The folder of what is done so far, beside the file."""
        return self.path.with_name(f".{self.path.name}.parts")

    def refuse_unwritable(self, files: Iterable[str]) -> None:
        """Raise InputError if the file cannot be written, or is one of the events' files."""
        folder = self.path.parent
        if not folder.is_dir():
            raise self._refused("an existing folder", f"no folder {folder}", f"mkdir -p {folder}")
        if self.path.is_dir():
            name = self.path / "scores.parquet"
            raise self._refused("the name of a file", "a folder of this name", f"write {name}")
        if not os.access(folder, os.W_OK | os.X_OK):
            found = "no permission to write in this folder"
            raise self._refused("a folder that can be written to", found, "give another folder")
        real = os.path.realpath(self.path)
        if any(os.path.realpath(file) == real for file in files):
            raise self._refused(
                "another file than those that are read", "one of the events' files",
                "give another --out, or narrow the glob",
            )  # fmt: skip

    def refuse_existing(self) -> None:
        """Raise InputError if there is a file already."""
        if self.path.exists():
            raise InputError(
                f"The file {self.path} exists already; it was left as it is.",
                expected="a new file name",
                found=f"a file of {self.path.stat().st_size:,} bytes",
                do="give another --out, or --overwrite to replace it",
            )

    def _refused(self, expected: str, found: str, do: str) -> InputError:
        return InputError(
            f"The scores cannot be written to {self.path}.", expected=expected, found=found, do=do
        )


def target_of(out: str | os.PathLike[str], *, as_rntuple: bool = False) -> Target:
    """Return what a path such as ``scores.parquet`` or ``scores.root:tree`` says.

    InputError if the suffix is that of no format, or names a part of a file that has none.

    Examples
    --------
    >>> target_of("scores.root:jets").part
    'jets'
    """
    text = os.path.expanduser(os.fspath(out))
    for writer in WRITERS:
        for suffix in writer.suffixes:
            at = text.lower().find(f"{suffix}:")
            name, part = (text[: at + len(suffix)], text[at + len(suffix) + 1 :]) if at > 0 else (
                text, "")  # fmt: skip
            if name.lower().endswith(suffix) and (writer.parts or not part):
                return Target(Path(name), part, _chosen(writer, as_rntuple, name))
    known = "; ".join(f"{writer.name} ({', '.join(writer.suffixes)})" for writer in WRITERS)
    raise InputError(
        f"The format of {text} is not known.",
        expected=known,
        found=repr(Path(text).suffix) if Path(text).suffix else "no suffix",
        do="give --out a name such as scores.parquet",
    )


def _chosen(writer: Writer, as_rntuple: bool, name: str) -> Writer:
    if not as_rntuple:
        return writer
    if writer.suffixes == RNTUPLE.suffixes:
        return RNTUPLE
    raise InputError(
        f"An RNTuple cannot be written to {name}.",
        expected=f"a file {' or '.join(RNTUPLE.suffixes)}",
        found=writer.name,
        do="leave --rntuple out, or give --out another name",
    )


@dataclass(frozen=True)
class Predictions:
    """What was written.

    Attributes
    ----------
    path : Path
        The file; of a file for each, as it was asked for, with ``{stem}``.
    rows, events : int
        Rows in it; events that were read. They differ by what `select` leaves out.
    unscored : int
        Rows whose score is NaN, with ``missing="nan"``.
    resumed : int
        Events that an earlier, interrupted run had done.
    seconds : float
        How long it took this time.
    scores, columns : list[str]
        The columns of scores; those that stand beside them.
    left_out : dict[str, str]
        Columns that the format cannot hold, each with its type.
    skipped : dict[str, str]
        Files that cannot be read, each with the reason, with ``on_bad_file="skip"``.
    files : list[Path]
        All files that are there now.
    """

    path: Path
    rows: int
    events: int
    unscored: int
    resumed: int
    seconds: float
    scores: list[str]
    columns: list[str]
    left_out: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Events a second, of those that were done this time."""
        return (self.events - self.resumed) / self.seconds

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        paths = {"path": str(self.path), "files": [str(path) for path in self.files]}
        return {**given, **paths, "events_per_second": self.rate}
