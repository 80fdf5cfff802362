"""The paper's experiments, a folder each, and what several of them share."""
