"""Several layers changed at once (3.5, 4.4)."""
