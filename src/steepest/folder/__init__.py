"""What lies in a run's folder: read and written here alone.

::

    RUN/
      recipe.toml          what was asked for
      log.txt              what was done, in sentences
      environment.json     versions, machine, threads
      checkpoints/         the newest two, each complete or absent
      journal/             history and path since the start, one part a checkpoint
      live/                progress and history between checkpoints, while the run goes on
      history.parquet      every recorded step and validation
      path.safetensors     θ at some 200 steps; at fewer, of a large one
      model/               config.json, model.safetensors, scaling.safetensors
      figures/             PNG, each with its numbers as JSON
      metrics.json         figures of merit with uncertainties, counts and definitions
      report.html          all of it on one page
      landscape/NAME/      loss surfaces, as `steepest landscape` draws them

A run by ``method = "exact"`` takes no steps: its history is empty, and it has no path.

Nothing is pickled, and nothing is ever half-written under its final name.
"""

from steepest.folder.checkpoints import FolderCheckpointer
from steepest.folder.landscapes import LandscapeFolder
from steepest.folder.run_folder import RunFolder, load_model
from steepest.folder.saved_model import SavedModel

__all__ = ["FolderCheckpointer", "LandscapeFolder", "RunFolder", "SavedModel", "load_model"]
