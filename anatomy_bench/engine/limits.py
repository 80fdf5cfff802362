"""How much is computed at a time, so that memory is bounded and a processor's cache suffices.

These numbers decide which rows share a matrix product, and thereby the last bits of scores.
"""

COLUMNS_PER_PRODUCT = 1 << 18
"""Parameters of each layer that are converted to float64 at the same time, for inner products of layers."""

TOKENS_PER_CALL = {"cpu": 2048, "cuda": 16384}
"""Tokens, padding and copies included, that pass a layer in one call.

Enough for matrix products at full speed; few enough that on a CPU the results between products stay in its cache.
"""

TOKENS_PER_WALK = 65536
"""Tokens, padding and copies included, that wait between the same two layers; bounds the memory of their streams."""

VARIANTS_PER_WALK = 64
"""Interventions scored in one walk over the layers."""

PROGRAMS_PER_WALK = 256
"""Programs whose streams are computed together: what they have in common is computed once."""

TOKENS_PER_TRAINING_WALK = 8192
"""Tokens, padding and copies included, that are trained on together; bounds the memory of activations."""

TOKENS_PER_HEAD_CALL = {"cpu": 1024, "cuda": 4096}
"""Positions whose logits exist at the same time: bounds the memory of the vocabulary-sized part.

More on a GPU, where each call queues the kernels of a whole forward pass, its layers passed by.
"""

TOKENS_PER_SOFTMAX = {"cpu": 8, "cuda": 1024}
"""Positions whose logits are worked on at the same time.

Those of more leave a processor's cache between two steps; a GPU would wait for the queueing of so few.
"""
