"""Anatomical Heterogeneity in Transformer Language Models, arXiv 2603.19348."""
