"""Numerical error of scores, compared with plain float32."""
