"""Scored events: labels, scores and weights, checked and summed block by block."""
