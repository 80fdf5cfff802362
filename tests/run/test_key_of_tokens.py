"""Token ids are part of what names a job: no tokenizer's option can hand one text's scores to another."""

import json
import shutil
from pathlib import Path

import pytest

from anatomy_bench.claim.claim import Need
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store

TEXT = "\n".join(f"Sentence {number} ends here.<end> So does this one." for number in range(6))


@pytest.fixture
def two(tiny_folder: Path, tmp_path: Path) -> tuple[Run, Run]:
    """A model, and a copy of it whose tokenizer reads special tokens as plain text; on one store."""
    split = shutil.copytree(tiny_folder, tmp_path / "split")
    config = split / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"split_special_tokens": True}))
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    one, other = (
        Run(Options(str(each), device="cpu", allow_untrained=True, corpus=text), store=Store(tmp_path / "store"))
        for each in (tiny_folder, split)
    )
    return one, other


def test_tokenizers_of_one_digest_share_no_job(two: tuple[Run, Run]):
    one, other = two
    assert one.subject.record.digest == other.subject.record.digest
    first, second = (run.measure(Need("ablation")) for run in two)
    assert first.corpus is not None
    assert second.corpus is not None
    assert first.corpus.digest == second.corpus.digest
    assert first.corpus.token_digest != second.corpus.token_digest
    assert first.corpus.tokens < second.corpus.tokens
    scores = [tuple(each.baseline_sentence_nll_nats) for each in (first, second)]  # type: ignore[attr-defined]
    assert scores[0] != scores[1]


def test_an_option_set_in_memory_names_other_jobs(tiny_folder: Path, tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    run = Run(Options(str(tiny_folder), device="cpu", allow_untrained=True, corpus=text), store=Store(tmp_path))
    before = run.task(Need("ablation")).circumstances
    run.subject.tokenizer.split_special_tokens = True
    after = run.task(Need("ablation")).circumstances
    assert {name for name, value in after.items() if before[name] != value} == {"tokens"}


def test_weights_alone_are_named_without_tokens(two: tuple[Run, Run]):
    one, other = (run.task(Need("structure")) for run in two)
    assert one.circumstances == other.circumstances
    assert one.circumstances["tokens"] is None
