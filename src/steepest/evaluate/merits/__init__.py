"""Figures of merit, each with its uncertainty, counts and definition."""
