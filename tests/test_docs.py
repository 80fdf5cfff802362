"""Documents that follow from the code are what the code says."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import anatomy_bench
from anatomy_bench.registry import all_claims, get_paper
from anatomy_bench.run.expected import TABLES, read_expected

ROOT = Path(anatomy_bench.__file__).parent.parent


def generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize(("path", "text"), list(generated().items()), ids=lambda value: getattr(value, "name", ""))
def test_generated_pages_are_up_to_date(path: Path, text: str):
    assert path.read_text(encoding="utf-8") == text, "run python docs/generate.py"


def test_no_schema_is_left_of_an_experiment_that_is_gone():
    written = {path for path in generated() if path.parent.name == "schema"}
    assert set((ROOT / "docs" / "schema").iterdir()) == written


PAGES = [page for folder in (".", "docs", "anatomy_bench/papers/*") for page in ROOT.glob(f"{folder}/*.md")]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(path: Path):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_worked_example_quotes_the_files_that_it_names():
    page = (ROOT / "docs" / "adding-a-paper.md").read_text(encoding="utf-8")
    quoted = re.findall(r"\]\(\.\./(examples/[^)]+)\):\n\n```\w+\n(.*?)```", page, flags=re.DOTALL)
    assert len(quoted) == page.count("```python") + page.count("```toml")
    assert [path for path, block in quoted if block not in (ROOT / path).read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("path", sorted((ROOT / "claims" / "expected").glob("*.toml")), ids=lambda path: path.name)
def test_files_of_expected_verdicts_name_every_claim_that_they_could(path: Path):
    expected = read_expected(path, all_claims())
    for table, words in expected.words.items():
        on_models = table != TABLES[-1]
        assert set(words) == {claim.id for claim in all_claims().values() if claim.runs_model == on_models}


def test_verdicts_on_the_papers_arithmetic_are_of_its_numbers_as_they_stand():
    for path in (ROOT / "claims" / "expected").glob("*.toml"):
        expected = read_expected(path, all_claims())
        if TABLES[-1] in expected.words:
            assert expected.judged.digest == get_paper(expected.judged.name).digest


def test_every_pinned_requirement_is_one_that_the_project_may_use():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.match(r"[\w-]+", each).group().lower().replace("_", "-") for each in wanted} - {"anatomy-bench"}
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert names <= pinned
