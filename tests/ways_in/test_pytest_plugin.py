"""Claims as tests: loaded late, measured once, judged the same however they are run."""

import html
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from claim_runs import (
    CLAIM_TESTS,
    CLAIMS,
    FINDINGS,
    LEAN,
    SHORT_NAMES,
    WITH_MODEL,
    WITHOUT_MODEL,
    RunClaims,
    outcomes,
    verdict_words,
)
from crashes import untimed

from anatomy_bench.claim.claim import Claim, Kind
from anatomy_bench.registry import get_finding
from anatomy_bench.run.ledger import read_ledger
from anatomy_bench.run.options import Keeping, Options, Selection, declared

HEAVY = {"torch", "transformers", "sklearn", "scipy", "pydantic", "matplotlib", "jinja2"}

# Writes down what a session has loaded by its end.
NOTING_MODULES = f"""
{SHORT_NAMES}
import sys
from pathlib import Path

def pytest_unconfigure(config):
    Path(__file__).with_name("loaded").write_text(" ".join({HEAVY!r} & sys.modules.keys()))
"""
# Writes down every unit that any process of a session puts into the store.
NOTING_JOBS = f"""
{SHORT_NAMES}
from pathlib import Path
from anatomy_bench.run.store import Store

def pytest_configure(config):
    put = Store.put

    def noted(self, key, finished):
        with Path(__file__).with_name("jobs").open("a") as file:
            file.write(str(key) + chr(10))
        put(self, key, finished)

    Store.put = noted
    config.add_cleanup(lambda: setattr(Store, "put", put))
"""


def test_a_project_that_makes_no_claims_pays_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(NOTING_MODULES)
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert (pytester.path / "loaded").read_text() == ""
    assert "verdicts" not in result.stdout.str()


def test_importing_the_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    heavy = HEAVY | {"numpy"}
    code = f"import sys, anatomy_bench.pytest_plugin; print(sorted({heavy} & sys.modules.keys()))"
    assert pytester.run(sys.executable, "-c", code).outlines == ["[]"]


