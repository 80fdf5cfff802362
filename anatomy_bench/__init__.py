"""Executable claims about transformer layer anatomy, judged on any Hugging Face causal language model."""

__version__ = "0.1.0"
