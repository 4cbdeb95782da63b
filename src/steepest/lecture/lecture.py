"""All pictures of a lecture, one after the other, and the page: `draw`.

A picture is a module with ``NAME``, ``TITLE``, ``compute(data, seed, effort, callback)`` → numbers,
``figure(numbers)`` → a Matplotlib figure that draws these alone, and ``text(numbers)`` → sentences.
`title` has its landscape's files besides, and is told where they go. They lie in a folder that is
new, empty, or left by an earlier lecture::

    DIR/
      lecture.json         all numbers, versioned
      lecture.html         the page, without outside references
      NAME.png, NAME.pdf   the pictures
      landscape/title/     the surface of the title's picture, as `steepest landscape` writes it
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from threadpoolctl import threadpool_limits

from steepest._version import __version__
from steepest.errors import Interrupted, RunFolderError
from steepest.evaluate.figures import as_numbers
from steepest.folder.atomic import explained, write_atomically, write_json
from steepest.lecture import (
    batches,
    contours,
    escapes,
    logistic,
    minima,
    rates,
    section,
    seven_steps,
    title,
)
from steepest.lecture.data import Effort, LectureData, NotFound, load
from steepest.lecture.page import render
from steepest.recipe import Recipe
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible

__all__ = ["PICTURES", "Lecture", "LectureFolder", "draw"]

FORMAT, VERSION = "steepest-lecture", 1
PICTURES = (section, logistic, rates, minima, title, contours, batches, escapes)


class LectureFolder:
    """Writes what a lecture leaves, each file whole or not at all.

    Raises
    ------
    RunFolderError
        Something that is no lecture lies there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._refuse_foreign()

    def write_numbers(self, numbers: dict[str, Any]) -> None:
        """Write lecture.json, and the page with the figures that lie here."""
        with self._explained("lecture.json"):
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / "lecture.json", numbers)
        page = render(self.path, numbers)
        self.write("lecture.html", lambda file: file.write_text(page, encoding="utf-8"))

    def write(self, name: str, save: Callable[[Path], object]) -> None:
        """Let `save` write a file."""
        with self._explained(name):
            write_atomically(self.path / name, save)

    def remove_picture(self, name: str) -> None:
        """Remove what an earlier lecture drew under this name."""
        with self._explained(name):
            for kind in ("png", "pdf"):
                (self.path / f"{name}.{kind}").unlink(missing_ok=True)

    def _explained(self, name: str):
        return explained(f"Writing {name}", self.path, "then give the same command again")

    def _refuse_foreign(self) -> None:
        path = self.path
        if path.is_dir() and (not any(path.iterdir()) or _is_lecture(path / "lecture.json")):
            return
        if path.exists() or path.is_symlink():
            found = "a file"
            if path.is_dir():
                found = f"a folder with {min(entry.name for entry in path.iterdir())}"
            raise RunFolderError(
                f"{path} is not empty, and holds no lecture.",
                expected="a new or empty folder, or one that `steepest lecture` made",
                found=found,
                do="choose another with --out",
            )


def _is_lecture(file: Path) -> bool:
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


@dataclass(frozen=True)
class Lecture:
    """A lecture that was drawn: its folder, and what its lecture.json holds."""

    folder: LectureFolder
    numbers: dict[str, Any]

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder.path / "lecture.html"


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
        Its ``[events]`` say which events, features and label; see `lecture_recipe`.
    out
        A new or empty folder, or one that an earlier lecture left.
    seed
        Of the events that are drawn, the starts and the orders: same seed, same pictures.
    effort
        How much work to do; None is that of a slide.
    callback
        Progress.

    Returns
    -------
    Lecture

    Raises
    ------
    RunFolderError
        Something else lies in the folder.
    EventsError
        The events cannot be read, or no lecture can be drawn from them.
    Interrupted
        After Ctrl-C: the pictures so far are on the page.
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
            folder.write_numbers(numbers)
            callback.stage("The seven steps")
            steps = seven_steps.compute(data, seed, effort, callback)
            numbers["seven_steps"] = {
                "rows": seven_steps.rows(steps),
                "text": seven_steps.text(steps),
                "numbers": as_numbers(steps),
            }
            for number, picture in enumerate(PICTURES, start=1):
                callback.stage(f"{number}/{len(PICTURES)} {picture.TITLE}")
                if callback.interrupted:
                    raise Interrupted("Interrupted.")
                numbers["pictures"][picture.NAME] = _picture(
                    picture, data, seed, effort, callback, folder
                )
                folder.write_numbers(numbers)
            numbers["status"] = "complete"
        except Interrupted:
            done = len(numbers["pictures"])
            raise Interrupted(
                f"Interrupted: {done} of {len(PICTURES)} pictures are drawn.",
                found=f"they are kept in {folder.path}",
                do="give the same command again to draw all of them",
            ) from None
        finally:
            folder.write_numbers(numbers)
    return Lecture(folder, numbers)


def _picture(
    picture: ModuleType,
    data: LectureData,
    seed: int,
    effort: Effort,
    callback: TrainingCallback,
    folder: LectureFolder,
) -> dict[str, Any]:
    """Compute, draw and say; what is not in the events is said in place of a picture."""
    from steepest.evaluate.figures import save

    began = time.monotonic()
    files = (folder.path,) if picture is title else ()
    folder.remove_picture(picture.NAME)
    said: dict[str, Any]
    try:
        numbers = picture.compute(data, seed, effort, callback, *files)
        figure = picture.figure(numbers)
        for kind in ("png", "pdf"):
            folder.write(f"{picture.NAME}.{kind}", lambda file: save(figure, file))
        said = {
            "figure": f"{picture.NAME}.png",
            "text": picture.text(numbers),
            "numbers": picture.to_json(numbers) if picture is title else as_numbers(numbers),
        }
    except NotFound as missing:
        callback.say(f"{picture.TITLE}: {missing}.")
        text = [f"Not in these events: {missing}."]
        said = {"figure": None, "text": text, "numbers": None}
    return {"title": picture.TITLE, **said, "seconds": time.monotonic() - began}