def test_collecting_is_a_table_of_contents(run_claims: RunClaims) -> None:
    result = run_claims("--collect-only", "-q", model="./nothing")
    assert result.ret == 0
    listed = [line for line in result.outlines if "::" in line]
    in_order = sorted(FINDINGS, key=lambda finding: get_finding(finding).order)
    assert in_order != list(FINDINGS)  # that of the file
    assert listed == [
        f"test_claims.py::test_{finding.replace('-', '_')}[{claim.id}]"
        for finding in in_order
        for claim in get_finding(finding).claims
    ]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["-k", "delta-correlation.universal"], lambda claim: claim.id.endswith("delta-correlation.universal")),
        (["-k", "control"], lambda claim: claim.kind is Kind.CONTROL),
        (["-m", "control"], lambda claim: claim.kind is Kind.CONTROL),
        (["-m", "model"], lambda claim: claim.runs_model),
        (["-m", "gpu"], lambda claim: claim.runs_model),
        (["-m", "not model"], lambda claim: not claim.runs_model),
        (["--finding", "delta-correlation"], lambda claim: ".delta-correlation." in claim.id),
        (
            ["--finding", "delta-correlation", "--finding", "arithmetic"],
            lambda claim: ".importance-hierarchy." not in claim.id,
        ),
        (["--paper", "anatomical-heterogeneity"], lambda claim: True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_claims_are_chosen_by_id_kind_paper_and_finding(
    run_claims: RunClaims, asked: list[str], found: Callable[[Claim], bool]
) -> None:
    result = run_claims("--collect-only", "-q", *asked, model="./nothing")
    listed = {line.partition("[")[2].rstrip("]") for line in result.outlines if "::" in line}
    assert listed == {claim.id for claim in CLAIMS if found(claim)}


@pytest.mark.parametrize(("option", "name"), [("--paper", "nobody"), ("--finding", "nothing")])
def test_a_paper_or_finding_that_is_not_there_is_a_usage_error(run_claims: RunClaims, option: str, name: str) -> None:
    result = run_claims(option, name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert name in result.stderr.str() + result.stdout.str()


def test_the_sentence_stands_in_the_verbose_collection(run_claims: RunClaims) -> None:
    listed = run_claims("--collect-only", "-v", model="./nothing").stdout.str()
    assert all(claim.statement in listed for claim in CLAIMS)


def test_options_stand_in_a_group_of_their_own_with_help(run_claims: RunClaims) -> None:
    help_text = run_claims("--help").stdout.str()
    group = help_text.partition("claims about transformer layer anatomy:")[2].partition("\n\n")[0]
    offered = re.findall(r"^  --([\w-]+)", group, re.MULTILINE)
    options = [each for kind in (Options, Selection, Keeping) for each in declared(kind)]
    assert set(offered) == {f"{prefix}{each.flag}" for each in options for prefix in ("", "anatomy-")}
    flat = " ".join(group.split())
    assert all(each.help in flat for each in options)


def test_the_model_is_named_before_the_first_test(run_claims: RunClaims, learnt: Path) -> None:
    lines = run_claims("-k", "delta_correlation").outlines
    named = next(place for place, line in enumerate(lines) if line.startswith(f"{learnt}: LlamaForCausalLM, 4 layers"))
    assert named < next(place for place, line in enumerate(lines) if line.startswith("test_claims.py"))


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_published_and_measured_values_reach_junit(
    run_claims: RunClaims, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    run_claims("--report", "out", "--junit-xml", "junit.xml", *workers)
    cases = [
        {each.get("name"): each.get("value") for each in case.iter("property")}
        for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    ]
    by_claim = {case["anatomy_bench_claim"]: case for case in cases}
    ledger = read_ledger(pytester.path / "out" / "ledger.json")
    assert list(by_claim) == list(verdict_words(ledger)) or workers
    for claim in (claim for finding in ledger.findings for claim in finding.claims):
        told, verdict = by_claim[claim.id], claim.verdict
        assert told["anatomy_bench_statement"] == claim.statement
        assert told["anatomy_bench_verdict"] == verdict.word.value
        assert told["anatomy_bench_criterion"] == claim.criterion
        for name, value in (("published", claim.published), ("measured", verdict.value)):
            found = told.get(f"anatomy_bench_{name}")
            assert (found and float(found)) == value
        assert ("anatomy_bench_interval95_low" in told) == (verdict.interval95 is not None)
        assert ("anatomy_bench_subject" in told) == bool(claim.needs)


def test_the_first_failure_ends_a_run_that_is_told_so(run_claims: RunClaims, pytester: pytest.Pytester) -> None:
    result = run_claims("-x", "--report", "out", "--durations", "3")
    assert outcomes(result)["failed"] == 1
    assert "slowest 3 durations" in result.stdout.str()
    assert "= verdicts =" in result.stdout.str()
    judged = verdict_words(read_ledger(pytester.path / "out" / "ledger.json"))
    assert len(judged) == sum(outcomes(result).values())


def test_only_what_failed_runs_again(pytester: pytest.Pytester, learnt: Path) -> None:
    pytester.makepyfile(test_claims=CLAIM_TESTS)
    pytester.makeconftest(SHORT_NAMES)
    options = [
        *LEAN[2:],
        "test_claims.py",
        "--device",
        "cpu",
        "--model",
        str(learnt),
        "--allow-untrained",
        "-k",
        "importance_hierarchy",
    ]
    failed = outcomes(pytester.runpytest_inprocess(*options))["failed"]
    again = outcomes(pytester.runpytest_inprocess(*options, "--lf"))
    assert (again["failed"], again.get("passed", 0)) == (failed, 0)


def test_claims_without_a_model_load_none(run_claims: RunClaims, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(NOTING_MODULES)
    result = run_claims("-m", "not model", model="./nothing", in_process=False)
    found = outcomes(result)
    assert found.pop("deselected") == len(WITH_MODEL)
    assert sum(found.values()) == len(WITHOUT_MODEL)
    assert not {"torch", "transformers"} & set((pytester.path / "loaded").read_text().split())


@pytest.mark.parametrize("option", [["--dtype", "float8"], ["--profile", "slow"], ["--seed", "one"], ["--seed", "-1"]])
def test_a_bad_option_is_a_usage_error(run_claims: RunClaims, option: list[str]) -> None:
    result = run_claims(*option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert any(option[0] in line for line in result.errlines)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("unfit", [False, True], ids=["unknown", "unfit"])
def test_a_model_that_cannot_be_judged_on_ends_the_run(
    run_claims: RunClaims, learnt: Path, workers: tuple[str, ...], unfit: bool
) -> None:
    model, code, told = (learnt, 3, "no better than token") if unfit else ("./nothing", 2, "no such model: ./nothing")
    result = run_claims("-k", "delta_correlation", *workers, model=model, allow=False)
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == code
    assert told in output
    assert not re.search("Traceback|INTERNALERROR|node down", output)
    assert "passed" not in outcomes(result)


def test_a_failed_claim_tells_the_numbers_that_decided(run_claims: RunClaims) -> None:
    result = run_claims("-k", "importance_hierarchy")
    assert result.ret == 1
    # pytest repeats a failure's whole message in its short summary where it knows that CI runs it.
    told = {line for line in result.outlines if line.startswith("INCONCLUSIVE: published 0, measured ")}
    assert len(told) == 2  # what the first layer costs
    form = r"INCONCLUSIVE: published 0, measured \S+ \[.+, .+\] %; holds if < 10"
    assert all(re.fullmatch(form, each) for each in told)


def test_the_summary_is_in_the_papers_order(run_claims: RunClaims) -> None:
    shown = run_claims().stdout.str().partition("= verdicts =")[2]
    in_order = sorted((get_finding(finding) for finding in FINDINGS), key=lambda finding: finding.order)
    places = [shown.find(f"\n{finding.title}: ") for finding in in_order]
    assert -1 not in places
    assert places == sorted(places)


def test_workers_do_every_job_once_and_judge_as_one_process_does(
    run_claims: RunClaims, pytester: pytest.Pytester, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeconftest(NOTING_JOBS)
    with_workers = run_claims("-n", "2", "--report", "workers", "--record-expected")
    assert with_workers.ret == 0
    measured = Counter((pytester.path / "jobs").read_text().splitlines())
    stored = {path: path.stat().st_mtime_ns for path in cache.rglob("store/*/*/*.json")}
    assert set(measured.values()) == {1}
    assert measured.total() == len(stored) == 1 + 7 + 2  # a sweep, components, the noise floor both ways

    again = run_claims("--report", "again")
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    monkeypatch.setenv("ANATOMY_BENCH_CACHE", str(pytester.path / "elsewhere"))
    alone = run_claims("--report", "alone")
    assert outcomes(again) == outcomes(alone) == outcomes(with_workers)
    ledgers = [read_ledger(pytester.path / each / "ledger.json") for each in ("workers", "again", "alone")]
    assert verdict_words(ledgers[0]) == verdict_words(ledgers[1]) == verdict_words(ledgers[2])
    assert len(verdict_words(ledgers[0])) == len(CLAIMS)
    by_workers, _, by_one = ({each.need: untimed(each.data) for each in ledger.measurements} for ledger in ledgers)
    assert by_workers == by_one


def test_the_report_is_whole(run_claims: RunClaims, pytester: pytest.Pytester, learnt: Path) -> None:
    result = run_claims("--report", "out")
    ledger = read_ledger(pytester.path / "out" / "ledger.json")
    assert ledger.subject is not None
    assert (ledger.subject.name, ledger.subject.layers) == (str(learnt), 4)
    assert list(verdict_words(ledger)) == [
        claim.id
        for finding in sorted(map(get_finding, FINDINGS), key=lambda each: each.order)
        for claim in finding.claims
    ]
    words = Counter(verdict_words(ledger).values())
    found = outcomes(result)
    assert (words["SUPPORTED"], words["NOT_APPLICABLE"]) == (found["passed"], found["skipped"])
    assert words["REFUTED"] + words["INCONCLUSIVE"] == found["failed"]
    read = {each.need.experiment for each in ledger.measurements}
    assert read == {"ablation", "structure", "noise_floor"}
    for kept in ledger.measurements:
        made = ledger.measurement(kept.need)
        assert made is not None
        assert made.subject == ledger.subject
    report = (pytester.path / "out" / "report.md").read_text()
    assert str(learnt) in report
    assert all(get_finding(finding).title in report for finding in FINDINGS)
    json.loads((pytester.path / "out" / "ledger.json").read_text())
    page = html.unescape((pytester.path / "out" / "report.html").read_text())
    assert str(learnt) in page
    assert all(get_finding(finding).title in page for finding in FINDINGS)
    assert page.count("<svg") == 4  # importance; delta correlations, likeness, principal components
    (command,) = {line for line in page.splitlines() if "anatomy-bench verify --model" in line}
    assert f"--model {learnt} --device cpu --dtype float32 --profile quick --seed 0 --allow-untrained" in command
