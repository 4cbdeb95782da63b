"""J(θ): what a descent goes down on, whatever the model behind it.

J(θ) = Σᵢ wᵢ ℓ(f_θ(xᵢ), yᵢ) / Σᵢ wᵢ + (λ/2) ‖weights‖².
"""

from steepest.objective.base import Batch, CurvatureBounds, ModelObjective, Objective
from steepest.objective.dense import DenseObjective
from steepest.objective.kinds import objective_named
from steepest.objective.plane import losses_of_chunks, losses_on_plane, neuron_groups
from steepest.objective.stateful import Memory, Stateful
from steepest.objective.step_block import TOGETHER, StepBlock, SupportsStepBlocks

__all__ = [
    "TOGETHER",
    "Batch",
    "CurvatureBounds",
    "DenseObjective",
    "Memory",
    "ModelObjective",
    "Objective",
    "Stateful",
    "StepBlock",
    "SupportsStepBlocks",
    "losses_of_chunks",
    "losses_on_plane",
    "neuron_groups",
    "objective_named",
]
