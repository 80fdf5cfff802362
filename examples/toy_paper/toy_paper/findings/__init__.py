"""The findings of the paper: a module each."""
