"""Runs of pytest over a file of claims: how the tests of the plugin try it."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anatomy_bench.claim.claim import Need
from anatomy_bench.registry import get_finding
from anatomy_bench.run.ledger import Ledger
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store

FINDINGS = ("arithmetic", "delta-correlation", "importance-hierarchy")
CLAIMS = [claim for finding in FINDINGS for claim in get_finding(finding).claims]
WITH_MODEL = [claim for claim in CLAIMS if claim.runs_model]
WITHOUT_MODEL = [claim for claim in CLAIMS if not claim.runs_model]

CLAIM_TESTS = "import pytest\n" + "".join(
    f"""
@pytest.mark.finding({finding!r})
def test_{finding.replace("-", "_")}(claim, uphold):
    uphold(claim)
"""
    for finding in FINDINGS
)
# Without plugins and rewriting that play no part here: every worker would pay for them anew.
LEAN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:benchmark", "--assert=plain")

SHORT_NAMES = "from anatomy_bench.pytest_options import add_short_options as pytest_addoption\n"
"""The `conftest.py` of a repository of claims."""

RunClaims = Callable[..., pytest.RunResult]


@pytest.fixture(scope="session")
def learnt(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, once all that judging loads lazily is loaded.

    Runs within this process start from the modules that are there and forget all others
    at their end: torch cannot be loaded twice, and what can takes its time.
    """
    report = [f"anatomy_bench.report.{name}" for name in ("terminal", "writing", "html", "drawing")]
    for module in ("hypothesis", "matplotlib.backends.backend_svg", *report):
        importlib.import_module(module)
    options = Options(str(tiny_folder), device="cpu", allow_untrained=True)
    run = Run(options, store=Store(tmp_path_factory.mktemp("warm")))
    for experiment in ("ablation", "structure", "noise_floor"):
        run.measure(Need(experiment))
    return tiny_folder


@pytest.fixture
def run_claims(pytester: pytest.Pytester, learnt: Path) -> RunClaims:
    """Run a file of claims in an empty folder; in this process unless told otherwise."""
    pytester.makepyfile(test_claims=CLAIM_TESTS)
    pytester.makeconftest(SHORT_NAMES)

    def run(*arguments: Any, in_process: bool = True, model: Any = learnt, allow: bool = True) -> pytest.RunResult:
        # The file is named: of paths alone, a model's would be taken for the one whose `conftest.py` counts.
        options = [*LEAN, "test_claims.py", "--device", "cpu", "--model", str(model), *map(str, arguments)]
        options += ["--allow-untrained"] if allow else []
        if in_process:
            return pytester.runpytest_inprocess(*options)
        return pytester.runpytest_subprocess(*options)

    return run


def verdict_words(ledger: Ledger) -> dict[str, str]:
    return {claim.id: claim.verdict.word.value for finding in ledger.findings for claim in finding.claims}


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}
