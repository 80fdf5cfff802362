"""A model is judged fit by the text that a run scores, and every text that a run reads is looked at beforehand."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from transformers import AutoTokenizer, ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

from anatomy_bench.base.errors import InapplicableError, UnfitModelError, UsageError
from anatomy_bench.claim.claim import Need, VerdictWord
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.experiment import training_text
from anatomy_bench.registry import get_finding
from anatomy_bench.run.jobs import SubjectSource, run_job
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.values.corpus import load_corpus

GREEK = [
    "ο ήλιος βλέπει τη θάλασσα κάθε πρωί",  # noqa: RUF001
    "η θάλασσα βλέπει τον ήλιο κάθε πρωί",
    "ο άνεμος αγαπά τη θάλασσα κάθε πρωί",  # noqa: RUF001
    "η πόλη αγαπά τον ήλιο κάθε πρωί",
]


@pytest.fixture(scope="module")
def greek(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows a few Greek sentences by heart and has never seen English."""
    tokens = tiny.tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=tiny.VOCABULARY, hidden_size=32, intermediate_size=48, num_attention_heads=4,
            num_key_value_heads=2, num_hidden_layers=3, max_position_embeddings=tiny.CONTEXT,
        )  # fmt: skip
        model = LlamaForCausalLM(config)
        optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
        rows = [torch.tensor([ids]) for ids in tokens(GREEK)["input_ids"]]
        for step in range(80):
            ids = rows[step % len(rows)]
            model(input_ids=ids, labels=ids).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
    return tiny.save(tmp_path_factory.mktemp("models") / "greek", model.eval())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "greek.txt"
    path.write_text("\n".join(GREEK) + "\n", encoding="utf-8")
    return path


def a_run(model: Path, tmp_path: Path, **options: Any) -> Run:
    return Run(Options(str(model), device="cpu", **options), store=Store(tmp_path / "store"))


def test_a_model_is_fit_for_the_text_that_it_knows(greek: Path, corpus: Path, tmp_path: Path) -> None:
    run = a_run(greek, tmp_path, corpus=corpus)
    run.prepare()
    measured: Any = run.measure(Need("ablation"))
    assert measured.baseline_perplexity < 20
    with pytest.raises(UnfitModelError, match="no better than token frequencies"):
        a_run(greek, tmp_path).prepare()


def test_a_model_is_unfit_for_a_text_that_it_does_not_know(greek: Path, tmp_path: Path) -> None:
    path = tmp_path / "english.txt"
    path.write_text("\n".join(load_corpus("ten").sentences[:4]), encoding="utf-8")
    with pytest.raises(UnfitModelError, match="no better than token frequencies"):
        a_run(greek, tmp_path, corpus=path).prepare()


def test_a_worker_does_not_ask_for_english_either(greek: Path, corpus: Path, tmp_path: Path) -> None:
    run = a_run(greek, tmp_path, corpus=corpus)
    task = run.task(Need("ablation"))
    assert run_job(SubjectSource.of(run.options), task, task.jobs[0])


def test_beside_a_text_of_ones_own_there_is_no_second_opinion(greek: Path, corpus: Path, tmp_path: Path) -> None:
    run = a_run(greek, tmp_path, corpus=corpus)
    wide = Need("ablation", corpus="wide", layers=(1,))
    with pytest.raises(InapplicableError, match="beside --corpus there is no second text"):
        run.measure(wide)
    assert "second text" in run.plan([Need("ablation"), wide]).inapplicable[wide]


def tokens_of(model: Path, texts: tuple[str, ...]) -> int:
    return max(map(len, AutoTokenizer.from_pretrained(model)(list(texts))["input_ids"]))


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A model whose context has room for the text that is scored, and not for what layers are trained on."""
    folder = tiny.save(tmp_path / "short")
    config = LlamaConfig.from_pretrained(folder)
    config.max_position_embeddings = tokens_of(folder, training_text().sentences) - 1
    config.save_pretrained(folder)
    return folder


@pytest.fixture
def brief(tmp_path: Path) -> Path:
    path = tmp_path / "brief.txt"
    path.write_text("".join(f"The weather in city {each} is fine.\n" for each in range(6)))
    return path


def test_a_dry_run_finds_a_built_in_text_that_does_not_fit(short: Path, brief: Path, tmp_path: Path) -> None:
    run = a_run(short, tmp_path, allow_untrained=True, corpus=brief)
    run.prepare()
    plan = run.plan([Need("ablation"), Need("recovery")])
    assert [each.need for each in plan.measurements] == [Need("ablation")]
    assert "the built-in text recovery does not suit this model" in plan.inapplicable[Need("recovery")]


def test_claims_on_a_text_that_does_not_fit_do_not_apply(short: Path, brief: Path, tmp_path: Path) -> None:
    run = a_run(short, tmp_path, allow_untrained=True, corpus=brief)
    claim = next(each for each in get_finding("recovery").claims if each.id.endswith("budget-saving"))
    verdict = run.judge(claim)
    assert verdict.word is VerdictWord.NOT_APPLICABLE
    assert "the model reads" in verdict.reason


def test_a_text_of_ones_own_that_does_not_fit_is_refused_at_once(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "model")
    path = tmp_path / "long.txt"
    path.write_text("a b c d\n" + "word " * tiny.CONTEXT + "\n")
    with pytest.raises(UsageError, match=f"the model reads {tiny.CONTEXT}"):
        a_run(folder, tmp_path, corpus=path, allow_untrained=True).prepare()


@pytest.mark.parametrize("context", [-1, 0, 1])
def test_a_context_that_nothing_fits_in_is_refused(tiny_folder: Path, tmp_path: Path, context: int) -> None:
    folder = tiny.save(tmp_path / "none")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace(f'"max_position_embeddings": {tiny.CONTEXT}',
                                                     f'"max_position_embeddings": {context}'))  # fmt: skip
    with pytest.raises(UnfitModelError, match=f"reads {context} tokens"):
        a_run(folder, tmp_path, allow_untrained=True).prepare()


def test_a_tokenizer_of_bytes_needs_no_vocabulary_file(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(
            vocab_size=384, hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2,
            num_hidden_layers=3, max_position_embeddings=512, pad_token_id=0, eos_token_id=1, bos_token_id=None,
        ))  # fmt: skip
    folder = tiny.save(tmp_path / "bytes", model.eval(), ByT5Tokenizer())
    run = a_run(folder, tmp_path, allow_untrained=True)
    run.prepare()
    (first, *_) = load_corpus("ten").sentences
    assert len(run.subject.tokenize([first])[0]) == len(first.encode()) + 1


def test_the_settings_of_a_tokenizer_without_its_tokens_are_no_tokenizer(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "mute")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UnfitModelError) as refused:
        a_run(folder, tmp_path, allow_untrained=True).prepare()
    assert "tokenizer" in str(refused.value)
