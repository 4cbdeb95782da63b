"""Apply a model to events of any size: scores beside the events, in a file.

The way of a block of events: read → select → features → scores → beside the copied columns → a
part of some 256 MB. When all parts are there they become the file, which gets its name at last::

    target.py    where it goes, and what is refused before the work begins
    columns.py   the columns that are copied, and the columns of scores
    unscorable.py  events that the model cannot score
    scorer.py    Scorer: a block of events → the rows of the file; how many are held at once
    parts.py     Parts: what is done so far, for --resume
    writers/     Parquet, ROOT, HDF5, CSV: rows → a file
    work.py      the parts, then the file
    predict.py   predict_events: checks the request, then calls the others in order
"""

from steepest.prediction.predict import predict_events
from steepest.prediction.target import Predictions

__all__ = ["Predictions", "predict_events"]
