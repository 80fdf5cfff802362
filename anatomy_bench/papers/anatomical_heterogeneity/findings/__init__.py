"""The paper's findings: a module each, and what several of them read."""
