"""Models for others: a folder that stands alone, its card, the Hugging Face Hub, ONNX.

::

    models.py    save, load: a model's folder
    card.py      README.md, with the Hub's metadata
    dataset.py   events: Parquet files in splits; dataset_card.py, columns.py
    upload.py    a folder in one commit on the Hub
    run.py       a run: model, card and pictures
    weaver.py    preprocess.json, which says what a network of particles reads
    onnx/        a model as one file of ONNX
"""

from steepest.share.dataset import prepare_events, share_events, write_events
from steepest.share.models import load, save
from steepest.share.run import Prepared, prepare, share_run, write_shared
from steepest.share.upload import Published, Target

__all__ = [
    "Prepared",
    "Published",
    "Target",
    "load",
    "prepare",
    "prepare_events",
    "save",
    "share_events",
    "share_run",
    "write_events",
    "write_shared",
]
