"""The digest of measuring sources changes with every file that a result can depend on, and with no other."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from imports import imports, modules

import anatomy_bench
from anatomy_bench.claim.claim import Need
from anatomy_bench.registry import experiment_names, experiment_package, get_experiment
from anatomy_bench.run import provenance
from anatomy_bench.run.provenance import code_digest, is_current, measuring_sources
from anatomy_bench.values.measurement import Provenance, SubjectRecord, Versions

PACKAGE = Path(anatomy_bench.__file__).parent
HERE = Path(__file__).parent
TEXT_ONLY = PACKAGE / "base"
"""A room that jobs import and that decides no result (`test_base_has_nothing_to_compute_with`)."""

Loaded = Mapping[str, Any]


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> Loaded:
    """By experiment: what is loaded once its jobs are done, and the data that they read."""
    command = [sys.executable, str(HERE / "jobs_from_nothing.py"), str(tiny_folder)]
    packages = [f"{name}={experiment_package(name)}" for name in experiment_names()]
    done = subprocess.run([*command, *packages], check=True, capture_output=True, text=True, cwd=PACKAGE.parent)
    found: Loaded = json.loads(done.stdout)
    return found


def depended_on(found: Loaded) -> list[Path]:
    """Files that decide what the jobs of an experiment result in."""
    files = [Path(file) for file in found["modules"].values()]
    return [file for file in files if decides(file)] + [Path(file) for file in found["data"]]


def decides(file: Path) -> bool:
    """Whether a module could have a part in a result."""
    return file.parent != TEXT_ONLY and not is_bare(file)


def is_bare(file: Path) -> bool:
    """Whether a package's own file has nothing that runs but names between underscores, such as `__version__`."""
    return file.name == "__init__.py" and all(map(_runs_nothing, ast.parse(file.read_text(encoding="utf-8")).body))


def _runs_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name.startswith("__")
    if isinstance(node, ast.Assign):
        return all(isinstance(each, ast.Name) and each.id.startswith("__") for each in node.targets)
    is_for_types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    is_typing = isinstance(node, ast.ImportFrom) and node.module == "typing"
    return is_for_types or is_typing or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def digest_with(experiment: str, edited: Path | None = None) -> str:
    """The digest, with one file other than it is on disk."""
    read = Path.read_bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: read(path) + (b"# edited\n" if path == edited else b""))
        return str(code_digest.__wrapped__(experiment))


@pytest.mark.parametrize("experiment", experiment_names())
def test_every_file_that_a_job_loads_or_reads_changes_the_digest(loaded: Loaded, experiment: str):
    files, before = depended_on(loaded[experiment]), digest_with(experiment)
    own = Path(sys.modules[experiment_package(experiment)].__file__).parent
    assert own / "experiment.py" in files  # the work was done, and was seen
    assert PACKAGE / "values" / "randomness.py" in files
    forgotten = [str(file.relative_to(PACKAGE)) for file in files if digest_with(experiment, file) == before]
    assert forgotten == []


@pytest.mark.parametrize("experiment", experiment_names())
def test_nothing_that_a_source_imports_is_missing_from_the_digest(experiment: str):
    """Also what only another model, or another device, would have made the jobs load."""
    files, covered = modules(), set(measuring_sources(experiment).values())
    missing = [
        str(each)
        for each in imports()
        if each.is_own and not each.for_types and files[each.by] in covered
        if files[each.of] not in covered and decides(files[each.of])
    ]
    assert missing == []


def test_base_has_nothing_to_compute_with():
    """Why `base` is left out of the digest: with these libraries nothing is measured."""
    allowed = {*sys.stdlib_module_names, "filelock", "platformdirs", "rich", "anatomy_bench"} - {"random", "statistics"}
    for file in TEXT_ONLY.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            named += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for module in named:
                assert module.partition(".")[0] in allowed, file
                assert not module.startswith("anatomy_bench") or module.startswith("anatomy_bench.base"), file


def test_another_seed_of_the_generators_outdates_the_structure():
    """Once the digest was a list of files kept by hand, without this one: the nulls of another seed were served."""
    randomness = PACKAGE / "values" / "randomness.py"
    assert digest_with("structure", randomness) != digest_with("structure")


DIGESTS = """
import json
from anatomy_bench.registry import experiment_names
from anatomy_bench.run.provenance import code_digest
print(json.dumps({name: code_digest(name) for name in experiment_names()}))
"""


