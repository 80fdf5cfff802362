"""What a dry run says beforehand is what the run then does: jobs, operations and memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch.utils.flop_counter import FlopCounterMode

import anatomy_bench
from anatomy_bench import cli
from anatomy_bench.claim.claim import Claim, Need
from anatomy_bench.registry import all_claims, experiment_names, get_experiment
from anatomy_bench.report.planned import duration_text, plan_text
from anatomy_bench.run.options import Options
from anatomy_bench.run.plan import needs_of
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.subject import Subject
from anatomy_bench.values.corpus import load_corpus
from anatomy_bench.values.profile import Profile

EVERY = [Need(name) for name in experiment_names()]


@pytest.fixture
def run(tiny_folder: Path, tmp_path: Path) -> Run:
    return Run(Options(str(tiny_folder), device="cpu", allow_untrained=True), store=Store(tmp_path / "store"))


def test_planning_measures_and_keeps_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for need in EVERY:
        monkeypatch.setattr(type(get_experiment(need.experiment)), "run", lambda *_: pytest.fail("measured"))
    plan = run.plan(EVERY)
    assert {each.need for each in plan.measurements} == set(EVERY)
    assert not any(each.is_stored for each in plan.measurements)
    assert all(len(each.missing) == each.jobs > 0 for each in plan.measurements)
    assert all(cost.flops > 0 < cost.bytes for each in plan.measurements for cost in each.missing)
    assert not list(run._store.folder.rglob("*.json"))
    assert "Nothing was measured." in plan_text(plan)


def test_what_is_stored_is_not_planned(run: Run) -> None:
    run.measure(Need("structure"))
    (planned,) = run.plan([Need("structure")]).measurements
    assert planned.is_stored
    assert (planned.jobs, planned.flops, planned.bytes) == (7, 0, 0)
    next(run._store.folder.rglob("*.json")).unlink()
    (planned,) = run.plan([Need("structure")]).measurements
    assert (planned.jobs, len(planned.missing), planned.is_stored) == (7, 1, False)


def test_fresh_plans_everything_again(tiny_folder: Path, tmp_path: Path) -> None:
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    Run(options, store=Store(tmp_path)).measure(Need("structure"))
    again = Run(Options(str(tiny_folder), device="cpu", allow_untrained=True, fresh=True), store=Store(tmp_path))
    (planned,) = again.plan([Need("structure")]).measurements
    assert len(planned.missing) == planned.jobs


def test_what_follows_from_a_measurement_is_a_lower_bound_until_that_is_made(run: Run) -> None:
    before = run.plan([Need("manipulation")])
    assert [each.need.experiment for each in before.measurements] == ["ablation", "manipulation"]
    assert [each.is_whole for each in before.measurements] == [True, False]
    assert "≥" in plan_text(before)
    run.measure(Need("ablation"))
    after = run.plan([Need("manipulation")])
    assert [each.is_whole for each in after.measurements] == [True, True]
    assert after.measurements[1].flops >= before.measurements[1].flops
    run.measure(Need("manipulation"))
    assert plan_text(run.plan([Need("manipulation")])).endswith("Nothing to measure: all of it is stored.")


def reads_the_subject(claim: Claim) -> bool:
    """Not so of claims on models that are trained from scratch, which takes minutes."""
    return all(get_experiment(need.experiment).reads_subject for need in claim.needs)


def test_a_run_measures_what_was_planned(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = [claim for claim in all_claims().values() if claim.runs_model and reads_the_subject(claim)]
    planned = {each.need: each for each in run.plan(needs_of(claims, run.subject.record.layers)).measurements}
    put: list[dict[str, Any]] = []
    monkeypatch.setattr(Store, "put", lambda store, key, finished: put.append(key))
    for claim in claims:
        run.judge(claim)
    assert set(run.measurements) == set(planned)
    exact = {need.experiment for need, each in planned.items() if each.is_whole}
    done = sum(key["experiment"] in exact for key in put)
    assert done == sum(each.jobs for each in planned.values() if each.is_whole)


@pytest.mark.parametrize("experiment", ["ablation", "recovery", "noise_floor"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_operations_are_those_that_pytorch_counts(
    tmp_path: Path, experiment: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "alike.txt"
    corpus.write_text("\n".join([load_corpus("ten").sentences[0]] * 4))  # no padding, which is not counted
    made = Run(Options(corpus=corpus, device="cpu", profile=Profile.QUICK), store=Store(tmp_path))
    vars(made)["subject"] = Subject(tiny.model(architecture), tiny.tokenizer(), name=architecture)
    monkeypatch.setattr(
        "anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.experiment.training_text",
        lambda: made.corpus,
    )
    (planned,) = made.plan([Need(experiment)]).measurements
    with FlopCounterMode(display=False) as counter:
        made.measure(Need(experiment))
    # Norms and biases count as if they were multiplied with; a plain pass counts layers that are skipped.
    assert planned.flops == pytest.approx(counter.get_total_flops(), rel=0.1)


PEAK = """
import sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, LlamaConfig
import tiny
from measuring import PeakMemory
from anatomy_bench.claim.claim import Need
from anatomy_bench.values.corpus import load_corpus
from anatomy_bench.values.profile import Profile
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.subject import Subject

