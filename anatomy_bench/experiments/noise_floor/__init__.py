"""Numerical error of scores."""
