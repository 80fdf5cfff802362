"""The 12-layer model of the growth experiment: layers of different width, any of which can be left out.

Rotary positions, RMSNorm, a gated feed-forward block and tied embeddings, as in the Llama architecture; transformers
has no Llama whose layers differ in width. With equal widths the two compute the same (`test_growth_model.py`).
"""

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Architecture, LayerClone

ROTARY_BASE = 10_000.0
NORM_EPSILON = 1e-6
INITIAL_SPREAD = 0.02
"""Standard deviation of fresh matrices: the default of Llama's configuration."""


class GrowthLayer(nn.Module):
    """One decoder layer.

    Args:
        width: of the residual stream.
        ffn_width: of the feed-forward block.
        heads: of attention.
    """

    def __init__(self, width: int, ffn_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.ffn_norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.gate, self.up = (nn.Linear(width, ffn_width, bias=False) for _ in range(2))
        self.down = nn.Linear(ffn_width, width, bias=False)

    def forward(self, stream: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """The stream, shape (batch, tokens, width), with what the layer adds."""
        stream = stream + self._attend(self.attention_norm(stream), rotation)
        normed = self.ffn_norm(stream)
        added: Tensor = self.down(functional.silu(self.gate(normed)) * self.up(normed))
        return stream + added

    def _attend(self, normed: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        batch, tokens, width = normed.shape

        def by_head(projected: Tensor) -> Tensor:
            return projected.view(batch, tokens, self.heads, -1).transpose(1, 2)

        queries, keys = (_rotated(by_head(each(normed)), rotation) for each in (self.query, self.key))
        mixed = functional.scaled_dot_product_attention(queries, keys, by_head(self.value(normed)), is_causal=True)
        attended: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return attended


class GrowthModel(nn.Module):
    """The whole model.

    Args:
        architecture: its sizes.
        generator: draws the weights, on the CPU, so that every device begins with the same.
    """

    def __init__(self, architecture: Architecture, generator: torch.Generator) -> None:
        super().__init__()
        width = architecture.width
        self.head_width = width // architecture.heads
        self.embedding = nn.Embedding(architecture.vocabulary, width)
        self.layers = nn.ModuleList(
            GrowthLayer(width, width * multiplier, architecture.heads) for multiplier in architecture.ffn_multipliers
        )
        self.norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        with torch.no_grad():
            for parameter in self.parameters():
                if parameter.ndim > 1:
                    parameter.copy_(INITIAL_SPREAD * torch.randn(parameter.shape, generator=generator))

    @property
    def parameter_count(self) -> int:
        """Of all parameters, the tied embedding counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, tokens: Tensor, running: Collection[int]) -> Tensor:
        """Logits of every next token.

        Layers that do not run cost nothing. Where the embedding is frozen, no graph is built below the first layer
        that trains: nothing there requires a gradient.

        Args:
            tokens: shape (batch, tokens).
            running: the layers that run, in any order.

        Returns:
            Shape (batch, tokens, vocabulary).
        """
        stream = self.embedding(tokens)
        rotation = _rotation(tokens.shape[1], self.head_width, tokens.device)
        for index in sorted(running):
            stream = self.layers[index](stream, rotation)
        return functional.linear(self.norm(stream), self.embedding.weight)


def _rotation(tokens: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each of shape (tokens, head_width)."""
    frequencies = ROTARY_BASE ** -(torch.arange(0, head_width, 2, device=device) / head_width)
    angles = torch.arange(tokens, device=device)[:, None] * frequencies
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def _rotated(heads: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cosines, sines = rotation
    first, second = heads.chunk(2, dim=-1)
    return heads * cosines + torch.cat([-second, first], dim=-1) * sines


@torch.no_grad()
def round_otherwise(model: GrowthModel, generator: torch.Generator) -> None:
    """Move every weight, in place, to the next greater or the next smaller number of its precision, at random."""
    for parameter in model.parameters():
        up = torch.randint(2, parameter.shape, generator=generator, dtype=torch.bool).to(parameter.device)
        parameter.copy_(torch.nextafter(parameter, torch.where(up, math.inf, -math.inf)))


@torch.no_grad()
def clone_layer(model: GrowthModel, clone: LayerClone, generator: torch.Generator) -> None:
    """Copy a layer's weights over another's, in place.

    A narrower feed-forward block takes the first of its source's units. Noise has so many standard deviations of
    the copied matrix; norms get none.
    """
    source = dict(model.layers[clone.source].named_parameters())
    for name, target in model.layers[clone.target].named_parameters():
        copied = source[name][tuple(slice(size) for size in target.shape)].clone()
        if copied.ndim > 1:
            noise = torch.randn(copied.shape, generator=generator).to(copied)
            copied += clone.relative_noise * copied.std() * noise
            if name.partition(".")[0] in ("gate", "up", "down"):
                copied *= clone.ffn_scale
        target.copy_(copied)
