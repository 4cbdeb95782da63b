"""``RUN/landscape/NAME/``: written here alone, each file whole or not at all."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from steepest.errors import InputError, RunFolderError
from steepest.folder.files import damage_explained, explained, json_text, parse_json, write_text
from steepest.folder.manifest import Manifest

DONE = "landscape.json"
"""Written last."""
_DO = "draw it anew, with another --name"


def finished_landscapes(run: Path) -> list[str]:
    """Return the names of a run's landscapes whose numbers are written."""
    place = run / "landscape"
    if not place.is_dir():
        return []
    return sorted(folder.name for folder in place.iterdir() if (folder / DONE).is_file())


class LandscapeFolder:
    """The files of one landscape of a run.

    InputError unless the name has letters, digits, ``-``, ``_`` and ``.`` alone.
    """

    def __init__(self, run: Path, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
            raise InputError(
                f"{name!r} cannot be the name of a landscape.",
                expected="letters, digits, '-', '_' and '.', at most 100 of them",
                found=repr(name),
                do="--name first",
            )
        self.path = run / "landscape" / name
        whose = f"the landscape {name} of the run {run}"
        self.manifest = Manifest(self.path, whose, _DO)

    def write(self, name: str, save: Callable[[Path], object]) -> None:
        """Let `save` write a file."""
        with explained(f"Writing {name}", self.path, "the same command goes on where it was"):
            self.manifest.write(name, save)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file."""
        text = json_text(value)
        self.write(name, lambda file: write_text(file, text))

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray], about: Any = None) -> None:
        """Write arrays, with what else is to be known of them, as safetensors."""
        metadata = None if about is None else {"steepest": json.dumps(about)}
        self.write(name, lambda file: save_file(arrays, file, metadata))

    def read_numbers(self) -> dict[str, Any]:
        """Return landscape.json; RunFolderError if it is damaged."""
        with damage_explained(f"{self.path / DONE}", _DO):
            return parse_json(self.manifest.read(DONE))

    def read_table(self, name: str) -> pa.Table | None:
        """Return a Parquet file; None if there is none, RunFolderError if it is damaged."""
        if not (self.path / name).exists():
            return None
        with damage_explained(f"{self.path / name}", _DO):
            return pq.read_table(io.BytesIO(self.manifest.read(name)))

    def read_arrays(self, name: str) -> tuple[dict[str, np.ndarray], Any] | None:
        """Arrays and what is known of them; None if the file is not there or is damaged."""
        file = self.path / name
        if not file.exists():
            return None
        try:
            self.manifest.read(name)
            with safe_open(file, framework="numpy") as opened:
                about = json.loads((opened.metadata() or {}).get("steepest", "null"))
                return {key: opened.get_tensor(key) for key in opened.keys()}, about  # noqa: SIM118
        except (OSError, ValueError, SafetensorError, RunFolderError):
            return None

    def remove(self, names: tuple[str, ...]) -> None:
        """Remove files of an earlier landscape of this name."""
        self.manifest.forget(names)
