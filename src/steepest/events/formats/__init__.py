"""Formats of event files: Parquet, ROOT, HDF5 and CSV, and their registry."""
