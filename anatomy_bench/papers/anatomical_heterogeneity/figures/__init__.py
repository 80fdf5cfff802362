"""Figures of the paper's findings: a module each, named like the finding."""
