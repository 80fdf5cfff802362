"""The figures of the paper: a module for each finding, named like it."""
