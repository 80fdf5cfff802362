"""The tree is what the architecture page says: findings, claim tests and imports."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import anatomy_bench
from anatomy_bench.claim.claim import Kind
from anatomy_bench.registry import all_claims, all_findings, experiment_names, get_experiment, get_finding
from anatomy_bench.values.corpus import load_corpus
from anatomy_bench.values.profile import Profile

PACKAGE = Path(anatomy_bench.__file__).parent
ROOT = PACKAGE.parent
# Modules by their path, since tests of the package bear some of the same names; and no plugins that play no part.
LEAN = (
    "--import-mode=importlib", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:hypothesispytest",
    "-p", "no:benchmark", "-p", "no:xdist",
)  # fmt: skip
TORCH_ALLOWED = ("engine/", "subject/", "provenance.py")


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Packages that a file imports when it runs, at its top or within a function."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    for_types_only = {id(node) for block in blocks for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in for_types_only:
            continue
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_run_one_way(path: Path):
    name, found = path.relative_to(PACKAGE).as_posix(), imported(path)
    assert "pytest" not in found or name == "pytest_plugin.py"
    assert not found & {"torch", "transformers"} or name.startswith(TORCH_ALLOWED)


def test_contents_and_judging_load_no_torch():
    code = (
        "import sys, anatomy_bench.judging, anatomy_bench.report.terminal, anatomy_bench.report.contents as c;"
        "c.contents_text(); sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_finding_has_one_file_of_claim_tests_and_the_other_way_round():
    marked = {
        re.search(r'finding\("([\w-]+)"\)', path.read_text(encoding="utf-8")).group(1): path.name
        for path in (ROOT / "claims").glob("test_*.py")
    }
    assert marked == {finding.id: f"test_{finding.id.replace('-', '_')}.py" for finding in all_findings()}


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
    damage(folder / "test_recovery.py")
    left = set(all_claims()) - set(collected(pytester, folder))
    assert left == {claim.id for claim in get_finding("recovery").claims}


@pytest.mark.parametrize("claim", all_claims().values(), ids=lambda claim: claim.id)
def test_claims_are_well_formed(claim):
    finding = next(each for each in all_findings() if claim in each.claims)
    assert re.fullmatch(rf"{finding.id}\.[a-z0-9-]+", claim.id)
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
def test_experiments_bear_the_name_of_their_file(name: str):
    experiment = get_experiment(name)
    assert experiment.name == name
    assert experiment.configure(Profile.QUICK, None) != experiment.configure(Profile.PAPER, None)


def test_corpora_are_as_described():
    ten, wide = load_corpus("ten"), load_corpus("wide")
    assert len(ten.sentences) == 10
    assert len(wide.sentences) >= 200
    assert len({*ten.sentences, *wide.sentences}) == len(ten.sentences) + len(wide.sentences)
    assert ten.digest != wide.digest


def test_files_are_small():
    long = {
        path.relative_to(ROOT).as_posix(): count for path in sources() if (count := path.read_text().count("\n")) > 320
    }
    assert long == {}
