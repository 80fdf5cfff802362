"""A paper in a package of its own, built and installed beside this one: nothing here has to know of it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

import anatomy_bench
from anatomy_bench.registry import experiment_names
from anatomy_bench.run.provenance import code_digest

ROOT = Path(anatomy_bench.__file__).parents[1]
TOY = ROOT / "examples" / "toy_paper"
COMMAND = "import sys; sys.argv[0] = 'anatomy-bench'; from anatomy_bench.cli import main; main()"
FINDING = "Layers need no norms of their own"
PAPER = "Do Layers Need Norms of Their Own?"
CLAIMS = ("toy.borrowed-norms.harmless", "toy.borrowed-norms.matrices")
SOURCES = """
import json
from anatomy_bench.registry import experiment_names
from anatomy_bench.run.provenance import code_digest, measuring_sources
digests = {name: code_digest(name) for name in experiment_names()}
print(json.dumps([digests, sorted(measuring_sources("borrowed_norms"))]))
"""
EDITED = ("anatomy_bench", "claims", "docs", "examples", "pyproject.toml", "conftest.py")
"""Of this repository: what a second paper could be thought to need an entry in."""


@dataclass(frozen=True)
class Installed:
    """An environment with the toy paper installed, in an empty folder.

    Attributes:
        python: of the environment.
        claims: the folder of its claim tests, out of this repository's reach.
        folder: to run in.
    """

    python: Path
    claims: Path
    folder: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        """Standard output of a process; its exit code must be that."""
        command = [str(self.python), *arguments]
        beside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, cwd=self.folder, env=beside, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def anatomy_bench(self, *arguments: str) -> str:
        """Standard output of the command line."""
        return self.run("-c", COMMAND, *arguments)


@pytest.fixture(scope="module")
def tree() -> Iterator[None]:
    """The files of this repository are the same before and after."""
    before = digest_of_tree()
    yield
    assert digest_of_tree() == before


def digest_of_tree() -> dict[str, str]:
    files = [ROOT / name for name in EDITED if (ROOT / name).is_file()]
    files += [each for name in EDITED for each in (ROOT / name).rglob("*") if each.is_file()]
    kept = [each for each in files if "__pycache__" not in each.parts]
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in kept}


@pytest.fixture(scope="module")
def installed(tree: None, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The toy paper built as a wheel and installed without a network, with all that this process has beside it."""
    folder = tmp_path_factory.mktemp("toy")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    alone = ["--no-deps", "--no-index"]
    wheels = folder / "wheels"
    source = shutil.copytree(TOY, folder / "toy_paper", ignore=shutil.ignore_patterns("__pycache__"))
    quietly([*pip, "wheel", *alone, "--no-build-isolation", "--wheel-dir", str(wheels), str(source)])
    venv.create(folder / "scratch", with_pip=False)
    scratch = folder / "scratch" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "scratch")}))
    (site / "beside.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    quietly([*pip, "--python", str(scratch), "install", *alone, *map(str, wheels.iterdir())])
    (folder / "here").mkdir()
    return Installed(scratch, source / "claims", folder / "here")


def quietly(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.fixture
def on_model(tiny_folder: Path) -> tuple[str, ...]:
    return ("--model", str(tiny_folder), "--device", "cpu", "--profile", "quick", "--allow-untrained")


def test_its_claims_are_listed_under_its_paper(installed: Installed):
    told = installed.anatomy_bench("claims")
    assert all(each in told for each in (PAPER, FINDING, *CLAIMS))
    assert "anatomical-heterogeneity.anti-layers.l14" in told
    assert "anatomical-heterogeneity" not in installed.anatomy_bench("claims", "--paper", "toy")


def test_its_own_sources_decide_its_results_and_no_others(installed: Installed):
    digests, sources = json.loads(installed.run("-c", SOURCES))
    own = digests.pop("borrowed_norms")
    assert digests == {name: code_digest(name) for name in experiment_names()}
    assert own not in digests.values()
    folder = "toy_paper.experiments.borrowed_norms"
    assert {f"{folder}/borrow.py", f"{folder}/experiment.py", "anatomy_bench.engine/sweep.py"} <= set(sources)
    assert not [each for each in sources if "findings" in each or "figures" in each]


def test_its_experiment_is_measured(installed: Installed, on_model: tuple[str, ...]):
    measured = json.loads(installed.anatomy_bench("measure", "borrowed_norms", *on_model, "--json", "-"))
    assert measured["experiment"] == "borrowed_norms"
    assert [each["layer"] for each in measured["layers"]] == [1, 2, 3]
    degradations = {each["variants"][parts]["degradation_percent"] for each in measured["layers"] for parts in
                    ("norms", "matrices")}  # fmt: skip
    assert len(degradations) == 6
    assert 0.0 not in degradations  # the package's own intervention was scored, and did something


def test_its_finding_and_figure_are_in_the_report_and_in_the_atlas(installed: Installed, on_model: tuple[str, ...]):
    told = installed.anatomy_bench("verify", "--paper", "toy", *on_model, "--report", "report")
    assert FINDING in told
    assert all(claim["verdict"]["value"] is not None for claim in judged(installed.folder / "report" / "ledger.json"))
    page = (installed.folder / "report" / "report.html").read_text(encoding="utf-8")
    assert all(each in page for each in (PAPER, FINDING, "What a layer loses by borrowing", "<svg"))
    assert PAPER in (installed.folder / "report" / "report.md").read_text(encoding="utf-8")
    installed.anatomy_bench("atlas", "report", "--out", "atlas")
    for name in ("atlas.md", "atlas.html"):
        text = (installed.folder / "atlas" / name).read_text(encoding="utf-8")
        assert all(each in text for each in (PAPER, FINDING, "can do with the norms of the layer before it"))


def judged(ledger: Path) -> list[dict[str, dict[str, object]]]:
    findings = json.loads(ledger.read_text(encoding="utf-8"))["findings"]
    assert [each["paper"] for each in findings] == ["toy"]
    return [claim for finding in findings for claim in finding["claims"]]


def test_its_claims_are_tests(installed: Installed, on_model: tuple[str, ...]):
    """The norms are borrowed at little cost, but so are the matrices of a model that has learnt nothing."""
    options = [each.replace("--", "--anatomy-", 1) for each in on_model]
    told = installed.run(
        "-m", "pytest", str(installed.claims), "-p", "no:cacheprovider", "--junit-xml=junit.xml", *options, code=1
    )
    assert FINDING in told
    cases = ElementTree.parse(installed.folder / "junit.xml").getroot().findall(".//testcase")
    outcomes = {case.attrib["name"]: case.find("failure") is None for case in cases}
    assert outcomes == {f"test_borrowed_norms[{CLAIMS[0]}]": True, f"test_borrowed_norms[{CLAIMS[1]}]": False}
