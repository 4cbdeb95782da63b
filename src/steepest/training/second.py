"""A second process beside this one, for work that two threads of one Python cannot do at once.

It is another Python that imports the same packages: nothing is forked, and nothing that the caller
runs is run again. Where it cannot be started, or ends too soon, this process does the work itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from steepest.compiled.threads import usable_cores

__all__ = ["a_core_is_free", "begin", "end"]

_CODE = """
import json, os, sys
if hasattr(os, "nice"):
    os.nice({nice})
sys.path[:] = json.loads(sys.stdin.buffer.readline())
from {module} import {name}
{name}()
"""
_NICE = 10
"""What this process does comes first where there are not cores enough (POSIX)."""


def a_core_is_free() -> bool:
    """Whether a second process would run beside this one."""
    return usable_cores() > 1


def begin(work: Callable[[], object], answers: bool = False) -> subprocess.Popen[bytes] | None:
    """Start a process that does the work; None where that fails.

    It is a function of a module. What it is to know comes on its standard input; its standard
    output is read where it `answers`, and else goes nowhere, like all that it complains about.
    """
    code = _CODE.format(nice=_NICE, module=work.__module__, name=work.__name__)
    nowhere = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if answers else nowhere,
            stderr=nowhere,
        )
    except (OSError, ValueError):  # no such program, no process or memory left
        return None
    try:
        assert process.stdin is not None  # a pipe
        process.stdin.write(json.dumps(sys.path).encode() + b"\n")
        process.stdin.flush()
    except OSError:  # it has ended
        end(process)
        return None
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process, if it runs still."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was not yet written has no reader
                pipe.close()
