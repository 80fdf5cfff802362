"""Layers trained after noise (3.6, 4.5)."""
