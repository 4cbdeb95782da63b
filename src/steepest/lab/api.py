"""What the page asks of runs: JSON, and server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from steepest.errors import RecipeError, SteepestError
from steepest.lab.datasets import Dataset
from steepest.lab.extra import load
from steepest.lab.processes import Processes
from steepest.lab.runs import Runs
from steepest.lab.safety import body_of
from steepest.recipe import Recipe

SECONDS = 1.0
"""Between looks at a run that is training."""
LONGEST = 3600
"""Events of a stream; the browser then connects again."""
MOST_STREAMS = 128
MODEL_KEYS = {"hidden", "activation", "initialization"}
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


def routes(runs: Runs, processes: Processes, datasets: Sequence[Dataset]) -> list[Any]:
    """Return the routes below /api/."""
    responses, routing = load("starlette.responses"), load("starlette.routing")
    streams = 0

    def answer(work: Callable[[], Any]) -> Any:
        try:
            found = work()
        except SteepestError as error:
            return responses.JSONResponse({"error": _sentence(error, runs)}, status_code=400)
        if found is None:
            return responses.JSONResponse({"error": "There is no such run."}, status_code=404)
        return responses.JSONResponse(found, headers={"cache-control": "no-store"})

    def listing(request: Any) -> Any:
        return answer(lambda: {"runs": runs.summaries(), "folders": len(runs.folders)})

    def detail(request: Any) -> Any:
        identifier = request.path_params["run"]
        return answer(lambda: runs.detail(identifier))

    def history(request: Any) -> Any:
        given = request.query_params.get("points", "1500")
        points = int(given) if given.isdigit() and len(given) < 6 else 1500
        return answer(lambda: runs.history(request.path_params["run"], points))

    def differences(request: Any) -> Any:
        identifiers = request.query_params.get("runs", "").split(",")
        return answer(lambda: runs.differences(identifiers))

    async def live(request: Any) -> Any:
        nonlocal streams
        identifier = request.path_params["run"]
        if identifier not in runs.found():
            return responses.JSONResponse({"error": "There is no such run."}, status_code=404)
        if streams >= MOST_STREAMS:
            return responses.JSONResponse({"error": "Too many pages look on."}, status_code=429)

        async def events() -> AsyncIterator[bytes]:
            nonlocal streams
            streams += 1
            try:
                async for event in _looks(runs, identifier):
                    yield event
            finally:
                streams -= 1

        headers = {"cache-control": "no-store"}
        return responses.StreamingResponse(
            events(), media_type="text/event-stream", headers=headers
        )

    async def change(request: Any) -> Any:
        try:
            asked = json.loads(await body_of(request.receive) or b"{}")
        except (ValueError, TimeoutError) as error:
            sentence = str(error) if "KiB" in str(error) else "The request is not JSON."
            return responses.JSONResponse({"error": sentence}, status_code=400)
        action = request.path_params["action"]
        return await asyncio.to_thread(answer, lambda: _change(action, asked))

    def _change(action: str, asked: Any) -> Any:
        if action == "start":
            recipe, name = started_recipe(asked, datasets)
            return {"started": processes.start(recipe, name).name}
        identifier = asked.get("run") if isinstance(asked, dict) else None
        found = runs.found().get(identifier) if isinstance(identifier, str) else None
        if found is None:
            return None
        {"stop": processes.stop, "resume": processes.resume}[action](found[1])
        return {"done": action}

    get, post = ["GET"], ["POST"]
    return [
        routing.Route("/api/runs", listing, methods=get),
        routing.Route("/api/differences", differences, methods=get),
        routing.Route("/api/runs/{run:str}", detail, methods=get),
        routing.Route("/api/runs/{run:str}/history", history, methods=get),
        routing.Route("/api/runs/{run:str}/live", live, methods=get),
        *(
            routing.Route(f"/api/{action}", _bound(change, action), methods=post)
            for action in ("start", "stop", "resume")
        ),
    ]


def _bound(change: Any, action: str) -> Any:
    async def endpoint(request: Any) -> Any:
        request.path_params["action"] = action
        return await change(request)

    return endpoint


async def _looks(runs: Runs, identifier: str) -> AsyncIterator[bytes]:
    """The history of a run each time that it has grown, until it ends."""
    rows = -1
    for _ in range(LONGEST):
        found = await asyncio.to_thread(_look, runs, identifier, rows)
        if found is not None:
            rows = found["history"]["rows"]
            yield f"data: {json.dumps(found, allow_nan=False)}\n\n".encode()
            if found["status"] != "training":
                return
        else:
            yield b": still here\n\n"
        await asyncio.sleep(SECONDS)


def _look(runs: Runs, identifier: str, rows: int) -> dict[str, Any] | None:
    try:
        summary = runs.summary(identifier)
    except SteepestError:
        summary = None
    if summary is None:
        return {"status": "gone", "history": {"rows": 0, "columns": {}}}
    history, status = runs.history(identifier), summary["status"]
    if history is None or (history["rows"] == rows and status == "training"):
        return None
    return {"status": status, "history": history}


def _sentence(error: SteepestError, runs: Runs) -> str:
    """The message without the places of folders, which visitors need not know."""
    text = str(error)
    for folder in runs.folders:
        text = text.replace(str(folder.resolve()), "…").replace(str(folder), "…")
    return text
