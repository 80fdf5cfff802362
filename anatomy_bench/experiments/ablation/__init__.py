"""Importance of every layer, by ablation."""
