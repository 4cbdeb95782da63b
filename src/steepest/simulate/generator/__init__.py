"""Pythia 8: processes, settings, the event loop, and early rejection of events."""
