"""Scored events: labels, scores and weights, checked and summed in blocks."""
