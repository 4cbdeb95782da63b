"""Messages about a folder: what it holds, and which of its files is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from steepest.errors import RunFolderError

__all__ = ["damage_explained", "seen"]


def seen(path: Path) -> str:
    """Return what lies at a path: no folder, a file, or a folder with its first names.

    Examples
    --------
    >>> seen(Path("nowhere"))
    'no such folder'
    """
    if not path.is_dir():
        return "a file" if path.exists() or path.is_symlink() else "no such folder"
    names = sorted(entry.name for entry in path.iterdir())
    return f"a folder with {', '.join(names[:5])}" if names else "an empty folder"


@contextmanager
def damage_explained(what: str, do: str) -> Iterator[None]:
    """Turn an error of reading into a RunFolderError; `what` names the file."""
    try:
        yield
    except RunFolderError:
        raise
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise RunFolderError(
            f"{what} is damaged.",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            cause="it was changed, or cut short by a copy",
            do=do,
        ) from error
