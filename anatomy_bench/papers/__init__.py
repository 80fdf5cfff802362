"""The papers: one room each, found by the registry."""
