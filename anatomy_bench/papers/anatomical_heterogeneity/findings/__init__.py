"""The paper's findings, one module each, and what several of them share."""
