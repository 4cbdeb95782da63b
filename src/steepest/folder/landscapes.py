"""``RUN/landscape/NAME/``: written here alone, each file whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from steepest.errors import InputError, RunFolderError
from steepest.folder.files import explained, json_text, write_text
from steepest.folder.manifest import Manifest


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
        self.manifest = Manifest(self.path, whose, "draw it anew, with another --name")

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
