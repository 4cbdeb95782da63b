"""``l2 = "auto"``: λ by the number of events, or of many events by trial runs.

How much a network must be held back depends on the noise of the labels more than on their number:
HIGGS decays ask for a hundred times the λ of digits. So λ of three decades take a trial run, and
the one with the lowest loss of events that are held out of it is taken. Where η is chosen too, and
there are not few events, both are chosen together (`steepest.descent.learning_rate`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.descent.learning_rate import penalty_reason
from steepest.descent.plan import Plan
from steepest.descent.trials import Trials
from steepest.objective import Batch, Objective
from steepest.objective.stateful import preserved_memory
from steepest.ranks import Share, current

FEW = {"regression": (20.0, 0.06), "binary": (3.0, 0.005), "multiclass": (3.0, 0.005)}
"""λ of a network: the first over the number of events, and at most the second. With these, tables
of 100 to 1,000 events lose least on other events, see ``benchmarks/estimators.py``."""
TRIED, SEVERAL, WHOLE = 1000, 3, 256
"""Below so many events, trial runs hold out each third in turn, and try the usual λ too; up to so
many, where a step takes them all, they are as long as the descent."""
LARGEST = {"regression": 20.0, "binary": 30.0, "multiclass": 30.0}
"""The largest λ that is tried, times the number of events; the others are a tenth, a hundredth."""


def usual_penalty(task: str, events: int) -> float:
    """Return λ for a network of that many events, where no trial run chooses it.

    Examples
    --------
    >>> usual_penalty("binary", 1000), usual_penalty("regression", 100)
    (0.003, 0.06)
    """
    over_events, most = FEW[task]
    return min(over_events / events, most)


def candidates(task: str, events: int) -> tuple[float, ...]:
    """Return the λ that take a trial run, for a network of that many events.

    Examples
    --------
    >>> candidates("binary", 100), candidates("binary", 3000)
    ((0.005, 0.1, 0.3), (0.0001, 0.001, 0.01))
    """
    if events < TRIED:
        largest = LARGEST[task] / events
        return tuple(sorted({usual_penalty(task, events), largest / 3, largest}))
    return tuple(LARGEST[task] / events / divisor for divisor in (100, 10, 1))


def best_penalty(
    tried: tuple[float, ...],
    objective: Callable[[float], Objective],
    events: Batch,
    share: Share,
    plan: Plan,
) -> tuple[float, str]:
    """Return the λ with the lowest loss, without the L2 term, of held-out events, and a sentence.

    Parameters
    ----------
    tried
        See `candidates`.
    objective
        J with a given λ.
    events, share, plan
        The training events, which of them are here, and the descent that is planned for them.
    """
    judge, losses = objective(0.0), {}
    given = plan.rule, plan.batch_size, plan.seed, plan.total_steps, plan.schedule_options
    trials = Trials(judge, events, share, *given)
    few = share.events < TRIED and current().size == 1
    steps = trials.steps if share.events <= WHOLE else trials.long
    splits = [trials.split()]
    if few:
        rows = [trials.rows(turn) for turn in range(SEVERAL)]
        splits = [(events.take(kept), events.take(held_out)) for kept, held_out in rows]
    held_out = sum(map(len, splits[0])) <= share.events  # else all events are in both parts
    with np.errstate(all="ignore"), preserved_memory(judge):
        for l2 in tried:
            trials.objective = objective(l2)
            ends = [trials.losses(plan.learning_rate, steps, *split)[-1] for split in splits]
            losses[l2] = float(np.mean(ends))
    best = min(losses, key=lambda l2: losses[l2])
    return best, penalty_reason(best, losses, steps, held_out)
