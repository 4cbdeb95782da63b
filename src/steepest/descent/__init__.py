"""The descent: init → predict → loss → gradient → step → repeat → stop."""

from steepest.descent.learning_rate import LearningRate, choose_learning_rate
from steepest.descent.loop import Callback, Outcome, descend
from steepest.descent.plan import Plan
from steepest.descent.state import Checkpointer, MemoryCheckpointer, State

__all__ = [
    "Callback",
    "Checkpointer",
    "LearningRate",
    "MemoryCheckpointer",
    "Outcome",
    "Plan",
    "State",
    "choose_learning_rate",
    "descend",
]
