"""What was not reached, and why: the profile beside what would be needed."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.__main__ import time_text

__all__ = ["section"]

NEEDED = {
    "gradient": """\
The arithmetic alone, of events that lie in the cache and shared by two threads, takes less time
than reading the array; one thread alone takes about twice as long as two. But reading and reckoning
do not overlap wholly. The kernel asks for lines 32 KB and 4 KB ahead, evenly between its products:
asked for at once, in a burst, they cost a seventh more with 100 features. With 8 features the
targets add an eighth to the bytes that are read, so that 0.89 is the most there. The first call
after a pause takes about a millisecond more than the next: the second thread begins some tenths of
one later, and the first pieces are slow.

The sum itself takes now 12 ms, now 18 ms for the same array, so that the share of a single round
says little. Where its two threads begin at once it reads at 37 GB/s; four times the speed of
autograd with 100 features would be more than that.

Code with the number of features fixed was tried, with 28: a hundredth less. So were rows taken
whole one after the other, lines asked for less often, and other distances: none was quicker. The
same in C takes a twelfth less with 28 features, and as long with 100.
""",
    "sgd": """\
Shuffled events cost one thread twice as much as the same events in order, which the processor
fetches ahead by itself: the waits for memory and the steps add up, at whatever distance lines are
asked for. A second thread that copies the events in their order before their turn takes about as
long for an event as the step itself takes; so where it also draws the order of the next window, the
steps overtake it for a while. The loss of the start and what a constant would lose are a sixth of
the epoch.

Needed: a second thread that stays ahead, so a cheaper draw; or a memory that answers sooner.
""",
    "dense": """\
Large batches and wide networks are near the peak of the matrix products, and there the peers are
too. At 64 wide and small batches a step consists of products of a few tens of thousand numbers,
which run at the processor's peak. What two threads add to them is what they tell each other: the
parts' gradients and the new parameters go from one core's cache to the other's, some 7 ns a line,
three to five microseconds a step, and the waits one more; asking for the lines beforehand gained
nothing. A fifth of a step at batch 256 is outside of the compiled code, half a millisecond an epoch
of 16,384 events and two for the start: its loss, the permutation of the rows, the calls.

At 256 wide and small batches a whole training takes a tenth of a second, and follows a pause: there
two threads are now and then held up for milliseconds that the system does not account for, for us
and the peers alike, so that the ratios of single rounds lie far apart.

Needed for three times JAX: fewer calls of Python an epoch, the next epoch's order drawn while the
steps run, and a share of work between two threads that sends less from one to the other.
""",
    "landscape": """\
Two hidden layers of tanh have to be multiplied and bent at every point, as the peer does: there
is no way around the arithmetic as there is for ReLU. The products alone, at the peak of the
vectors, take more than half of the time that is asked for. Where the processor has tiles of
bfloat16 they do the products, of float32 cut into three, in about half the time; tanh is a
rational function in whole vectors, whose divisions are shared. What the parts do not add up to
goes into reading the first layer's sums and the weights of each point from the second cache.

Needed: without tiles, fewer products. With them, tiles and vectors that work at the same time:
now one waits for the other, since a block's products are longer than a processor looks ahead.
""",
    "start": """\
The descent's steps are one large kernel, and compiling it takes longest; what the end of the run
needs is compiled by a second process meanwhile.

Needed: less code for LLVM in that kernel, or machine code that comes with the package.
""",
}
"""By part of the bench: what its profile says, and what would bring the figures further."""
MARKS = {
    "gradient": "the array summed",
    "sgd": "shuffled",
    "dense": "its rows copied",
    "landscape": "in vectors, one thread",
    "start": "with compiled kernels",
}
"""By part of the bench: what only those cases of the profile have that explain it, if any do."""


def section(told: list[dict[str, Any]]) -> str:
    """Return the page's section; nothing where all was reached.

    Raises
    ------
    SystemExit
        Something was not reached, and there is no profile of it.
    """
    missed = {part["bench"]: count for part in told if (count := _missed(part))}
    if not missed:
        return ""
    profile = next((part for part in told if part["bench"] == "profile"), None)
    if profile is None:
        raise SystemExit(f"Not all was reached in {sorted(missed)}: run make bench-profile too.")
    processor, rounds = profile["machine"]["processor"], profile["options"]["rounds"]
    lines = [
        "## What was not reached, and why\n",
        f"A profile of {profile['date']}, {processor}: each part by itself, medians of {rounds} "
        "rounds.\n",
    ]
    for bench, count in missed.items():
        if bench not in NEEDED:
            raise SystemExit(f"{count} figures of {bench} were not reached: say why in NEEDED.")
        lines += [f"### {bench}: {count} not reached\n", *_tables(profile, MARKS.get(bench, ""))]
        lines += [NEEDED[bench], ""]
    return "\n".join(lines)


def _missed(part: dict[str, Any]) -> int:
    return sum(not claim["reached"] for case in part["cases"] for claim in case["claims"])


def _tables(profile: dict[str, Any], mark: str) -> list[str]:
    """The cases that have a contender named `mark`, a row each, their contenders side by side."""
    cases = [case for case in profile["cases"] if mark in case["seconds"]]
    if not cases:
        return []
    names = list(cases[0]["seconds"])
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    if len(cases) == 1:  # many parts of one thing read better below each other
        lines = [f"| {cases[0]['work']} | |", "|---|---|"]
        return [*lines, *(f"| {name} | {_text(cases[0], name)} |" for name in names), ""]
    for case in cases:
        values = " | ".join(_text(case, name) for name in names)
        lines.append(f"| {case['work']} | {values} |")
    return [*lines, ""]


def _text(case: dict[str, Any], name: str) -> str:
    return time_text(statistics.median(case["seconds"][name]))
