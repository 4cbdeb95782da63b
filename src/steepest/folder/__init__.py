"""What lies in a run's folder: read and written here alone; docs/run-folder.md lists the files.

Nothing is pickled, and nothing is ever half-written under its final name.
"""

from steepest.folder.checkpoints import FolderCheckpointer
from steepest.folder.landscapes import LandscapeFolder, finished_landscapes
from steepest.folder.provenance import provenance_of
from steepest.folder.run_folder import RunFolder, load_model
from steepest.folder.saved_model import SavedModel, write_model

__all__ = [
    "FolderCheckpointer",
    "LandscapeFolder",
    "RunFolder",
    "SavedModel",
    "finished_landscapes",
    "load_model",
    "provenance_of",
    "write_model",
]
