"""Listening: on 127.0.0.1, or with a token on other addresses."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from steepest.errors import InputError
from steepest.lab.extra import load
from steepest.lab.safety import Guard

LOOPBACK = "127.0.0.1"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any free one.

    Raises
    ------
    InputError
        The port is taken, or there is no such address.
    """
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise InputError(
            f"The lab cannot listen on {host}, port {port}.",
            found=error.strerror or str(error),
            cause="another lab, or another program, uses this port",
            do="choose another with --port; --port 0 takes any free one",
        ) from None


def hosts_of(port: int) -> frozenset[str]:
    """Values of the header Host by which a browser on this machine asks for the lab."""
    return frozenset(f"{name}:{port}" for name in (LOOPBACK, "localhost"))


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(24)


def serve(app: Guard, listening: socket.socket) -> None:
    """Answer until Ctrl-C."""
    # asyncio warns of each piece that is sent to a visitor who has left: one could fill a terminal
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    _server(app).run(sockets=[listening])


@contextmanager
def served(app: Guard, listening: socket.socket) -> Iterator[str]:
    """Answer in another thread while the context lasts; yields the address."""
    server = _server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    if not server.started:  # the socket would take connections that nobody answers
        listening.close()
        raise RuntimeError("The lab's server ended before it began to answer.")
    try:
        yield "http://{}:{}".format(*listening.getsockname()[:2])
    finally:
        server.should_exit = True
        thread.join(10)


def _server(app: Guard):
    uvicorn, http = load("uvicorn"), load("uvicorn.protocols.http.h11_impl")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        http=app.connections.protocol(http.H11Protocol),
        ws="none",
        lifespan="off",
        timeout_keep_alive=20,
        timeout_graceful_shutdown=2,
        limit_concurrency=900,
        h11_max_incomplete_event_size=16 * 1024,
    )
    return uvicorn.Server(config)
