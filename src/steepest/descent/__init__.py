"""The descent: init → predict → loss → gradient → step → repeat → stop."""

from steepest.descent.learning_rate import LearningRate, choose_learning_rate
from steepest.descent.loop import Outcome, Watch, descend
from steepest.descent.plan import Plan
from steepest.descent.state import Keeper, MemoryKeeper, State

__all__ = [
    "Keeper",
    "LearningRate",
    "MemoryKeeper",
    "Outcome",
    "Plan",
    "State",
    "Watch",
    "choose_learning_rate",
    "descend",
]
