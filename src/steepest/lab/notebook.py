"""The lab in a notebook: the same page, in a frame below the cell.

The page's files and all that it asks for come as messages of the notebook, so that it needs no
server and no port, and works where only the notebook can be reached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from steepest.errors import SteepestError
from steepest.events import extra
from steepest.lab.api import Api
from steepest.lab.command import datasets_of
from steepest.lab.pages import Page, pages, static_files
from steepest.lab.processes import Processes
from steepest.lab.runs import Runs, identifier_of

HEIGHT = 900
"""Pixels of the frame."""
_SCRIPT = "notebook.js"
_TEXTS = (".html", ".css", ".js", ".svg")


def playground(
    *data: str, label: str | None = None, features: tuple[str, ...] = (), height: int = HEIGHT
) -> Any:
    """Show the playground in a notebook, as `steepest lab` shows it in the browser.

    Parameters
    ----------
    data
        Recipes (``.toml``), whose events are used, or files of events; the built-in ones follow.
    label, features
        Of files: the label, and the features, all numbers if left out.
    height
        Of the frame, in pixels.

    Returns
    -------
    anywidget.AnyWidget
        What a notebook shows as the last line of a cell.

    Raises
    ------
    MissingExtraError
        The extra ``[notebook]`` is not installed.
    RecipeError, EventsError
        The recipe or the events are not as they must be, or too many for a browser.

    Examples
    --------
    >>> import steepest.lab
    >>> steepest.lab.playground()  # doctest: +SKIP
    """
    files = pages(datasets_of(data, label, features), server=False)
    return widget(answers(files, None), "#play", height)


def show_run(run: Path, height: int = HEIGHT) -> Any:
    """Show a run in a notebook, among those of its folder, with the playground beside it.

    Raises
    ------
    MissingExtraError
        The extra ``[notebook]`` is not installed.
    """
    folder, datasets = run.absolute().parent, datasets_of((), None, ())
    api = Api(Runs([folder]), Processes(folder), datasets)
    return widget(answers(pages(datasets, server=True), api), f"#runs/{identifier_of(run)}", height)


Answer = Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[bytes]]]


def answers(files: Mapping[str, Page], api: Api | None) -> Answer:
    """Return what answers a message of the page: its reply, and bytes that come with it.

    A message has ``id``, ``kind`` ("read", "bytes" or "post"), ``path`` and ``body``; the reply the
    same ``id``, and ``found`` or ``error``, a sentence.
    """

    def answer(asked: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        reply = {"id": asked.get("id")}
        kind, path = asked.get("kind"), str(asked.get("path"))
        try:
            if kind == "bytes" and path in files:
                return reply, [files[path].content]
            found = _found(kind, path, asked.get("body"))
        except SteepestError as error:
            return {**reply, "error": api.sentence(error) if api else str(error)}, []
        if found is None and "/look/" not in path:
            return {**reply, "error": "There is no such run, or file."}, []
        return {**reply, "found": found}, []

    def _found(kind: Any, path: str, body: Any) -> Any:
        if kind == "read" and path == "files":
            texts = {name: page for name, page in files.items() if name.endswith(_TEXTS)}
            return {name: page.content.decode() for name, page in texts.items()}
        if kind == "read" and path in files:
            return json.loads(files[path].content)
        if api is not None and kind == "read" and path.startswith("api/"):
            return api.read(path.removeprefix("api/"))
        if api is not None and kind == "post":
            return api.change(path, body)
        return None

    return answer


def widget(answer: Answer, view: str, height: int) -> Any:
    """Return the widget, whose front end is ``static/notebook.js``."""
    anywidget = extra.load("anywidget", "notebook", "The lab in a notebook")
    traitlets = extra.load("traitlets", "notebook", "The lab in a notebook")

    class Lab(anywidget.AnyWidget):
        _esm = static_files()[_SCRIPT].decode()
        view = traitlets.Unicode("#play").tag(sync=True)
        height = traitlets.Int(HEIGHT).tag(sync=True)

    def answered(shown: Any, asked: Any, buffers: Any) -> None:
        reply, given = answer(asked if isinstance(asked, dict) else {})
        shown.send(reply, given)

    made = Lab(view=view, height=height)
    made.on_msg(answered)
    return made