def digests_of(checkout: Path) -> dict[str, str]:
    """Digests of a copy of the package, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", DIGESTS], check=True, capture_output=True, text=True, cwd=checkout)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    shutil.copytree(PACKAGE, tmp_path / "anatomy_bench", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_what_is_added_elsewhere_outdates_nothing(checkout: Path):
    before = digests_of(checkout)
    papers = checkout / "anatomy_bench" / "papers"
    room = papers / "anatomical_heterogeneity"
    new = room / "experiments" / "tides"
    shutil.copytree(room / "experiments" / "structure", new)
    experiment = new / "experiment.py"
    experiment.write_text(experiment.read_text().replace('name = "structure"', 'name = "tides"'))
    shutil.copytree(checkout / "anatomy_bench" / "experiments" / "ablation", papers / "waves" / "experiments" / "foam")
    foam = papers / "waves" / "experiments" / "foam" / "experiment.py"
    foam.write_text(foam.read_text().replace('name = "ablation"', 'name = "foam"'))
    for place, text in {
        "waves/__init__.py": '"""Another paper."""\n',
        "waves/published.toml": 'id = "waves"\ntitle = "Of Waves"\n',
        "waves/experiments/__init__.py": '"""Its experiments."""\n',
        "anatomical_heterogeneity/README.md": "# A paper\n",
        "anatomical_heterogeneity/experiments/README.md": "# Its experiments\n",
        "anatomical_heterogeneity/experiments/tides/swap.py": "SWAP = 1\n",
        "anatomical_heterogeneity/findings/tides.py": "TIDES = 1\n",
        "anatomical_heterogeneity/figures/tides.py": "FIGURES = ()\n",
        "../report/tides.py": "TIDES = 1\n",
        "../../claims/anatomical_heterogeneity/test_tides.py": "def test_tides(): ...\n",
        "anatomical_heterogeneity/published.toml": (room / "published.toml").read_text() + '\n[tides]\nheight = "1"\n',
    }.items():
        (papers / place).parent.mkdir(parents=True, exist_ok=True)
        (papers / place).write_text(text)
    after = digests_of(checkout)
    assert after.keys() == before.keys() | {"tides", "foam"}
    assert {name: after[name] for name in before} == before


def test_an_intervention_added_to_one_experiment_outdates_that_alone(checkout: Path):
    before = digests_of(checkout)
    folder = checkout / "anatomy_bench" / "papers" / "anatomical_heterogeneity" / "experiments" / "manipulation"
    (folder / "swap.py").write_text("SWAP = 1\n")
    after = digests_of(checkout)
    assert {name for name in before if after[name] != before[name]} == {"manipulation"}


NOW = provenance.versions()
MADE = Provenance(0, "quick", "cpu", "A processor", "float32", "sdpa", "", 2, "AVX2", None, None, NOW)
SUBJECT = SubjectRecord("tiny", "0" * 64, "Llama", 4, 1, ("mlp",), (), None, "")


def task_of(made: Provenance, experiment: str = "structure") -> Any:
    from anatomy_bench.experiments.experiment import Profile, Setting
    from anatomy_bench.run.task import Task
    from anatomy_bench.values.corpus import load_corpus

    measures = get_experiment(experiment)
    coded = replace(made, code=code_digest(experiment))
    config = measures.configure(Profile.QUICK, None)
    return Task(Need(experiment), measures, config, Setting(SUBJECT, None, coded), load_corpus("ten"))


def test_libraries_and_arithmetic_are_in_the_key():
    circumstances = task_of(MADE).circumstances
    assert circumstances["versions"] == asdict(NOW)
    assert {name for name, value in circumstances["versions"].items() if value} == {
        "anatomy_bench", "python", "torch", "transformers", "numpy", "scipy", "scikit_learn",
    }  # fmt: skip
    assert (circumstances["threads"], circumstances["instructions"]) == (2, "AVX2")


def test_the_package_that_read_the_weights_is_in_the_key():
    circumstances = task_of(replace(MADE, versions=provenance.versions("gguf"))).circumstances
    assert circumstances["versions"]["gguf"] == provenance.version("gguf")


@pytest.mark.parametrize("experiment", ["structure", "growth"])
def test_on_a_card_its_name_is_in_the_key_and_so_is_the_processors_arithmetic(experiment: str):
    """Weights are compared by NumPy, on the processor, also beside a card."""
    on_cards = [
        task_of(replace(MADE, device="cuda", device_name=name, threads=threads), experiment).circumstances
        for name, threads in (("one card", 2), ("one card", 64), ("another", 2))
    ]
    assert on_cards[0] != on_cards[1]
    assert on_cards[0] != on_cards[2]


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a library be of another version from now on."""
    installed = provenance.version

    def upgrade(library: str) -> None:
        monkeypatch.setattr(provenance, "version", lambda name: "99" if name == library else installed(name))
        provenance.versions.cache_clear()

    provenance.versions.cache_clear()
    yield upgrade
    monkeypatch.undo()
    provenance.versions.cache_clear()


LIBRARIES = ("torch", "transformers", "numpy", "scipy", "scikit-learn", "gguf", "anatomy_bench")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_that_is_upgraded_outdates_what_is_stored(upgraded: Callable[[str], None], library: str):
    key = task_of(replace(MADE, versions=provenance.versions("gguf"))).circumstances
    assert is_current(key)
    upgraded(library)
    assert not is_current(key)


def test_a_library_that_read_no_weights_outdates_nothing(upgraded: Callable[[str], None]):
    key = task_of(MADE).circumstances
    upgraded("gguf")
    assert is_current(key)


@pytest.mark.parametrize(
    "damage", [{"experiment": "tides"}, {"code": "0"}, {"versions": None}, {"versions": {**asdict(NOW), "torch": "1"}}]
)
def test_what_is_stored_is_outdated_if_it_is_of_other_sources_or_libraries(damage: dict[str, Any]):
    assert not is_current({**task_of(MADE).circumstances, **damage})


def test_the_digest_is_the_same_wherever_the_package_lies(checkout: Path):
    assert digests_of(checkout) == {name: code_digest(name) for name in experiment_names()}


def test_names_of_sources_hold_no_path_of_this_machine():
    for experiment in experiment_names():
        assert all(name.startswith("anatomy_bench.") for name in measuring_sources(experiment))


def test_versions_have_a_field_for_every_library_tested_here():
    fields = set(Versions.__dataclass_fields__) - {"python"}
    assert fields == {library.replace("-", "_") for library in LIBRARIES}
