"""The room of a paper: its published numbers, and packages of experiments, findings and figures."""
