"""Texts written for this project that more than one paper's experiments score."""
