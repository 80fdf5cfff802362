"""Layers under Gaussian noise (3.6, 4.5)."""
