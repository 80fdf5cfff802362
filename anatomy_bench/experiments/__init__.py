"""Experiments: what each is made of, what those that score text share, and those that more than one paper reads."""
