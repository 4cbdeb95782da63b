"""Losses at many points of a loss surface."""
