"""The folder of a lecture, in which each file is either complete or absent.

::

    DIR/
      lecture.json         all numbers, versioned
      lecture.html         the self-contained page
      NAME.png, NAME.pdf   the pictures
      landscape/title/     the surface of the title picture, as `steepest landscape` writes it
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from steepest.errors import RunFolderError
from steepest.folder.atomic import explained, write_atomically, write_json

__all__ = ["FORMAT", "VERSION", "LectureFolder"]

FORMAT, VERSION = "steepest-lecture", 1


class LectureFolder:
    """Writes the files of a lecture.

    Parameters
    ----------
    path
        The folder: new, empty, or the folder of an earlier lecture.

    Raises
    ------
    RunFolderError
        The folder has other files.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._refuse_foreign()

    @property
    def page(self) -> Path:
        """The path of the page."""
        return self.path / "lecture.html"

    def write_json(self, value: Any) -> None:
        """Write lecture.json."""
        with self._explained("lecture.json"):
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / "lecture.json", value)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        with self._explained(name):
            write_atomically(self.path / name, lambda file: file.write_text(text, encoding="utf-8"))

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

    def _refuse_foreign(self) -> None:
        path = self.path
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


def _is_lecture(file: Path) -> bool:
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False
