"""Weights predicted from depth (3.3, 4.2)."""
