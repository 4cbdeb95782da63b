"""f_θ: one model a file, each a way to lay out the flat vector θ."""

from steepest.models.dense import Dense

__all__ = ["Dense"]
