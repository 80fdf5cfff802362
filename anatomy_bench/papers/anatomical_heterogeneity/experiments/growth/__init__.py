"""A model trained from scratch in phases (4.6)."""
