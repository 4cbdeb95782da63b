"""The arithmetic: forward and backward passes as matrix products, in plain NumPy.

These are the reference that any faster kernel is held to: clear, right, and dtype-preserving.
"""
