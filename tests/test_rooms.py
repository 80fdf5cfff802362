"""Rooms of other packages that clash with each other or are not whole: one line that names where, and exit code 2."""

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anatomy_bench import cli, registry
from anatomy_bench.base.errors import UsageError
from anatomy_bench.values import published

CACHED = (
    published.load, registry.all_papers, registry.all_findings, registry.all_claims, registry.paper_of,
    registry._experiment_packages,
)  # fmt: skip
PUBLISHED = 'id = "{paper}"\ntitle = "Of Waves"\n'
FINDING = """
from anatomy_bench.claim.claim import Claim, Estimate, Finding, Kind, at_least

CLAIM = Claim(
    id="{claim}", statement="Waves rise", place="Section 1", kind=Kind.CONSISTENCY, published=1.0, unit="m",
    criterion=at_least(1), why="they do", estimate=lambda: Estimate(1.0, None),
)
FINDING = Finding(id="{finding}", paper="{paper}", title="Waves", place="Section 1", order=1, claims=(CLAIM,))
"""
EXPERIMENT = """
class Tide:
    name = "{name}"

EXPERIMENT = Tide()
"""

Room = Callable[..., Path]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """Write a package with a room, as if it were installed."""
    made: list[str] = []
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, *, paper: str = "waves", finding: str = "rise", claim: str = "", experiment: str = "") -> Path:
        made.append(name)
        folder = tmp_path / name
        files = {
            "__init__.py": "",
            "published.toml": PUBLISHED.format(paper=paper),
            "findings/__init__.py": "",
            "findings/waves.py": FINDING.format(paper=paper, finding=finding, claim=claim or f"{paper}.{finding}.up"),
            "experiments/__init__.py": "",
            **({f"experiments/{experiment}/__init__.py": ""} if experiment else {}),
            **({f"experiments/{experiment}/experiment.py": EXPERIMENT.format(name=experiment)} if experiment else {}),
            f"../{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"../{name}-1.0.dist-info/entry_points.txt": f"[anatomy_bench.papers]\npaper = {name}\n",
        }
        for place, text in files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        return folder

    forget(made)
    yield write
    forget(made)


def forget(packages: list[str]) -> None:
    for cached in CACHED:
        cached.cache_clear()
    for module in [each for each in sys.modules if each.partition(".")[0] in packages]:
        del sys.modules[module]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """The one line with which the command line refuses to list claims."""

    def run() -> str:
        monkeypatch.setattr(sys, "argv", ["anatomy-bench", "claims"])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which the command line replaces
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert ended.value.code == 2
        assert out == ""
        assert err.count("\n") == 1
        return err

    return run


def test_a_room_of_another_package_is_found(room: Room):
    room("north", experiment="tides")
    assert registry.get_finding("rise").paper == "waves"
    assert registry.paper_of("waves.rise.up").room == "north"
    assert registry.get_experiment("tides").name == "tides"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            {},
            {},
            "two papers have the id 'waves': north (entry point paper of the package north) and "
            "south (entry point paper of the package south)",
        ),
        (
            {},
            {"paper": "winds"},
            "two findings have the id 'rise': north.findings.waves and south.findings.waves",
        ),
        (
            {"experiment": "tides"},
            {"paper": "winds", "finding": "fall", "experiment": "tides"},
            "two experiments have the id 'tides': north.experiments.tides and south.experiments.tides",
        ),
    ],
    ids=["papers", "findings", "experiments"],
)
def test_what_two_rooms_call_alike_names_both_places(
    room: Room, refused: Callable[[], str], first: dict[str, str], second: dict[str, str], told: str
):
    room("north", **first)
    room("south", **{"paper": "waves", **second})
    assert told in refused()


def test_an_experiment_called_like_one_of_the_core_names_both_places(room: Room, refused: Callable[[], str]):
    room("north", experiment="ablation")
    assert "'ablation': anatomy_bench.experiments.ablation and north.experiments.ablation" in refused()


