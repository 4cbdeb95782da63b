"""All pictures of a lecture, and the page: `draw`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from threadpoolctl import threadpool_limits

from steepest._version import __version__
from steepest.errors import Interrupted
from steepest.evaluate.figures import as_numbers
from steepest.lecture import seven_steps
from steepest.lecture.data import LectureData, load
from steepest.lecture.effort import Effort
from steepest.lecture.errors import NotFound
from steepest.lecture.folder import FORMAT, VERSION, LectureFolder
from steepest.lecture.page import render
from steepest.lecture.pictures import PICTURES, title
from steepest.recipe import Recipe
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible

__all__ = ["Lecture", "draw"]


@dataclass(frozen=True)
class Lecture:
    """A finished lecture: its folder, and the content of lecture.json."""

    folder: LectureFolder
    numbers: dict[str, Any]

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder.page


def draw(
    recipe: Recipe,
    out: str | Path,
    *,
    seed: int = 0,
    effort: Effort | None = None,
    callback: TrainingCallback | None = None,
) -> Lecture:
    """Draw the pictures from live runs on the events of a recipe, and write the page.

    Parameters
    ----------
    recipe
        The recipe, of which only ``[events]`` is used; see `lecture_recipe`.
    out
        A new or empty folder, or that of an earlier lecture.
    seed
        Seed of the drawn events, the starts and the orders of the events.
    effort
        The amount of computation; None uses the defaults.
    callback
        Is notified of the progress.

    Returns
    -------
    Lecture

    Raises
    ------
    RunFolderError
        The folder has other files.
    EventsError
        The events cannot be read, or are not suitable for a lecture.
    Interrupted
        After Ctrl-C; the page has the pictures so far.
    """
    callback, effort = callback or TrainingCallback(), effort or Effort()
    folder = LectureFolder(out)
    data = load(recipe, callback, folder.path)
    numbers: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "steepest": __version__,
        "status": "interrupted",
        "seed": seed,
        "data": data.to_json(),
        "seven_steps": None,
        "pictures": {},
    }
    with threadpool_limits(limits=1, user_api="blas"), interruptible(callback):
        try:
            _write(folder, numbers)
            numbers["seven_steps"] = _steps(data, seed, effort, callback)
            for number, picture in enumerate(PICTURES, start=1):
                callback.stage(f"{number}/{len(PICTURES)} {picture.TITLE}")
                _refuse_when_interrupted(callback)
                numbers["pictures"][picture.NAME] = _picture(
                    picture, data, seed, effort, callback, folder
                )
                _write(folder, numbers)
            numbers["status"] = "complete"
        except Interrupted:
            done = len(numbers["pictures"])
            raise Interrupted(
                f"Interrupted: {done} of {len(PICTURES)} pictures are drawn.",
                found=f"they are kept in {folder.path}",
                do="give the same command again to draw all of them",
            ) from None
        finally:
            _write(folder, numbers)
    return Lecture(folder, numbers)


def _steps(
    data: LectureData, seed: int, effort: Effort, callback: TrainingCallback
) -> dict[str, Any]:
    callback.stage("The seven steps")
    numbers = seven_steps.compute(data, seed, effort, callback)
    return {
        "rows": seven_steps.rows(numbers),
        "text": seven_steps.text(numbers),
        "numbers": as_numbers(numbers),
    }


def _picture(
    picture: ModuleType,
    data: LectureData,
    seed: int,
    effort: Effort,
    callback: TrainingCallback,
    folder: LectureFolder,
) -> dict[str, Any]:
    """Compute and draw a picture; if the events do not show it, return the reason instead."""
    from steepest.evaluate.figures import save

    began = time.monotonic()
    files = (folder.path,) if picture is title else ()
    folder.remove_picture(picture.NAME)
    try:
        numbers = picture.compute(data, seed, effort, callback, *files)
    except NotFound as missing:
        callback.say(f"{picture.TITLE}: {missing}.")
        return {
            "title": picture.TITLE,
            "figure": None,
            "text": [f"Not in these events: {missing}."],
            "numbers": None,
            "seconds": time.monotonic() - began,
        }
    figure = picture.figure(numbers)
    for kind in ("png", "pdf"):
        folder.write(f"{picture.NAME}.{kind}", lambda file: save(figure, file))
    return {
        "title": picture.TITLE,
        "figure": f"{picture.NAME}.png",
        "text": picture.text(numbers),
        "numbers": picture.to_json(numbers) if picture is title else as_numbers(numbers),
        "seconds": time.monotonic() - began,
    }


def _refuse_when_interrupted(callback: TrainingCallback) -> None:
    if callback.interrupted:
        raise Interrupted("Interrupted.")


def _write(folder: LectureFolder, numbers: dict[str, Any]) -> None:
    folder.write_json(numbers)
    folder.write_text("lecture.html", render(folder.path, numbers))
