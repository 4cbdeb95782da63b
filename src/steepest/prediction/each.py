"""A file of scores for each file of events: friends of theirs, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from steepest.errors import EventsError, InputError, Interrupted
from steepest.events import EventSource, open_events
from steepest.events.words import counted, listed
from steepest.prediction.parts import GO_ON
from steepest.prediction.target import Predictions

STEM = "{stem}"
"""In the path of scores: the name of the file of events, without folder and suffix."""


def predict_each(
    one: Callable[..., Predictions], events: Any, out: str, options: dict[str, Any]
) -> Predictions:
    """Score each file with `one`; a complete file is kept when the work is resumed.

    Raises
    ------
    InputError
        Two files of events have one name.
    Interrupted
        After Ctrl-C; complete files are kept.
    """
    callback, skip = options["callback"], options["on_bad_file"] == "skip"
    source = open_events(events, "", options["on_bad_file"])
    for note in source.notes[:1] if source.skipped else ():
        callback.say(note)
    targets = [out.replace(STEM, Path(name).stem) for name in source.files]
    _refuse_twice(source, targets)
    skipped, done = dict(source.skipped), list[Any]()
    for number, (file, target) in enumerate(zip(_named(source), targets, strict=True)):
        if source.file_rows[number] == 0:
            callback.say(f"{file} has no event, and gets no scores.")
            continue
        try:
            done.append(one(file, target, **options, keep=options["resume"]))
        except EventsError as error:
            if not (skip and error.bad_files):
                raise
            skipped |= error.bad_files
            callback.say(f"{file} cannot be read, and gets no scores.")
        except Interrupted as error:
            raise type(error)(
                f"Interrupted at {file}: {error.what}",
                found=f"{counted(len(done), 'complete file')} of {len(targets)}",
                do=GO_ON,
            ) from None
    if not done:
        raise EventsError(
            "None of the files can be scored.", found=listed(list(skipped.values()), 3)
        )
    return replace(
        done[0],
        path=Path(out),
        rows=sum(each.rows for each in done),
        events=sum(each.events for each in done),
        unscored=sum(each.unscored for each in done),
        resumed=sum(each.resumed for each in done),
        seconds=sum(each.seconds for each in done),
        left_out={name: why for each in done for name, why in each.left_out.items()},
        skipped=skipped,
        files=[path for each in done for path in each.files],
    )


def _named(source: EventSource) -> list[str]:
    """Return each file with the part that is read inside it."""
    insides = (getattr(file, "inside", "") for file in source.opened)
    return [f"{file}:{part}" if part else file
            for file, part in zip(source.files, insides, strict=True)]  # fmt: skip


def _refuse_twice(source: EventSource, targets: list[str]) -> None:
    twice = [target for target, count in Counter(targets).items() if count > 1]
    if twice:
        of = [name for name, target in zip(source.files, targets, strict=True) if target in twice]
        raise InputError(
            f"Scores of {len(of)} files would be written to {twice[0]}.",
            expected="files of events with different names",
            found=listed(of, 4),
            do="call predict for each folder, with another --out",
        )
