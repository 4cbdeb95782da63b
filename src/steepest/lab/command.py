"""What ``steepest lab`` does: read the events, then serve the page or write it."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

from steepest.errors import InputError
from steepest.folder.run_folder import is_run
from steepest.lab.api import Api, routes
from steepest.lab.app import make_app
from steepest.lab.datasets import Dataset, built_in, from_recipe
from steepest.lab.export import export_site
from steepest.lab.extra import load
from steepest.lab.pages import pages
from steepest.lab.processes import Processes
from steepest.lab.runs import Runs
from steepest.lab.server import LOOPBACK, hosts_of, listen, new_token, serve
from steepest.lecture import lecture_recipe
from steepest.recipe import Recipe


def datasets_of(data: Sequence[str], label: str | None, features: Sequence[str]) -> list[Dataset]:
    """Return the built-in events, after those of a recipe or of files.

    Raises
    ------
    RecipeError, EventsError
        The recipe or the events are not as they must be, or too many for a browser.
    """
    if not data:
        if label is not None or features:
            lecture_recipe((), label, features)  # refuses them without files
        return built_in()
    recipes = [path for path in data if path.endswith(".toml")]
    own = (
        [from_recipe(Recipe.from_toml(Path(path)), Path(path).stem) for path in recipes]
        if len(recipes) == len(data) and label is None and not features
        else [from_recipe(lecture_recipe(data, label, features), Path(data[0]).stem)]
    )
    return [*own, *built_in()]


def run_lab(
    runs: Sequence[Path] | None,
    data: Sequence[str],
    label: str | None,
    features: Sequence[str],
    *,
    host: str,
    port: int,
    export: Path | None,
    browser: bool,
    say: Callable[[str], object],
) -> None:
    """Serve the lab until Ctrl-C, or write it to a folder."""
    if export is not None:
        if runs:
            raise InputError(
                "An exported lab has no runs: it is a page without a server.",
                expected="steepest lab --export DIR",
                found=", ".join(map(str, runs)),
                do="leave the runs out",
            )
        written = export_site(export, datasets_of(data, label, features))
        size = sum(path.stat().st_size for path in written)
        say(f"{len(written)} files, {size / 1e6:.1f} MB: open {export / 'index.html'} by a server,")
        say(f"such as `python -m http.server --directory {export}`, or put the folder on any site.")
        return
    load("starlette.applications")
    load("uvicorn")
    datasets = datasets_of(data, label, features)
    files = pages(datasets, server=True)
    given = _existing(runs)
    api = routes(Api(Runs(given), Processes(given[0]), datasets))
    token = None if host in (LOOPBACK, "localhost") else new_token()
    with listen(LOOPBACK if host == "localhost" else host, port) as listening:
        number = listening.getsockname()[1]
        address = f"http://{host}:{number}/" + (f"?token={token}" if token else "")
        say(f"The lab is at {address} (Ctrl-C ends it).")
        if browser and token is None:
            webbrowser.open(address)
        serve(make_app(files, hosts_of(number), token, api), listening)


def _existing(runs: Sequence[Path] | None) -> list[Path]:
    """The folders of runs: those that are given, which must exist, or runs/.

    New runs go into the first; where that is a run, into the folder around it.
    """
    for folder in runs or ():
        if not folder.is_dir():
            raise InputError(
                f"There is no folder {folder}.",
                expected="runs, or folders with runs in them",
                do="check the path; left out, it is runs/",
            )
    given = list(runs or [Path("runs")])
    if is_run(given[0]):
        given.insert(0, given[0].absolute().parent)
    return given
