"""All pictures of a lecture, and the page: `draw`.

A picture is a module with ``NAME``, ``TITLE``, ``compute(data, seed, effort, callback)``, which
returns the numbers, ``figure(numbers)``, which draws them, and ``text(numbers)``, which explains
them in sentences. It may have ``table(numbers)``, which returns a header and rows of text. `title`
also writes the files of its landscape, and takes their folder as an argument.
The folder of a lecture is new, empty, or the folder of an earlier lecture::

    DIR/
      lecture.json         all numbers, versioned
      lecture.html         the self-contained page
      NAME.png, NAME.pdf   the pictures
      landscape/title/     the surface of the title picture, as `steepest landscape` writes it
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from threadpoolctl import threadpool_limits

from steepest._version import __version__
from steepest.errors import Interrupted, RunFolderError
from steepest.evaluate.figures import as_numbers, stated_units
from steepest.folder.files import explained, write_atomically, write_json
from steepest.lecture import (
    batches,
    contours,
    escapes,
    logistic,
    minima,
    rates,
    section,
    seven_steps,
    spectrum,
    title,
)
from steepest.lecture.data import Effort, LectureData, NotFound, load
from steepest.recipe import Recipe
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible

FORMAT, VERSION = "steepest-lecture", 2
PICTURES = (section, logistic, rates, spectrum, minima, title, contours, batches, escapes)
_TABLES = {"batches": batches.table, "escapes": escapes.table}


class LectureFolder:
    """Writes the files of a lecture; each file is either complete or absent.

    RunFolderError if the folder has other files.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path = Path(path)
        if path.is_dir() and (not any(path.iterdir()) or _is_lecture(path / "lecture.json")):
            return
        if path.exists() or path.is_symlink():
            found = "a file"
            if path.is_dir():
                found = f"a folder with {min(entry.name for entry in path.iterdir())}"
            raise RunFolderError(
                f"{path} is not empty, and is not the folder of a lecture.",
                expected="a new or empty folder, or one that `steepest lecture` made",
                found=found,
                do="choose another with --out",
            )

    def write_numbers(self, numbers: dict[str, Any]) -> None:
        """Write lecture.json, and the page with the figures that lie here."""
        with self._explained("lecture.json"):
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / "lecture.json", numbers)
        page = _rendered("page.html.jinja", numbers, folder=self.path)
        self.write("lecture.html", lambda file: file.write_text(page, encoding="utf-8"))

    def write(self, name: str, save: Callable[[Path], object]) -> None:
        """Write a file by calling `save`."""
        with self._explained(name):
            write_atomically(self.path / name, save)

    def remove_picture(self, name: str) -> None:
        """Remove the picture of this name from an earlier lecture."""
        with self._explained(name):
            for kind in ("png", "pdf"):
                (self.path / f"{name}.{kind}").unlink(missing_ok=True)

    def _explained(self, name: str):
        return explained(f"Writing {name}", self.path, "then give the same command again")


def _is_lecture(file: Path) -> bool:
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


@dataclass(frozen=True)
class Lecture:
    """A finished lecture: its folder, and the content of lecture.json."""

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

    Of the recipe only ``[events]`` is used, see `lecture_recipe`. `out` is a new or empty
    folder, or that of an earlier lecture: RunFolderError if it has other files. The seed is
    that of the drawn events, the starts and the orders of the events. EventsError if the events
    cannot be read or are not suitable; Interrupted after Ctrl-C, with the pictures so far on
    the page.
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
    with (
        threadpool_limits(limits=1, user_api="blas"),
        interruptible(callback),
        stated_units(data.train.units),
    ):
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
    """Compute and draw a picture; if the events do not show it, return the reason instead."""
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


def chapter(numbers: dict[str, Any], figures: str = "") -> str:
    """Return the page as Markdown; `figures` is a prefix of all links, such as ``"pictures/"``."""
    return _rendered("chapter.md.jinja", numbers, figures=figures)


def _rendered(
    template: str, numbers: dict[str, Any], *, folder: Path | None = None, figures: str = ""
) -> str:
    """Fill a template with the content of lecture.json; embed the figures of `folder`."""
    environment = Environment(
        loader=PackageLoader("steepest.lecture", "."),
        autoescape=".html" in template,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _markdown_cell
    sections = []
    for name, picture in numbers["pictures"].items():
        table = _TABLES.get(name) if picture["numbers"] is not None else None
        source = None
        if folder is not None and picture["figure"]:
            content = base64.b64encode((folder / picture["figure"]).read_bytes())
            source = f"data:image/png;base64,{content.decode('ascii')}"
        rows = table(picture["numbers"]) if table else None
        sections.append({"name": name, **picture, "source": source, "table": rows})
    data = numbers["data"]
    files = ", ".join(file["name"] for file in data["source"].get("files", [])[:3])
    counts = " and ".join(f"{count:,} {part}" for part, count in data["events"].items())
    events = f"{files} ({counts} events; {data['classes'][1]} against {data['classes'][0]})"
    return environment.get_template(template).render(
        lecture=numbers, steps=numbers["seven_steps"], sections=sections, events=events,
        figures=figures,
    )  # fmt: skip


def _markdown_cell(text: str) -> str:
    """Escape text for a cell of a Markdown table."""
    for mark in ("\\", "|", "*", "_", "<"):
        text = text.replace(mark, f"\\{mark}")
    return text
