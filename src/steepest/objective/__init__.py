"""J(θ): what a descent goes down on, whatever the model behind it.

J(θ) = Σᵢ wᵢ ℓ(f_θ(xᵢ), yᵢ) / Σᵢ wᵢ + (λ/2) ‖weights‖².
"""

from steepest.objective.base import Batch, CurvatureBounds, ModelObjective, Objective
from steepest.objective.dense import DenseObjective
from steepest.objective.kinds import objective_named
from steepest.objective.stateful import Memory, Stateful
from steepest.objective.step_block import StepBlock, SupportsStepBlocks
from steepest.objective.surface import losses_of_chunks, losses_on_surface, neuron_groups

__all__ = [
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
    "losses_on_surface",
    "neuron_groups",
    "objective_named",
]
