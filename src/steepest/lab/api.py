"""What the page asks of runs: JSON by path, changes, and server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from steepest.errors import RecipeError, SteepestError
from steepest.lab.datasets import Dataset
from steepest.lab.extra import load
from steepest.lab.processes import Processes
from steepest.lab.runs import POINTS, Runs
from steepest.lab.safety import body_of
from steepest.recipe import Recipe

SECONDS, SHARE = 1.0, 0.2
"""Between looks at a run that is training, and the part of the time that they may take."""
LONGEST = 3600
"""Events of a stream; the browser then connects again."""
HISTORIES = 2
"""Histories that are read at once: others wait, and leave the threads to the rest of the page."""
MODEL_KEYS = {"hidden", "activation", "initialization", "start"}
DESCENT_KEYS = {
    "method", "batch_size", "optimizer", "learning_rate", "schedule", "scaling", "l2", "epochs",
    "dtype", "seed", "keep", "history",
}  # fmt: skip
MOST_EPOCHS, MOST_SECONDS = 1_000_000, 3600.0


def started_recipe(asked: Any, datasets: Sequence[Dataset]) -> tuple[Recipe, str]:
    """Return the recipe that the page asks to train, on events that this lab offers.

    Raises
    ------
    RecipeError
        The events are not offered; a key is unknown, or may not be set from a page.
    """
    if not isinstance(asked, dict):
        raise RecipeError("The request is no table with data, features, model and descent.")
    dataset = next((one for one in datasets if one.name == asked.get("data")), None)
    if dataset is None:
        raise RecipeError("The page asks for events that this lab does not offer.")
    model, descent = asked.get("model", {}), asked.get("descent", {})
    for table, known in ((model, MODEL_KEYS), (descent, DESCENT_KEYS)):
        if not isinstance(table, dict) or not table.keys() <= known:
            raise RecipeError(
                "The request sets a key that a page may not set.", expected=", ".join(sorted(known))
            )
    table = dataset.recipe.to_dict()
    written = {f if isinstance(f, str) else f["name"]: f for f in table["events"]["features"] or ()}
    names = asked.get("features") or list(written)
    if not isinstance(names, list) or not all(isinstance(n, str) and n in written for n in names):
        raise RecipeError("A feature is asked for that these events do not have.")
    table["events"]["features"] = [written[name] for name in names]
    table["model"], table["descent"] = model, descent
    recipe = Recipe.from_dict(table, source="The page's settings")
    if recipe.descent.epochs != "auto" and recipe.descent.epochs > MOST_EPOCHS:
        raise RecipeError(f"The page may ask for {MOST_EPOCHS:,} epochs at most.")
    stop = recipe.descent.stop.model_copy(update={"seconds": MOST_SECONDS})
    descent_recipe = recipe.descent.model_copy(update={"stop": stop})
    return recipe.model_copy(update={"descent": descent_recipe}), dataset.name


class Api:
    """Answers to what a page asks of runs, be it by HTTP or from a notebook.

    Parameters
    ----------
    runs, processes, datasets
        The runs that are shown, where new ones are started, and the events that they may use.
    """

    def __init__(self, runs: Runs, processes: Processes, datasets: Sequence[Dataset]) -> None:
        self.runs, self.processes, self.datasets = runs, processes, datasets

    def read(self, path: str) -> dict[str, Any] | None:
        """Return what lies at a path such as ``runs/ID/history``; None if there is nothing.

        Names and identifiers are looked up in what was found: no part of a path leads to a file.

        Raises
        ------
        SteepestError
            A run is damaged.
        """
        match path.split("/"):
            case ["runs"]:
                return {"runs": self.runs.summaries(), "folders": len(self.runs.folders)}
            case ["runs", run]:
                return self.runs.detail(run)
            case ["runs", run, "history"]:
                return self.runs.history(run)
            case ["runs", run, "history", points]:
                return self.runs.history(run, _whole(points) or POINTS)
            case ["runs", run, "look", rows]:
                return self.runs.look(run, _whole(rows))
            case ["runs", run, "landscapes", name]:
                return self.runs.landscape(run, name)
            case ["differences", identifiers]:
                return self.runs.differences(identifiers.split(","))
        return None

    def change(self, action: str, asked: Any) -> dict[str, Any] | None:
        """Start, stop or resume a run; None if there is no such run.

        Raises
        ------
        SteepestError
            What is asked for may not be started, or is not running.
        """
        if action == "start":
            recipe, name = started_recipe(asked, self.datasets)
            return {"started": self.processes.start(recipe, name).name}
        identifier = asked.get("run") if isinstance(asked, dict) else None
        found = self.runs.found().get(identifier) if isinstance(identifier, str) else None
        if found is None or action not in ("stop", "resume"):
            return None
        {"stop": self.processes.stop, "resume": self.processes.resume}[action](found[1])
        return {"done": action}

    def sentence(self, error: SteepestError) -> str:
        """The message without the places of folders, which visitors need not know."""
        text = str(error)
        for folder in self.runs.folders:
            text = text.replace(str(folder.resolve()), "…").replace(str(folder), "…")
        return text


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


def routes(api: Api) -> list[Any]:
    """Return the routes below /api/."""
    responses, routing = load("starlette.responses"), load("starlette.routing")

    def refuse(sentence: str, status: int) -> Any:
        return responses.JSONResponse({"error": sentence}, status_code=status)

    def answer(work: Callable[[], Any]) -> Any:
        try:
            found = work()
        except SteepestError as error:
            return refuse(api.sentence(error), 400)
        if found is None:
            return refuse("There is no such run.", 404)
        return responses.JSONResponse(found, headers={"cache-control": "no-store"})

    in_thread = load("starlette.concurrency").run_in_threadpool
    reading = asyncio.Semaphore(HISTORIES)

    async def read(request: Any) -> Any:
        path = request.path_params["path"]
        if "history" not in path.split("/"):
            return await in_thread(answer, lambda: api.read(path))
        async with reading:
            return await in_thread(answer, lambda: api.read(path))

    async def live(request: Any) -> Any:
        identifier = request.path_params["run"]
        if identifier not in await asyncio.to_thread(api.runs.found):
            return refuse("There is no such run.", 404)
        return responses.StreamingResponse(
            _looks(api.runs, identifier),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )

    async def change(request: Any) -> Any:
        try:
            asked = json.loads(await body_of(request.receive) or b"{}")
        except (ValueError, TimeoutError) as error:
            return refuse(str(error) if "KiB" in str(error) else "The request is not JSON.", 400)
        action = request.path_params["action"]
        return await asyncio.to_thread(answer, lambda: api.change(action, asked))

    return [
        routing.Route("/api/runs/{run:str}/live", live, methods=["GET"]),
        routing.Route("/api/{action:str}", change, methods=["POST"]),
        routing.Route("/api/{path:path}", read, methods=["GET"]),
    ]


async def _looks(runs: Runs, identifier: str) -> AsyncIterator[bytes]:
    """The history of a run each time that it has grown, until it ends."""
    rows = -1
    for _ in range(LONGEST):
        began = time.monotonic()
        found = await asyncio.to_thread(runs.look, identifier, rows)
        took = time.monotonic() - began
        if found is not None:
            rows = found["history"]["rows"]
            yield f"data: {json.dumps(found, allow_nan=False)}\n\n".encode()
            if found["status"] != "training":
                return
        else:
            yield b": still here\n\n"
        await asyncio.sleep(max(SECONDS, took / SHARE))
