"""The formats that scores are written in, a module each, chosen by the file's suffix."""

from steepest.prediction.writers.contract import Writer
from steepest.prediction.writers.csv import CSV
from steepest.prediction.writers.hdf5 import HDF5
from steepest.prediction.writers.parquet import PARQUET
from steepest.prediction.writers.root import RNTUPLE, ROOT

__all__ = ["PARQUET", "RNTUPLE", "WRITERS", "Writer"]

WRITERS = (PARQUET, ROOT, HDF5, CSV)
