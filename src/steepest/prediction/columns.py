"""Which of the events' columns are copied beside the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from steepest.errors import EventsError
from steepest.events import EventSource
from steepest.prediction.writers import Writer
from steepest.prediction.writers.plain import plain

__all__ = ["ALL", "NONE", "Copied", "copied_columns"]

ALL, NONE = "all", "none"


@dataclass(frozen=True)
class Copied:
    """The columns that are copied, and those that are left out, each with the reason.

    With `places` the file (its number, from 0) and the row (from 0) of each event are written
    instead.
    """

    fields: tuple[pa.Field, ...]
    left_out: dict[str, str]
    places: bool = False

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [field.name for field in self.fields]

    @property
    def written(self) -> list[pa.Field]:
        """The columns as they are in the file."""
        if self.places:
            return [pa.field("file", pa.int32()), pa.field("row", pa.int64())]
        return list(self.fields)


def copied_columns(source: EventSource, wanted: str | Sequence[str], writer: Writer) -> Copied:
    """Return what is copied.

    Parameters
    ----------
    source
        The events.
    wanted
        ``"all"``: every column that the format can hold; ``"none"``; or names.
    writer
        The format that is written.

    Raises
    ------
    EventsError
        A column that is named is not there, named twice, or cannot be written in the format.
    """
    if wanted == NONE:
        return Copied((), {}, places=True)
    if wanted == ALL:
        names = [name for name in source.schema.names if name not in source.repeated]
        refusals = {name: writer.refusal(name, source.schema.field(name).type) for name in names
                    if names.count(name) == 1}  # fmt: skip
        left_out = {name: why for name, why in refusals.items() if why is not None}
        return Copied(_fields(source, [n for n in names if n not in left_out], writer), left_out)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in source.schema.names:
            raise source.missing(name, " (to be copied)")
        if names.count(name) > 1:
            raise EventsError(
                f"The column {name!r} is named twice.",
                expected="each column once",
                do="remove it from --columns",
            )
        why = writer.refusal(name, source.schema.field(name).type)
        if why is not None:
            raise EventsError(
                f"The column {name!r} of {source.files[0]} cannot be written as {writer.NAME}.",
                expected="a column that the format can hold",
                found=why,
                do="leave it out of --columns, or write Parquet",
            )
    return Copied(_fields(source, names, writer), {})


def _fields(source: EventSource, names: list[str], writer: Writer) -> tuple[pa.Field, ...]:
    """Return the columns, as Arrow has them where the format holds all of that, else plain."""
    source.require(names)
    fields = [source.schema.field(name) for name in names]
    if writer.NAME == "Parquet":
        return tuple(fields)
    return tuple(pa.field(field.name, plain(field.type)) for field in fields)
