"""Samples: labels, checks, and the split into training, validation and test parts."""
