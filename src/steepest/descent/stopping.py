"""When a descent stops, and why: which criterion holds, or what made it diverge."""

from __future__ import annotations

import numpy as np

from steepest.curvature import largest_curvature
from steepest.descent.plan import Plan
from steepest.descent.state import State, StopReason
from steepest.errors import DivergenceError
from steepest.objective import Batch, Objective

ROUNDING = 1e-12
"""A training loss that is below zero by so much of the loss limit is not so by rounding."""


def stop_reason(
    plan: Plan,
    state: State,
    training_loss: float,
    gradient_norm: float | None,
    bounded: bool = False,
) -> StopReason | None:
    """Return the first criterion that holds at the end of a round, or None to go on.

    `bounded`: no event's loss is below zero, so that a mean below zero is due to negative weights.
    """
    stop = plan.stop
    if bounded and training_loss < -ROUNDING * state.loss_limit:
        return StopReason(
            "negative-loss",
            f"the training loss is {training_loss:.3g}, and no event's is below zero: the model "
            "has separated negative weights from positive ones; more events, an L2 penalty or a "
            "smaller model help",
        )
    if stop.gradient_norm is not None and (gradient_norm or 0.0) < stop.gradient_norm:
        return StopReason(
            "gradient-norm",
            f"the gradient norm {gradient_norm:.3g} is below {stop.gradient_norm:g}",
        )
    fall = state.last_loss - training_loss
    if stop.loss_tolerance is not None and 0.0 <= fall < stop.loss_tolerance:
        return StopReason(
            "loss-tolerance",
            f"the training loss fell by {fall:.3g}, less than {stop.loss_tolerance:g}",
        )
    if isinstance(stop.patience, int) and state.waited >= stop.patience:
        return StopReason(
            "patience",
            f"no better validation loss than {state.best.loss:.6g} (step {state.best.step:,}) "
            f"in {state.waited} validations",
        )
    if stop.seconds is not None and state.seconds >= stop.seconds:
        return StopReason(
            "seconds", f"{state.seconds:.1f} s of wall time are over {stop.seconds:g} s"
        )
    if state.step >= plan.total_steps:
        return StopReason("epochs", f"all {plan.epochs:,} epochs are done")
    return None


def divergence(objective: Objective, events: Batch, plan: Plan, state: State) -> DivergenceError:
    """Build the error: after which step, how large the loss, and why most likely."""
    step = state.step
    with np.errstate(all="ignore"):
        loss = objective.loss(state.theta, events)
        cause, remedy = _likely_cause(objective, events, plan, state)
    epoch = plan.batches.epochs(step)
    return DivergenceError(
        f"The descent diverged at step {step:,} (epoch {epoch:.3g}).",
        expected=f"a finite loss, below {state.loss_limit:.3g} (10⁶ times that of the start, "
        "or of a constant)",
        found=f"J(θ) = {loss:.4g}; the best was {state.best.loss:.6g}, after step "
        f"{state.best.step:,}: its parameters are kept",
        cause=cause,
        do=remedy,
    )


def _likely_cause(objective: Objective, events: Batch, plan: Plan, state: State) -> tuple[str, str]:
    rate = float(plan.schedule.factors(max(state.step - 1, 0), 1)[0])
    rate *= plan.learning_rate * state.plateau.factor
    largest_input = events.largest_input()
    if plan.rule.stability is not None:
        curvature = largest_curvature(objective, state.best.theta, events)
        limit = plan.rule.stability / curvature if curvature > 0 else np.inf
        if rate > limit:
            return (
                f"the learning rate η = {rate:.4g} is above {plan.rule.stability:.4g}/λmax = "
                f"{limit:.4g}, the largest that "
                f"is stable where the curvature is λmax = {curvature:.4g}",
                f'set descent.learning_rate below {limit:.3g}, or "auto"; feature scaling '
                "lowers the curvature",
            )
    if largest_input > 1e3:
        return (
            f"inputs as large as {largest_input:.3g} at η = {rate:.4g}",
            'scale the features: descent.scaling = "standard"',
        )
    return (
        f"the learning rate η = {rate:.4g} is too large for this model",
        f'set descent.learning_rate = {rate / 10:.2g}, or "auto"',
    )
