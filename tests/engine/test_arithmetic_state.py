"""Whatever a process has set, scores and stored jobs are those of a fresh process; and it gets its settings back."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Need
from anatomy_bench.engine import arithmetic
from anatomy_bench.engine.arithmetic import plain_arithmetic, require_float32
from anatomy_bench.engine.interventions import Intact, Skip
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store

CPU = torch.device("cpu")


def lower_products() -> None:
    torch.set_float32_matmul_precision("medium")


def newer_interface() -> None:
    if not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("PyTorch before 2.9")
    torch.backends.mkldnn.fp32_precision = "bf16"  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"


def older_interface() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = False


def without_fused_attention() -> None:
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)


def without_onednn() -> None:
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]


STATES: dict[str, Callable[[], Any]] = {
    "medium": lower_products,
    "newer-interface": newer_interface,
    "older-interface": older_interface,
    "float64": lambda: torch.set_default_dtype(torch.float64),
    "half": lambda: torch.set_default_dtype(torch.float16),
    "attention": without_fused_attention,
    "no-onednn": without_onednn,
    "flush-denormal": lambda: torch.set_flush_denormal(True),
    "deterministic": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "reductions": lambda: setattr(torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False),
}
CONTEXTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference": torch.inference_mode,
    "no-grad": torch.no_grad,
    "device": lambda: torch.device("meta"),
}
CASES = [
    *(pytest.param(state, nullcontext, id=name) for name, state in STATES.items()),
    *(pytest.param(lambda: None, context, id=name) for name, context in CONTEXTS.items()),
]


def settings() -> list[Any]:
    return [each.read() for each in arithmetic._settings(None)]


@pytest.fixture(autouse=True)
def restored():
    """Each test leaves the process as it found it, by means of its own."""
    with plain_arithmetic():
        yield


@pytest.mark.parametrize(("set_state", "context"), CASES)
def test_a_process_gets_its_settings_back(set_state: Callable[[], Any], context: Any):
    plain = settings()
    set_state()
    with context():
        before = settings(), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled(), torch.get_default_device()
        with plain_arithmetic():
            assert settings() == plain
            assert not torch.is_autocast_enabled("cpu")
            assert torch.is_grad_enabled()
            assert torch.get_default_device().type == "cpu"
        with pytest.raises(KeyError), plain_arithmetic():
            raise KeyError
        after = settings(), torch.is_autocast_enabled("cpu"), torch.is_grad_enabled(), torch.get_default_device()
        assert after == before


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide enough that products in lower precision are taken where they are allowed."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=tiny.VOCABULARY, hidden_size=256, intermediate_size=512, num_attention_heads=4,
            num_hidden_layers=3, max_position_embeddings=tiny.CONTEXT, initializer_range=0.1,
        )  # fmt: skip
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return tiny.save(tmp_path_factory.mktemp("wide") / "model", model)


def run_of(model: Path, store: Path) -> Run:
    return Run(Options(str(model), device="cpu", allow_untrained=True), store=Store(store))


@pytest.fixture(scope="module")
def scores(wide: Path, tmp_path_factory: pytest.TempPathFactory):
    """Of a plain process: by the sweep, and by the reference."""
    return scored(wide, tmp_path_factory.mktemp("plain"))


def scored(model: Path, store: Path) -> list[Any]:
    run = run_of(model, store)
    sentences = run.subject.tokenize(run.corpus.sentences[:3])
    variants = [Intact(), Skip(1)]
    return [
        run.subject.record.digest,
        run.subject.score(sentences, variants),
        run.subject.score_plainly_in_float32(sentences, variants),
    ]


@pytest.mark.parametrize(("set_state", "context"), CASES)
def test_scores_are_the_same_bits(scores, wide: Path, tmp_path: Path, set_state: Callable[[], Any], context: Any):
    set_state()
    with context():
        assert scored(wide, tmp_path) == scores


def test_jobs_are_the_same_bits(wide: Path, tmp_path: Path):
    """Of scoring, and of training, which no enclosing inference mode must forbid; with all settings at once."""

    def measured(store: str) -> list[Any]:
        run = run_of(wide, tmp_path / store)
        ablation, recovery = (run.measure(Need(name, layers=(1,))) for name in ("ablation", "recovery"))
        return [ablation.layers, recovery.recoveries]  # type: ignore[attr-defined]

    plain = measured("plain")
    for set_state in STATES.values():
        set_state()
    with ExitStack() as stack:
        for context in CONTEXTS.values():
            stack.enter_context(context())
        assert measured("set") == plain


def test_these_settings_would_change_scores(scores, wide: Path, tmp_path: Path):
    """The tests above can fail: without the pins, autocast and lower precision are seen in the same numbers."""
    run = run_of(wide, tmp_path)
    sentences = run.subject.tokenize(run.corpus.sentences[:3])
    score = type(run.subject).score.__wrapped__  # type: ignore[attr-defined]
    assert score(run.subject, sentences, [Intact()])[Intact()] == scores[1][Intact()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert score(run.subject, sentences, [Intact()])[Intact()] != scores[1][Intact()]


def test_products_of_lower_precision_are_refused(monkeypatch: pytest.MonkeyPatch, wide: Path, tmp_path: Path):
    """Whatever lowers them, though no setting of PyTorch says so."""
    require_float32(CPU)
    run = run_of(wide, tmp_path)
    matmul = torch.Tensor.__matmul__

    def lower(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        if left.dtype == torch.float64:
            return matmul(left, right)
        return matmul(left.bfloat16(), right.bfloat16()).float()

    assert run.subject.record.layers == 3
    monkeypatch.setattr(torch.Tensor, "__matmul__", lower)
    with pytest.raises(UsageError, match="products of float32 on cpu are off by"):
        run.measure(Need("ablation"))
    assert list(tmp_path.rglob("*.json")) == []


def test_what_libraries_are_told_stands_in_the_key(monkeypatch: pytest.MonkeyPatch, wide: Path, tmp_path: Path):
    """Measured: `MKL_CBWR=COMPATIBLE` changes the last bits of a product and leaves PyTorch's own answer as it is."""
    run = run_of(wide, tmp_path)
    task = run.task(Need("ablation"))
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    other = run.task(Need("ablation"))
    assert other.circumstances["instructions"] == f"{task.circumstances['instructions']} MKL_CBWR=COMPATIBLE"
    assert {name for name, value in other.circumstances.items() if task.circumstances[name] != value} == {
        "instructions"
    }


def test_a_job_is_done_with_the_threads_of_its_key(wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from dataclasses import replace

    from anatomy_bench.base.progress import SilentProgress
    from anatomy_bench.experiments.ablation.experiment import Ablation
    from anatomy_bench.run.jobs import do_job

    run, seen = run_of(wide, tmp_path), []
    monkeypatch.setattr(Ablation, "run", lambda *_: seen.append(torch.get_num_threads()) or {})
    task = run.task(Need("ablation"))
    threads = torch.get_num_threads()
    setting = replace(task.setting, provenance=replace(task.setting.provenance, threads=threads + 1))
    do_job(replace(task, setting=setting), task.jobs[0], run.subject, SilentProgress())
    assert seen == [threads + 1]
    assert torch.get_num_threads() == threads
