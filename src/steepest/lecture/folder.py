"""A lecture's folder: new, empty, or one that an earlier lecture left; each file whole or absent.

::

    DIR/
      lecture.json         all numbers, versioned
      lecture.html         the page, without outside references
      NAME.png, NAME.pdf   the pictures
      landscape/title/     the surface of the title's picture, as `steepest landscape` writes it
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
    """Writes what a lecture leaves.

    Parameters
    ----------
    path
        The folder; it need not be there.

    Raises
    ------
    RunFolderError
        Something that is no lecture lies there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._refuse_foreign()

    @property
    def page(self) -> Path:
        """Where the page is."""
        return self.path / "lecture.html"

    def write_json(self, value: Any) -> None:
        """Write lecture.json."""
        with self._explained("lecture.json"):
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / "lecture.json", value)

    def write_text(self, name: str, text: str) -> None:
        """Write a file of text."""
        with self._explained(name):
            write_atomically(self.path / name, lambda file: file.write_text(text, encoding="utf-8"))

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
