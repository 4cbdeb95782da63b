"""Landscapes for other programs: tables, VTK, a page, an animation."""
