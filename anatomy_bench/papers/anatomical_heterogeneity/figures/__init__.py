"""Figures of the paper's findings, one module each, named like the finding."""
