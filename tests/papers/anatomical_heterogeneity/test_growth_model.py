"""The growth experiment's model is a Llama whose layers differ in width, can be left out, and can be cloned."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.arms import published_parameters
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.model import GrowthModel, clone_layer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.training import complete, next_token_loss
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.experiment import ARCHITECTURE
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import (
    Architecture,
    LayerClone,
    Phase,
    Setup,
    step_flops,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.text import END

WIDTH, VOCABULARY = 16, 30


def made(*multipliers: int, seed: int = 0) -> GrowthModel:
    return GrowthModel(Architecture(VOCABULARY, WIDTH, 2, multipliers), torch.Generator().manual_seed(seed))


def rows(count: int = 3, tokens: int = 8, seed: int = 1) -> torch.Tensor:
    return torch.randint(4, VOCABULARY, (count, tokens), generator=torch.Generator().manual_seed(seed))


def test_the_model_has_exactly_the_parameters_of_table_6():
    assert GrowthModel(ARCHITECTURE, torch.Generator()).parameter_count == ARCHITECTURE.parameters == 9_570_048
    assert published_parameters() == 9_570_048


def as_llama(model: GrowthModel, multiplier: int) -> LlamaForCausalLM:
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=multiplier * WIDTH, num_attention_heads=2,
            num_hidden_layers=len(model.layers), tie_word_embeddings=True, rms_norm_eps=1e-6, pad_token_id=0,
        )
    )  # fmt: skip
    names = {
        "attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "query": "self_attn.q_proj",
        "key": "self_attn.k_proj", "value": "self_attn.v_proj", "output": "self_attn.o_proj",
        "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
    }  # fmt: skip
    with torch.no_grad():
        for mine, theirs in zip(model.layers, llama.model.layers, strict=True):
            for name, other in names.items():
                theirs.get_submodule(other).weight.copy_(mine.get_submodule(name).weight)
        llama.model.norm.weight.copy_(model.norm.weight)
        llama.model.embed_tokens.weight.copy_(model.embedding.weight)
    return llama.eval()


def roughened(model: GrowthModel) -> GrowthModel:
    """With weights so large, and norms so uneven, that every part matters."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def test_with_equal_widths_it_computes_what_llama_does():
    model = roughened(made(2, 2, 2))
    with torch.no_grad():
        torch.testing.assert_close(model(rows(), range(3)), as_llama(model, 2)(rows()).logits, atol=2e-5, rtol=1e-4)


def test_layers_that_do_not_run_are_as_if_they_were_not_there():
    model = roughened(made(2, 2, 2))
    shorter = as_llama(model, 2)
    del shorter.model.layers[1]
    with torch.no_grad():
        torch.testing.assert_close(model(rows(), (2, 0)), shorter(rows()).logits, atol=2e-5, rtol=1e-4)


def test_layers_that_do_not_run_are_never_called():
    model = made(1, 1, 1)
    model.layers[1].forward = lambda *_: pytest.fail("called")
    model(rows(), (0, 2))


def test_a_clone_without_noise_is_a_copy_and_a_narrower_one_its_first_units():
    model = made(4, 4, 1)
    before = model.layers[0].state_dict()
    for target in (1, 2):
        clone_layer(model, LayerClone(0, target, relative_noise=0.0), torch.Generator())
    for name, weight in before.items():
        assert torch.equal(model.layers[1].state_dict()[name], weight)
    narrow = model.layers[2]
    assert torch.equal(narrow.gate.weight, before["gate.weight"][:WIDTH])
    assert torch.equal(narrow.down.weight, before["down.weight"][:, :WIDTH])
    assert torch.equal(narrow.query.weight, before["query.weight"])


def test_a_clone_has_noise_of_the_size_asked_for_and_its_feed_forward_block_scaled():
    model = GrowthModel(Architecture(VOCABULARY, 64, 2, (2, 2)), torch.Generator().manual_seed(0))
    clone_layer(model, LayerClone(0, 1, relative_noise=0.5, ffn_scale=0.5), torch.Generator().manual_seed(1))
    source, target = model.layers
    for name in ("query", "output"):
        noise = target.get_submodule(name).weight - source.get_submodule(name).weight
        assert (noise.std() / source.get_submodule(name).weight.std()).item() == pytest.approx(0.5, rel=0.05)
    for name in ("gate", "up", "down"):
        noise = 2 * target.get_submodule(name).weight - source.get_submodule(name).weight
        assert (noise.std() / source.get_submodule(name).weight.std()).item() == pytest.approx(0.5, rel=0.05)
    assert torch.equal(target.ffn_norm.weight, source.ffn_norm.weight)


@pytest.mark.parametrize(
    "phase",
    [
        Phase(1, (0, 1, 2), (0, 1, 2)),
        Phase(1, (1, 2), (2,)),
        Phase(1, (0, 1, 2), (1,), trains_embedding=False),
        Phase(1, (0, 2), (0,), trains_embedding=False),
    ],
    ids=["all", "frozen below", "frozen below and embedding", "frozen above and embedding"],
)
def test_operations_are_those_that_torch_counts(phase: Phase):
    model = made(1, 4, 2)
    setup = Setup(Architecture(VOCABULARY, WIDTH, 2, (1, 4, 2)), 3, 7, 0.1, 0.0, 1.0, 1, (), 1)
    model.requires_grad_(False)
    for layer in phase.trained:
        model.layers[layer].requires_grad_(True)
    for each in (model.embedding, model.norm):
        each.requires_grad_(phase.trains_embedding)
    plain_attention = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with plain_attention, FlopCounterMode(display=False) as counter:
        next_token_loss(model, rows(), phase.running).backward()
    assert step_flops(setup, phase) == counter.get_total_flops()


def test_completions_are_greedy_and_do_not_depend_on_one_another():
    model = roughened(made(1, 1, 1))
    prompts = [[2, 7, 9], [2, 8], [2, 5, 6, 4, 4, 10]]
    for prompt, ids in zip(prompts, complete(model, prompts, range(3), at_most=6), strict=True):
        for length in range(len(ids)):
            with torch.no_grad():
                logits = model(torch.tensor([prompt + ids[:length]]), range(3))
            assert ids[length] == logits[0, -1].argmax()


def test_a_completion_stops_at_the_end_of_a_sentence_or_at_its_limit():
    model = roughened(made(1, 1, 1))
    with torch.no_grad():
        model.norm.weight.fill_(1.0)
        model.embedding.weight.zero_()
        model.embedding.weight[9] = 1.0  # followed by the token whose embedding is longest its way
        model.embedding.weight[8, 0], model.embedding.weight[7, 0] = 1.0, 2.0
        model.embedding.weight[END] = 2.0
        model.embedding.weight[END, 0] = -40.0
        model.embedding.weight[9, 0] = -1.0
    assert complete(model, [[8], [9]], (), at_most=4) == [[7, 7, 7, 7], [END]]
