"""What `make cuda` runs is seen to run on a CPU, in small sizes; its figures survive whatever stops a section."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch

import anatomy_bench
from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Need, Verdict, VerdictWord
from anatomy_bench.run.ledger import LEDGER_FILE, KeptMeasurement
from anatomy_bench.values.record import to_data

ROOT = Path(anatomy_bench.__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))  # where `python -m gpu` is run

from gpu import device, figures, launches, page, paper, parity  # noqa: E402
from gpu.sections import SECTIONS, body  # noqa: E402


def gpu(*arguments: Any) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(BENCHMARKS)])
    return subprocess.run(
        [sys.executable, "-m", "gpu", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


@pytest.fixture
def kept(tmp_path: Path) -> figures.Figures:
    return figures.Figures(tmp_path / "cuda.json", device.about("cpu"), model="tiny")


def read(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "cuda.json").read_text())


def test_every_section_but_the_paper_runs(tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "model", tiny.model(layers=4))
    sections = [each for each in SECTIONS if each != "paper"]
    asked = ("--device", "cpu", "--model", model, "--allow-untrained", "--small", "--json", tmp_path / "cuda.json")
    ended = gpu(*asked, "--only", *sections)
    assert ended.returncode == 0, ended.stderr
    found = read(tmp_path)["sections"]
    assert {name: each["state"] for name, each in found.items()} == dict.fromkeys(sections, "done")
    shown = {each["what"]: each["value"] for each in found["parity"]["figures"]}
    assert shown["the map's scores, float32: largest relative difference from the CPU's"] == 0  # it is the CPU
    assert {each for what, each in shown.items() if "same bits" in what} == {"yes"}
    assert 0 < shown["the map's scores, bfloat16 (the CPU's: float32): largest relative difference from the CPU's"] < 1
    text = (tmp_path / "cuda.md").read_text()
    assert "## The whole paper\n\nAbsent: not run." in text
    assert "no measurement of a GPU" in text


def test_without_cuda_it_says_so_in_one_line(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    ended = gpu("--json", tmp_path / "cuda.json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "0 CUDA devices" in ended.stderr
    assert not (tmp_path / "cuda.json").exists()


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_its_function(name: str) -> None:
    assert callable(body(name))


def test_a_section_that_fails_or_takes_too_long_keeps_its_figures(kept: figures.Figures, tmp_path: Path) -> None:
    def fails() -> None:
        kept.note("first", "a figure", 1.5, "s")
        raise RuntimeError("CUDA error: no kernel image\nand more")

    def takes_long() -> None:
        kept.note("second", "a figure", 2.5, "s")
        try:
            time.sleep(30)
        except Exception:  # noqa: BLE001 (which must not hold it up)
            time.sleep(30)

    kept.run("first", "First", fails, 10)
    kept.run("second", "Second", takes_long, 0.2)
    kept.run("third", "Third", lambda: kept.note("third", "a figure", 3.5), 10)
    sections = read(tmp_path)["sections"]
    assert [each["figures"][0]["value"] for each in sections.values()] == [1.5, 2.5, 3.5]
    states = [each["state"] for each in sections.values()]
    assert states == ["failed: RuntimeError: CUDA error: no kernel image", "stopped after 0 s", "done"]
    assert sections["second"]["seconds"] < 10


def test_what_a_killed_run_had_is_in_the_file(kept: figures.Figures, tmp_path: Path) -> None:
    def killed() -> None:
        kept.note("map", "a figure", 1.5, "s")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.run("map", "Map", killed, 10)
    found = read(tmp_path)
    assert found["sections"]["map"]["figures"][0]["value"] == 1.5
    assert "Cut short while it ran" in page.page(found)


def test_sections_of_an_earlier_run_are_kept_if_it_was_the_same_machine(kept: figures.Figures, tmp_path: Path) -> None:
    kept.run("map", "Map", lambda: kept.note("map", "a figure", 1.5), 10)
    path, about = tmp_path / "cuda.json", device.about("cpu")
    figures.Figures(path, about, model="other", add=True)
    assert read(tmp_path)["sections"]["map"]["model"] == "tiny"
    with pytest.raises(UsageError, match=r"another machine.*processor"):
        figures.Figures(path, {**about, "processor": "another"}, model="other", add=True)
    figures.Figures(path, about, model="other")
    assert read(tmp_path)["sections"] == {}


def test_ways_take_turns_forwards_and_backwards() -> None:
    called: list[str] = []
    ways = {name: lambda name=name: called.append(name) for name in ("a", "b")}
    taken = figures.interleaved(ways, lambda: None, rounds=3, seconds=60)
    assert "".join(called) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(rounds) for name, rounds in taken.items()} == {"a": 3, "b": 3}
    assert [len(each) for each in figures.interleaved(ways, lambda: None, rounds=3, seconds=-1).values()] == [1, 1]


def test_kernels_and_waits_are_told_apart() -> None:
    events = [
        launches.Event("gemm", on_device=True, microseconds=2000),
        launches.Event("softmax", on_device=True, microseconds=500),
        launches.Event("gemm", on_device=True, microseconds=1000),
        launches.Event("Memcpy HtoD (Pageable -> Device)", on_device=True, microseconds=100),
        launches.Event("Memcpy DtoH (Device -> Pageable)", on_device=True, microseconds=200),
        launches.Event("Memset (Device)", on_device=True, microseconds=200),
        launches.Event("cudaStreamSynchronize", on_device=False, microseconds=9000),
        launches.Event("cudaStreamSynchronize", on_device=False, microseconds=9000),
        launches.Event("cudaLaunchKernel", on_device=False, microseconds=9000),
    ]
    found = launches.counted(events)
    assert (found.launches, found.waits, found.busy_ms) == (3, 2, 4.0)
    assert found.by_kernel == (("gemm", 3.0), ("softmax", 0.5))


def test_a_difference_that_is_no_number_is_the_worst_there_is() -> None:
    assert parity.worst([[1.0, 2.2]], [[1.0, 2.0]]) == pytest.approx(0.1)
    assert parity.worst([[float("nan"), 2.0]], [[1.0, 2.0]]) == float("inf")
    with pytest.raises(ValueError, match="shapes"):
        parity.worst([[1.0]], [[1.0, 2.0]])


def test_a_bound_is_said_to_be_kept_or_missed(kept: figures.Figures, tmp_path: Path) -> None:
    def body() -> None:
        kept.note("map", "fast enough", 0.05, "s", rounds=[0.04, 0.06], at_most=0.1)
        kept.note("map", "too slow", 12.0, "", at_least=100)

    kept.run("map", "Map", body, 10)
    fast, slow = [line for line in page.page(read(tmp_path)).splitlines() if line.startswith(("| fast", "| too"))]
    assert "2: 0.04 to 0.06 s" in fast
    assert "≤ 0.1: kept" in fast
    assert "≥ 100: MISSED" in slow


def test_the_papers_figures_are_those_of_its_ledger(
    kept: figures.Figures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def session(setting: Any, report: Path, selected: list[str]) -> None:
        report.mkdir(parents=True)
        verdicts = [Verdict("a.b.c", VerdictWord.SUPPORTED), Verdict("a.b.d", VerdictWord.SUPPORTED)]
        kept = KeptMeasurement(Need("ablation", "wide", (3, 5)), {"seconds": 1.5})
        findings = [{"claims": [{"verdict": to_data(each)} for each in verdicts]}]
        (report / LEDGER_FILE).write_text(json.dumps({"findings": findings, "measurements": [to_data(kept)]}))

    monkeypatch.setattr(paper, "session", session)
    setting = SimpleNamespace(figures=kept, report=tmp_path / "report", workers=2, profile="paper", forget=lambda: None)
    kept.run("paper", "Paper", lambda: paper.paper(setting), 60)
    entry = read(tmp_path)["sections"]["paper"]
    assert entry["state"] == "done", entry
    found = {each["what"]: each["value"] for each in entry["figures"]}
    assert found["whole session: verdicts"] == "2 SUPPORTED"
    assert found["whole session: ablation, wide, layers 3, 5: seconds of its jobs in all processes"] == 1.5


@pytest.mark.skipif(not (ROOT / "docs" / "cuda.json").exists(), reason="no run on a GPU is on record")
def test_the_page_is_that_of_the_figures() -> None:
    measured = ROOT / "docs" / "cuda.json"
    assert measured.with_suffix(".md").read_text(encoding="utf-8") == page.page(json.loads(measured.read_text()))
