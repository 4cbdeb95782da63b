"""When a descent stops, and the sentence that says why."""

from __future__ import annotations

from steepest.descent.plan import Plan
from steepest.descent.state import State, StopReason

__all__ = ["stop_reason"]


def stop_reason(
    plan: Plan, state: State, training_loss: float, gradient_norm: float | None
) -> StopReason | None:
    """Return the first criterion that holds at the end of a round, or None to go on."""
    stop = plan.stop
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
    if stop.patience is not None and state.waited >= stop.patience:
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
