"""Models whose anatomy is known by construction.

Three kinds. In a *writing* model every layer adds one number to one coordinate of the
residual stream and nothing else, and the head turns that coordinate's total into
confidence in tokens of the corpora: what averaging or skipping a layer does to the loss
is known beforehand. In a *gated* model layers write so through their matrices, of which
each has rank one: scaling all three by α scales a write by α³. In a *woven* model the
weights of successive layers are independent, oscillate, or walk at random.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tiny import CONTEXT, VOCABULARY, save, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from anatomy_bench.claim.claim import Verdict
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    FIRST_TARGET,
    layer_coefficients,
)
from anatomy_bench.registry import all_claims
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.values.corpus import load_corpus

WIDTH = 16
LAYERS = 30
# Tokens that no text has, so many to each real one: what layers write takes confidence from real tokens to these.
DUMMIES_A_TOKEN = 7
DUMMIES = DUMMIES_A_TOKEN * VOCABULARY
# A constant coordinate so large that the final normalisation divides by the same number whatever the layers write.
ANCHOR = 1000.0
# Neither in the paper's set of redundant layers nor among the four nearest to any of them.
NO_NEIGHBOUR = 24


def writing_model(writes: NDArray[np.float64], noise: float = 0.0, mean: float = 1.0) -> LlamaForCausalLM:
    """Layer l writes `writes[l]`; their total, times `mean` give or take `noise` by token, is real tokens' logit."""
    model = _reading_total(len(writes), noise, mean)
    with torch.no_grad():
        for layer, write in zip(model.model.layers, writes, strict=True):
            layer.mlp.down_proj.bias[0] = float(write)
            layer.mlp.down_proj.weight[2, 0] = 1e-3  # so that no component is all zeros
    return model.eval()


