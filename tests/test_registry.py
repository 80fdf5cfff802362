"""The tree is what the architecture page says: findings, claim tests and imports."""

import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from imports import PACKAGE, circles, imports, is_allowed, modules
from ledgers import own_papers

from anatomy_bench.claim.claim import Kind
from anatomy_bench.registry import (
    all_claims,
    all_findings,
    experiment_names,
    experiment_package,
    get_experiment,
    get_finding,
    paper_of,
    selected_findings,
)
from anatomy_bench.values.corpus import load_corpus
from anatomy_bench.values.profile import Profile

ROOT = PACKAGE.parent
# Modules by their path, since tests of the package bear some of the same names; and no plugins that play no part.
LEAN = (
    "--import-mode=importlib", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:hypothesispytest",
    "-p", "no:benchmark", "-p", "no:xdist",
)  # fmt: skip


def test_imports_run_one_way():
    assert [str(each) for each in imports() if not is_allowed(each)] == []


def test_no_import_leads_back_to_where_it_began():
    assert circles() == []


PLANTED = {
    "base/errors.py": "",
    "claim/claim.py": "from anatomy_bench.engine import sweep",
    "engine/sweep.py": "import torch",
    "experiments/scored.py": """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import torch
            from anatomy_bench.run.run import Run
        """,
    "run/__init__.py": "",
    "run/run.py": """
        from anatomy_bench.base.errors import UsageError
        import anatomy_bench.experiments.scored
        def late():
            import torch.nn
            from anatomy_bench.report import page
            from anatomy_bench.papers.one.findings import first
        """,
    "report/page.py": "import pytest",
    "papers/one/findings/first.py": "from anatomy_bench.papers.one.figures import first",
    "papers/one/figures/first.py": "from anatomy_bench.report import drawing, page",
    "papers/two/experiments/tried/experiment.py": "from anatomy_bench.papers.one.experiments import tried",
    "papers/two/experiments/tried/engine/fast.py": "import transformers",
}
FOUND = {
    "claim.claim imports engine.sweep",
    "experiments.scored imports run.run",
    "run.run imports torch.nn",
    "run.run imports report.page",
    "run.run imports papers.one.findings.first",
    "report.page imports pytest",
    "papers.one.findings.first imports papers.one.figures.first",
    "papers.one.figures.first imports report.page",
    "papers.two.experiments.tried.experiment imports papers.one.experiments.tried",
}


def test_imports_that_run_another_way_are_found(tmp_path: Path):
    for name, text in PLANTED.items():
        path = tmp_path / "anatomy_bench" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    (tmp_path / "anatomy_bench" / "report" / "drawing.py").touch()
    (tmp_path / "anatomy_bench" / "papers" / "one" / "experiments" / "tried.py").parent.mkdir()
    (tmp_path / "anatomy_bench" / "papers" / "one" / "experiments" / "tried.py").touch()
    package = tmp_path / "anatomy_bench"
    assert {str(each) for each in imports(package) if not is_allowed(each)} == FOUND
    assert circles(package) == [("experiments.scored", "run.run")]


def test_contents_and_judging_load_no_torch():
    code = (
        "import sys, anatomy_bench.run.judging, anatomy_bench.report.terminal, anatomy_bench.report.contents as c;"
        "from anatomy_bench.registry import all_findings; c.contents_text(all_findings());"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_finding_has_one_file_of_claim_tests_and_the_other_way_round():
    marked = {
        path.relative_to(ROOT / "claims").as_posix(): re.findall(r'finding\("([\w-]+)"\)', path.read_text("utf-8"))
        for path in (ROOT / "claims").rglob("test_*.py")
    }
    assert marked == {
        f"{room}/test_{finding.id.replace('-', '_')}.py": [finding.id]
        for room, paper in own_papers().items()
        for finding in selected_findings(papers=[paper.id])
    }


def collected(pytester: pytest.Pytester, folder: Path) -> list[str]:
    """Ids of the claims that pytest collects from a folder."""
    items, _ = pytester.inline_genitems(folder, *LEAN)
    return [item.callspec.params["claim"].id for item in items]


def test_the_suite_of_claims_collects_the_whole_registry_once(pytester: pytest.Pytester):
    assert sorted(collected(pytester, ROOT / "claims")) == sorted(all_claims())


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.rename(file.with_name("recovery.py")),
        lambda file: file.write_text(file.read_text().replace("def test_", "def ")),
        lambda file: file.write_text(file.read_text().replace('"recovery"', '"growth"')),
    ],
    ids=["no file", "no test file", "no test", "another finding"],
)
def test_claims_that_are_no_longer_collected_are_missed(pytester: pytest.Pytester, damage: Callable[[Path], object]):
    folder = shutil.copytree(ROOT / "claims", pytester.path / "claims")
    damage(folder / "anatomical_heterogeneity" / "test_recovery.py")
    left = set(all_claims()) - set(collected(pytester, folder))
    assert left == {claim.id for claim in get_finding("recovery").claims}


@pytest.mark.parametrize("claim", all_claims().values(), ids=lambda claim: claim.id)
def test_claims_are_well_formed(claim):
    finding = next(each for each in all_findings() if claim in each.claims)
    assert re.fullmatch(rf"{finding.paper}\.{finding.id}\.[a-z0-9-]+", claim.id)
    assert paper_of(claim.id).id == finding.paper
    assert claim.statement[0].isalnum()
    assert not claim.statement.endswith(".")
    assert claim.place
    assert claim.why
    assert claim.unit or claim.kind is Kind.CONSISTENCY
    assert claim.runs_model == (claim.kind is not Kind.CONSISTENCY)
    assert all(need.experiment in experiment_names() for need in claim.needs)


def test_statements_are_distinct_within_a_finding():
    for finding in all_findings():
        statements = [claim.statement for claim in finding.claims]
        assert len(set(statements)) == len(statements)


def test_every_finding_on_models_has_a_control():
    for finding in all_findings():
        if any(claim.runs_model for claim in finding.claims):
            assert any(claim.kind is Kind.CONTROL for claim in finding.claims)


@pytest.mark.parametrize("name", experiment_names())
def test_experiments_bear_the_name_of_their_folder(name: str):
    experiment = get_experiment(name)
    assert experiment.name == name == experiment_package(name).rpartition(".")[2]
    assert type(experiment).__module__ == f"{experiment_package(name)}.experiment"
    assert experiment.configure(Profile.QUICK, None) != experiment.configure(Profile.PAPER, None)


def test_corpora_are_as_described():
    ten, wide = load_corpus("ten"), load_corpus("wide")
    assert len(ten.sentences) == 10
    assert len(wide.sentences) >= 200
    assert len({*ten.sentences, *wide.sentences}) == len(ten.sentences) + len(wide.sentences)
    assert ten.digest != wide.digest


def test_files_are_small():
    long = {
        path.relative_to(ROOT).as_posix(): count
        for path in modules().values()
        if (count := path.read_text().count("\n")) > 320
    }
    assert long == {}
