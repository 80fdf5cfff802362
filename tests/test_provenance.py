"""The digest of the measuring sources changes with those that an experiment depends on, and with no others."""

from pathlib import Path

import pytest

import anatomy_bench
from anatomy_bench.registry import experiment_names
from anatomy_bench.run import provenance

PACKAGE = Path(anatomy_bench.__file__).parent


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in PACKAGE.rglob("*.py"):
        copy = tmp_path / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    return tmp_path


def digests() -> dict[str, str]:
    return {name: provenance.code_digest.__wrapped__(name) for name in experiment_names()}


@pytest.mark.parametrize(
    ("edited", "affected"),
    [
        ("engine/sweep.py", set(experiment_names()) - {"growth"}),
        ("engine/recovery.py", {"recovery"}),
        ("recovery_curves.py", {"recovery"}),
        ("manipulation_plan.py", {"manipulation"}),
        ("engine/growth.py", {"growth"}),
        ("engine/growth_model.py", {"growth"}),
        ("growth_schedule.py", {"growth"}),
        ("experiments/growth.py", {"growth"}),
        ("experiments/ablation.py", {"ablation"}),
        ("findings/__init__.py", set()),
    ],
)
def test_an_edit_outdates_what_depends_on_the_source(package: Path, edited: str, affected: set[str]):
    before = digests()
    path = package / edited
    path.write_text(path.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    after = digests()
    assert {name for name in before if before[name] != after[name]} == affected


def test_no_source_of_the_engine_is_forgotten(package: Path):
    forgotten = []
    for path in sorted((package / "engine").glob("*.py")):
        before, text = digests(), path.read_bytes()
        path.write_bytes(text + b"# edited\n")
        if digests() == before and path.name != "__init__.py":
            forgotten.append(path.name)
        path.write_bytes(text)
    assert forgotten == []
