"""A run on the Hub: its model, its card and its pictures."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steepest.folder import RunFolder
from steepest.folder.files import write_text
from steepest.folder.hub import repository
from steepest.folder.manifest import Manifest
from steepest.share.card import card_of_run, eval_results
from steepest.share.models import save_run
from steepest.share.upload import CARD, Published, Target, publish


@dataclass(frozen=True)
class Prepared:
    """What would be uploaded: the size of each file, and the card."""

    files: dict[str, int]
    card: str


def share_run(
    run: str | Path,
    target: Target,
    *,
    license: str | None = None,
    merits: Sequence[str] | None = None,
) -> Published:
    """Upload the model of a run, with its card.

    Raises
    ------
    RunFolderError
        The run is not complete, or damaged.
    InputError
        The card would claim what the run does not hold; the Hub refuses, cannot be reached, or
        holds something else at this name.
    MissingExtraError
        huggingface_hub is not installed.
    """
    repository(target.repo)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        write_shared(run, folder, target.repo, license=license, merits=merits)
        return publish(folder, target)


def prepare(
    run: str | Path,
    repo: str,
    *,
    license: str | None = None,
    merits: Sequence[str] | None = None,
) -> Prepared:
    """Return what `share_run` would upload; nothing is sent, and the Hub is not asked."""
    repository(repo)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        write_shared(run, folder, repo, license=license, merits=merits)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}
        return Prepared(sizes, (folder / CARD).read_text(encoding="utf-8"))


def write_shared(
    run: str | Path,
    folder: Path,
    repo: str,
    *,
    license: str | None = None,
    merits: Sequence[str] | None = None,
) -> None:
    """Write the folder that is uploaded: the model, README.md, pictures, ``.eval_results``."""
    given = RunFolder(run)
    pictures = _pictures(given)
    card = card_of_run(given, repo, license=license, merits=merits, pictures=list(pictures))
    texts = {CARD: card, **eval_results(given, merits)}
    save_run(given, folder)
    manifest = Manifest(folder, f"the model {folder}", "share it again")
    for name, picture in pictures.items():
        manifest.write(name, lambda file, picture=picture: shutil.copyfile(picture, file))
    for name, text in texts.items():
        manifest.write(name, lambda file, text=text: write_text(file, text))


def _pictures(run: RunFolder) -> dict[str, Path]:
    """The ROC curve and the newest landscape, where they are drawn, by their place in the folder.

    Examples
    --------
    >>> _pictures(RunFolder("runs/top-jets-1")).keys()  # doctest: +SKIP
    dict_keys(['figures/roc.png', 'figures/landscape.png'])
    """
    found = {}
    roc = run.path / "figures" / "roc.png"
    if roc.is_file():
        found["figures/roc.png"] = roc
    drawn = sorted(
        (run.path / "landscape").glob("*/*.png"), key=lambda file: (file.stat().st_mtime, file.name)
    )
    chosen = [file for file in drawn if file.stem in ("contour", "surface", "line")] or drawn
    if chosen:
        found["figures/landscape.png"] = chosen[-1]
    return found
