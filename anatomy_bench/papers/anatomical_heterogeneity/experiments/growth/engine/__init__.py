"""The model of the growth experiment, and its training."""
