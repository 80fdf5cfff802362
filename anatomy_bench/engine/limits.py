"""How much is computed at a time: bounds of memory, and what a processor's cache holds.

They decide which rows share a matrix product, and so the last bits of scores.
"""

COLUMNS_PER_PRODUCT = 1 << 18
"""Parameters of each layer that are widened to float64 at the same time, for inner products of layers."""

TOKENS_PER_CALL = {"cpu": 2048, "cuda": 16384}
"""Tokens, padding and copies included, that pass a layer in one call.

Enough for matrix products at full rate, on a CPU few enough that what lies between the products stays in its cache.
"""

TOKENS_PER_WALK = 65536
"""Tokens, padding and copies included, that are between the same two layers: bounds the memory of their streams."""

VARIANTS_PER_WALK = 64
"""Interventions scored in one walk over the layers."""

PROGRAMS_PER_WALK = 256
"""Programs whose streams are computed together: what they have in common is computed once."""

TOKENS_PER_TRAINING_WALK = 8192
"""Tokens, padding and copies included, that are trained on together: bounds the memory of activations."""

TOKENS_PER_HEAD_CALL = 1024
"""Positions whose logits exist at the same time: bounds the memory of the vocabulary-sized part."""
