"""Recipe → trained run folder: the rooms below, called in the order of the way of the data.

`fit` is the part that needs no files: from arrays to a trained model. `train` is the whole way,
from a recipe to a run's folder with figures of merit and figures.
"""

from steepest.training.callback import TrainingCallback
from steepest.training.evaluate_again import evaluate_run
from steepest.training.fit import fit
from steepest.training.fitting.fitted import Fitted
from steepest.training.train import next_folder, resume, stem_of, train

__all__ = [
    "Fitted",
    "TrainingCallback",
    "evaluate_run",
    "fit",
    "next_folder",
    "resume",
    "stem_of",
    "train",
]
