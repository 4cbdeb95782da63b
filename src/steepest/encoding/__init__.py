"""From raw features to the model's inputs: fill what is missing, categories to zeros and ones.

It lies between the events and the scaling. What it needs (fill values, categories) is learnt on the
training part alone and is part of the model, so that the model takes raw values::

    columns.py   NumberColumn, CategoryColumn: one feature each → one or more inputs
    encoding.py  Encoding, fit_encoding: all features
"""

from steepest.encoding.columns import CategoryColumn, NumberColumn
from steepest.encoding.encoding import Encoding, fit_encoding, is_needed

__all__ = ["CategoryColumn", "Encoding", "NumberColumn", "fit_encoding", "is_needed"]