def gated_model(
    writes: dict[int, float], total: float, noise: float = 0.05, ballast: dict[int, float] | None = None
) -> LlamaForCausalLM:
    """Some of 30 layers write through their matrices, the others write past what the head reads.

    Args:
        writes: by layer.
        total: of the intact model; a bias in a layer that is no neighbour of the paper's set makes up for the rest.
        noise: as in a writing model.
        ballast: what layers write besides to a coordinate that the head does not read. It does nothing, but noise as
            large as a share of the matrices is large where they are, and the head fears whatever leaks elsewhere.
    """
    model = _reading_total(LAYERS, noise, 1.0)
    gate, normed_anchor = 20.0, WIDTH**0.5
    with torch.no_grad():
        model.model.layers[NO_NEIGHBOUR].mlp.down_proj.bias[0] = total - sum(writes.values())
        for index, layer in enumerate(model.model.layers):
            layer.post_attention_layernorm.weight.fill_(1.0)
            layer.mlp.gate_proj.weight[0, 1] = gate / normed_anchor  # silu(20) is 20
            layer.mlp.up_proj.weight[0, 1] = 1 / normed_anchor
            if index in writes:
                layer.mlp.down_proj.weight[0, 0] = writes[index] / gate
            else:
                layer.mlp.down_proj.weight[3, 0] = 0.1 / gate
            layer.mlp.down_proj.weight[2, 0] = (ballast or {}).get(index, 0.0) / gate
        gain = 5 * ANCHOR / WIDTH**0.5  # what leaks hurts by its size, whatever sign it has on coordinate 0
        for dummy in range(DUMMIES):
            feared = 4 + dummy % (WIDTH - 4)
            model.lm_head.weight[VOCABULARY + dummy, feared] = gain * (-1) ** (dummy // (WIDTH - 4))
    return model.eval()


def _reading_total(layers: int, noise: float, mean: float) -> LlamaForCausalLM:
    """All zeros but for the anchor and a head that reads coordinate 0."""
    config = LlamaConfig(
        vocab_size=VOCABULARY + DUMMIES, hidden_size=WIDTH, intermediate_size=4, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=2, mlp_bias=True, max_position_embeddings=CONTEXT,
        pad_token_id=0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.model.norm.weight.fill_(1.0)
        model.model.embed_tokens.weight[:, 1] = ANCHOR
        gain = ANCHOR / WIDTH**0.5  # undoes the final normalisation
        model.lm_head.weight[:VOCABULARY, 0] = gain * (mean + noise * torch.tensor(unpredictable()).float())
    return model


def unpredictable() -> NDArray[np.float64]:
    """A number for each token, of mean 0 over the tokens of `ten`: sentences differ, their sum does not."""
    drawn = np.random.default_rng(0).standard_normal(VOCABULARY)
    ids = tokenizer()(list(load_corpus("ten").sentences))["input_ids"]
    counts = Counter(token for sentence in ids for token in sentence[1:])
    weights = np.array([counts[token] for token in range(VOCABULARY)], dtype=float)
    return drawn - np.average(drawn, weights=weights)


def writes_for_damage(damage_nats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Writes with which averaging away each interior layer costs so many nats a token.

    At a total of t, a real token costs log(e^t + D) − t nats for D dummies to each token, which gives the total that
    costs so much more than 0 does; averaging layer l away must lead there: (w_{l−1} + w_{l+1}) / 2 − w_l = t_l,
    solved with a total of 0 and equal ends.
    """
    totals = np.log(DUMMIES_A_TOKEN / ((DUMMIES_A_TOKEN + 1) * np.exp(damage_nats) - 1))
    count = len(damage_nats) + 2
    equations = np.zeros((count, count))
    for row, layer in enumerate(range(1, count - 1)):
        equations[row, layer - 1 : layer + 2] = (0.5, -1.0, 0.5)
    equations[-2] = 1.0
    equations[-1, [0, -1]] = (1.0, -1.0)
    return np.linalg.solve(equations, np.concatenate([totals, [0.0, 0.0]]))


def writes_with_total_zero(interior: NDArray[np.float64]) -> NDArray[np.float64]:
    """These writes between two ends that share what brings the total to 0."""
    end = -interior.sum() / 2
    return np.concatenate([[end], interior, [end]])


def woven_model(pattern: str, layers: int = LAYERS, width: int = WIDTH) -> LlamaForCausalLM:
    """Weights over the layers: `independent`, `oscillating`, `walking`, or `trending`, each on a line of its own."""
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=CONTEXT,
        pad_token_id=0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    rng = np.random.default_rng(1)
    with torch.no_grad():
        for name in dict(model.model.layers[0].named_parameters()):
            stacked = [layer.get_parameter(name) for layer in model.model.layers]
            if stacked[0].ndim == 1:
                continue
            fresh = rng.standard_normal((layers, *stacked[0].shape))
            if pattern == "walking":
                fresh = fresh.cumsum(axis=0)
            if pattern == "oscillating":
                signs = (-1.0) ** np.arange(layers)
                fresh = signs[:, None, None] * rng.standard_normal(stacked[0].shape) + 0.3 * fresh
            if pattern == "trending":
                start, slope = 3 * rng.standard_normal(stacked[0].shape), 0.3 * rng.standard_normal(stacked[0].shape)
                fresh = start + np.arange(layers)[:, None, None] * slope
            for parameter, values in zip(stacked, fresh, strict=True):
                parameter.copy_(torch.tensor(values))
    return model.eval()


def explained_model(r2: dict[str, float], width: int = 64) -> LlamaForCausalLM:
    """Each layer of a component is predicted from those before it with that R², by the paper's ridge.

    A layer is made of its own prediction p and of noise e as large as p: w = a p + b e has an R² of
    1 − ((a − 1)² + b²) / (a² + b²).
    """
    model = woven_model("independent", width=width)
    rng = np.random.default_rng(2)
    for name, wanted in r2.items():
        matrices = [layer.get_submodule(name).weight for layer in model.model.layers]
        made = [rng.standard_normal(matrices[0].shape) for _ in range(FIRST_TARGET)]
        share = 1.0 if wanted > 0 else -0.2
        noise = np.sqrt(((1 - wanted) * share**2 - (share - 1) ** 2) / wanted)
        for layer in range(FIRST_TARGET, LAYERS):
            known = layer_coefficients(LAYERS, layer, "elementwise", 1.0)
            predicted = np.einsum("k,kij->ij", known, np.array(made))
            made.append(share * predicted + noise * predicted.std() * rng.standard_normal(predicted.shape))
        with torch.no_grad():
            for matrix, values in zip(matrices, made, strict=True):
                matrix.copy_(torch.tensor(values / np.std(made[-1])))  # no R² changes with the scale of all layers
    return model


def mispredicted_model(errors: NDArray[np.float64], noise: float = 0.1) -> LlamaForCausalLM:
    """A writing model whose total moves by `errors[l]` when layer l is replaced by its prediction.

    Every matrix is the same in all layers, but for one weight a layer, which is its prediction less the
    error and by far the largest, so that sorting moves it nowhere. The layer's bias takes back what it writes.
    """
    count = len(errors)
    model = writing_model(np.zeros(count), noise)
    offset = 50.0  # beyond all other weights
    written = [offset] * FIRST_TARGET
    for layer in range(FIRST_TARGET, count):
        known = layer_coefficients(count, layer, "elementwise", 1.0)
        written.append(float(np.dot(known, written)) - errors[layer])
    sigmoid_of_anchor = 1 / (1 + np.exp(-(WIDTH**0.5)))  # the anchor enters a layer as √width
    with torch.no_grad():
        for layer, value in zip(model.model.layers, written, strict=True):
            layer.mlp.gate_proj.weight[0, 1] = 1.0
            layer.mlp.up_proj.weight[0, 1] = 1 / (WIDTH * sigmoid_of_anchor)
            layer.mlp.down_proj.weight[0, 0] = value
            layer.mlp.down_proj.bias[0] = -value
            for each in ("q_proj", "k_proj", "v_proj"):
                layer.self_attn.get_submodule(each).weight[0, 0] = 1e-3  # so that no component is all zeros
            layer.self_attn.o_proj.weight[2, 0] = 1e-3
            layer.post_attention_layernorm.weight.fill_(1.0)
    return model


def judge(model: LlamaForCausalLM, folder: Path, *claims: str, corpus: Path | None = None) -> dict[str, Verdict]:
    """Verdicts on a planted model, by the whole way from a saved model to a judged measurement."""
    save(folder, model, tokenizer())
    run = Run(Options(model=str(folder), device="cpu", allow_untrained=True, corpus=corpus))
    return {claim: run.judge(all_claims()[claim]) for claim in claims}
