"""The server: the page's files, and what it asks of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steepest.lab.extra import load
from steepest.lab.pages import Page, content_type
from steepest.lab.safety import Guard


def make_app(
    files: Mapping[str, Page],
    hosts: frozenset[str],
    token: str | None = None,
    api: Sequence[Any] = (),
) -> Guard:
    """Return the ASGI application.

    Parameters
    ----------
    files
        The page's files, from `pages`.
    hosts
        Values of Host that are this server's, with the port.
    token
        Which requests must carry; None on 127.0.0.1.
    api
        Routes that come before the files.
    """
    applications, responses, routing = (
        load(f"starlette.{name}") for name in ("applications", "responses", "routing")
    )

    async def file(request: Any) -> Any:
        name = request.path_params["name"] or "index.html"
        page = files.get(name)
        if page is None:
            return responses.PlainTextResponse("There is no such page.\n", status_code=404)
        headers = {"etag": page.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == page.tag:
            return responses.Response(status_code=304, headers=headers)
        return responses.Response(page.content, media_type=content_type(name), headers=headers)

    app = applications.Starlette(routes=[*api, routing.Route("/{name:path}", file)])
    return Guard(app, hosts, token)