experiment, sentences, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
(folder / "text").write_text("\\n".join(load_corpus("wide").sentences[:sentences]))
run = Run(Options(corpus=folder / "text", device="cpu", profile=Profile.QUICK), store=Store(folder / "store"))
config = LlamaConfig(
    vocab_size=8192, hidden_size=512, intermediate_size=1408, num_hidden_layers=6, num_attention_heads=8,
    bos_token_id=0, eos_token_id=0, pad_token_id=0,
)
model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
run.subject = Subject(model, tiny.tokenizer(), name="wide")
need = Need(experiment, layers=(0, 5) if experiment == "recovery" else None)
(planned,) = run.plan([need]).measurements
peak = PeakMemory(run.subject.device)
peak.begin()
run.measure(need)
print(planned.bytes, peak.bytes())
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux' high-water mark")
@pytest.mark.parametrize(("experiment", "sentences"), [("ablation", 24), ("structure", 1), ("recovery", 4)])
def test_the_peak_stays_under_what_was_said(experiment: str, sentences: int, tmp_path: Path) -> None:
    root = Path(anatomy_bench.__file__).parent.parent
    code = f"import sys; sys.path[:0] = {[str(root / 'tests'), str(root / 'benchmarks')]!r}\n{PEAK}"
    command = [sys.executable, "-c", code, experiment, str(sentences), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    planned, measured = map(int, ended.stdout.split())
    assert planned / 4 < measured < planned


def test_the_command_line_says_it_and_measures_nothing(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(tmp_path / "cache"))
    options = ["--model", str(tiny_folder), "--device", "cpu", "--allow-untrained", "--dry-run"]
    for arguments in (["verify", *options], ["measure", "manipulation", *options]):
        monkeypatch.setattr(sys, "argv", ["anatomy-bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        told = capsys.readouterr().out
        assert "manipulation" in told
        assert "Nothing was measured." in told
    assert not list((tmp_path / "cache").rglob("*.json"))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "1 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h"), (36000, "10.0 h")],
)
def test_durations_are_in_the_unit_that_a_person_would_name(seconds: float, told: str) -> None:
    assert duration_text(seconds) == told


def test_bfloat16_takes_half_the_weights_and_the_reference_beside_them() -> None:
    single = Subject(tiny.model("llama"), tiny.tokenizer(), name="single").size
    half = Subject(tiny.model("llama").to(torch.bfloat16), tiny.tokenizer(), name="half").size
    assert single.weight_bytes == 2 * half.weight_bytes
