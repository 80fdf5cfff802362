"""The paper's experiments, one folder each, and what several of them share."""
