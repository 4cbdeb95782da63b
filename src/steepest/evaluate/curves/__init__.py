"""Curves of scored events: ROC and its area, calibration, and the sorting that they need."""
