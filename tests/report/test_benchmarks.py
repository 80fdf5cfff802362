"""Every benchmark runs on any model, notices what differs from the plain way, and its figures can be shown."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from ledgers import HOSTILE, ledger
from pages import assert_inert

import anatomy_bench
from anatomy_bench import cli
from anatomy_bench.report.benchmarks import SCALING, read_benchmarks
from anatomy_bench.report.html import html_report
from anatomy_bench.report.markdown import markdown_report
from anatomy_bench.run.ledger import write_ledger

ROOT = Path(anatomy_bench.__file__).parent.parent
FAST = {
    "bench_ablation.py::test_one_walk[float32]",
    "bench_ablation.py::test_one_walk[bfloat16]",
    "bench_growth.py::test_growth[those that are used]",
    "bench_growth.py::test_seeds[one by one]",
    "bench_recovery.py::test_recovery[one loop for all layers]",
    "bench_weights.py::test_structure[one matrix of inner products]",
    "bench_weights.py::test_predictability[one combination of layers]",
}
WRONG = """
from dataclasses import replace

import anatomy_bench.engine.sweep as sweep
import anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.engine.training as growth
import anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.regressions as regressions
import anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.engine.batched as recovery
import anatomy_bench.papers.anatomical_heterogeneity.experiments.structure.experiment as structure


def wrong(module, name, change):
    right = getattr(module, name)
    setattr(module, name, lambda *args, **kwargs: change(right(*args, **kwargs)))


def reversed_layers(module, name):
    right = getattr(module, name)
    setattr(module, name, lambda weights, unit: right(weights[::-1], unit))


def worse(values):
    return tuple(1.2 * value for value in values)


wrong(sweep, "sweep", lambda scores: {key: worse(row) for key, row in scores.items()})
wrong(recovery, "recover", lambda trained: {
    key: replace(each, sentence_nll_nats=tuple(map(worse, each.sentence_nll_nats))) for key, each in trained.items()
})
wrong(growth, "train", lambda trained: replace(trained, validations=tuple(
    replace(each, held_out_nats=1.2 * each.held_out_nats) for each in trained.validations
)))
reversed_layers(structure, "component_structure")
reversed_layers(regressions, "component_predictability")
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As deep as the shallowest that scaling is measured on."""
    return tiny.save(tmp_path_factory.mktemp("models") / "six-layers", tiny.model(layers=6))


def bench(model: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", "-rf", "--tb=no",
            "--model", str(model), "--device", "cpu", "--allow-untrained", *arguments,
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANATOMY_BENCH_CACHE": str(folder), "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of a run on a tiny model."""
    path = tmp_path_factory.mktemp("figures") / "benchmarks.json"
    ended = bench(model, path.parent, f"--benchmark-json={path}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return path


def test_every_benchmark_tells_what_it_is_and_what_it_took(measured: Path) -> None:
    read = json.loads(measured.read_text())
    assert read["machine_info"]["processor_name"]
    assert not {"node", "cpu"} & set(read["machine_info"])  # names of machines are nobody's business
    assert read["commit_info"]["project"] == "anatomy_bench"
    groups = {each["group"].partition(":")[0] for each in read["benchmarks"]}
    assert groups == {"ablation", "scaling", "recovery", "growth", "growth of 3 seeds", "structure", "predictability"}
    told = [each["extra_info"] for each in read["benchmarks"]]
    assert all({"way", "peak_bytes"} <= set(each) for each in told)
    walk = next(each for each in told if each["way"] == "one walk, float32")
    assert walk["share_of_product_rate"] == pytest.approx(walk["flops_per_second"] / walk["product_flops_per_second"])
    naive = next(each for each in told if each["way"] == "naive loop, float32")
    assert walk["flops"] < naive["flops"]


def test_ways_that_compute_something_else_fail(model: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    ended = bench(model, tmp_path, "-p", "wrong", "--benchmark-disable")
    failed = set(re.findall(r"^FAILED benchmarks/(.*?)(?: - .*)?$", ended.stdout, flags=re.MULTILINE))
    walks_of_sizes = {each for each in failed if each.startswith("bench_scaling.py::test_one_walk")}
    assert len(walks_of_sizes) == 3
    assert failed - walks_of_sizes == FAST


def test_a_report_shows_them(measured: Path) -> None:
    benchmarks = read_benchmarks(measured)
    text, page = markdown_report(ledger(), benchmarks), assert_inert(html_report(ledger(), benchmarks))
    for shown in (text, page.text):
        assert "Benchmarks" in shown
        assert all(group in shown for group in benchmarks.tables())
        assert "one walk, float32" in shown
    assert "Seconds by layers and by sentences" in page.text
    for without in (markdown_report(ledger()), html_report(ledger())):
        assert "Benchmarks" not in without


def test_the_first_way_of_a_group_is_what_others_are_held_against(measured: Path) -> None:
    for rows in read_benchmarks(measured).tables().values():
        assert rows[0][2] == "1"
        assert SCALING not in rows[0]


def test_names_in_a_file_from_elsewhere_do_no_harm(measured: Path, tmp_path: Path) -> None:
    data = json.loads(measured.read_text())
    data["machine_info"]["processor_name"] = HOSTILE
    for each in data["benchmarks"]:
        each["extra_info"]["way"] = HOSTILE
        if each["group"] != SCALING:
            each["group"] += HOSTILE
    path = tmp_path / "benchmarks.json"
    path.write_text(json.dumps(data))
    assert_inert(html_report(ledger(), read_benchmarks(path)))
    assert "<script" not in markdown_report(ledger(), read_benchmarks(path))


def call(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> Any:
    monkeypatch.setattr("sys.argv", ["anatomy-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_the_command_line_takes_the_file(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ledger(ledger(), tmp_path / "ledger.json")
    out = tmp_path / "out"
    assert call(monkeypatch, "report", tmp_path, "--out", out, "--benchmarks", measured) == 0
    assert "Benchmarks" in (out / "report.html").read_text(encoding="utf-8")
    for wrong in ("ledger.json", "none.json"):
        capsys.readouterr()
        assert call(monkeypatch, "report", tmp_path, "--out", out, "--benchmarks", tmp_path / wrong) == 2
        assert wrong in capsys.readouterr().err