def test_two_claims_of_one_id_name_both_places(room: Room, refused: Callable[[], str]):
    """Within a finding: those of two begin with other words, or the findings clash."""
    folder = room("north")
    module = folder / "findings" / "waves.py"
    module.write_text(module.read_text().replace("claims=(CLAIM,)", "claims=(CLAIM, CLAIM)"))
    assert "two claims have the id 'waves.rise.up': north.findings.waves and north.findings.waves" in refused()


@pytest.mark.parametrize("claim", ["rise.up", "waves.fall.up", "waves.rise", "seas.rise.up"])
def test_a_claim_that_is_not_called_after_its_paper_and_finding(room: Room, refused: Callable[[], str], claim: str):
    room("north", claim=claim)
    assert f"claim '{claim}' of north.findings.waves must begin with 'waves.rise.'" in refused()


def replaced(place: str, old: str, new: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / place).write_text((folder / place).read_text().replace(old, new))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "published.toml").unlink(), "No such file or directory"),
        (replaced("published.toml", "id =", "name ="), "lacks 'id'"),
        (replaced("published.toml", "title =", "name ="), "lacks 'title'"),
        (replaced("published.toml", "id =", "id"), "no paper can be read from north"),
        (lambda folder: (folder / "__init__.py").write_text("import no_such_thing"), "No module named 'no_such_thing'"),
        (lambda folder: folder.rename(folder.with_name("elsewhere")), "No module named 'north'"),
        (lambda folder: (folder / "findings/waves.py").write_text("import no_such_thing"), "north.findings.waves"),
        (lambda folder: (folder / "findings/waves.py").write_text("def"), "north.findings.waves: SyntaxError"),
        (lambda folder: (folder / "findings/waves.py").write_text("1 / 0"), "ZeroDivisionError"),
        (lambda folder: (folder / "experiments/__init__.py").write_text("import no_such_thing"), "north.experiments"),
        (replaced("findings/waves.py", 'paper="waves"', 'paper="seas"'), "says that it is of 'seas'"),
    ],
    ids=[
        "no published.toml", "no id", "no title", "not TOML", "room fails", "no room", "finding fails",
        "finding is not Python", "finding divides by zero", "experiments fail", "another paper",
    ],
)  # fmt: skip
def test_a_room_that_is_not_whole_is_told_in_one_line(
    room: Room, refused: Callable[[], str], damage: Callable[[Path], Any], told: str
):
    damage(room("north", experiment="tides"))
    found = refused()
    assert told in found
    assert "north" in found


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (replaced("experiments/tides/experiment.py", "class", "import no_such_thing\nclass"), "No module named"),
        (replaced("experiments/tides/experiment.py", "EXPERIMENT =", "OTHER ="), "has no EXPERIMENT"),
        (replaced("experiments/tides/experiment.py", '"tides"', '"floods"'), "is called 'floods'"),
        (lambda folder: (folder / "experiments/tides/experiment.py").unlink(), "No module named"),
    ],
    ids=["fails", "offers nothing", "another name", "no module"],
)
def test_an_experiment_that_cannot_be_used_names_its_module(room: Room, damage: Callable[[Path], Any], told: str):
    damage(room("north", experiment="tides"))
    with pytest.raises(UsageError, match=r"north\.experiments\.tides\.experiment") as refusal:
        registry.get_experiment("tides")
    assert told in str(refusal.value)


@pytest.mark.parametrize(("source", "told"), [("import no_such_thing", "No module named"), ("", "has no FIGURES")])
def test_figures_that_cannot_be_drawn_name_their_module(room: Room, source: str, told: str):
    folder = room("north")
    (folder / "figures").mkdir()
    (folder / "figures" / "__init__.py").touch()
    (folder / "figures" / "rise.py").write_text(source)
    with pytest.raises(UsageError, match=r"north\.figures\.rise") as refusal:
        registry.drawings_of("rise", "waves")
    assert told in str(refusal.value)
