"""Expressions over columns: selections, derived features, labels and weights."""
