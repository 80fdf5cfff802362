"""Many models on one page: whole, inert, repeatable, and counted by model however often each was run."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledgers import HOSTILE, hostile, ledger, renamed, with_data
from pages import Page, assert_inert

from anatomy_bench import cli
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.experiments.ablation.experiment import AblationMeasurement
from anatomy_bench.report.atlas import NOT_JUDGED, Atlas, make_atlas
from anatomy_bench.report.atlas_pages import write_atlas
from anatomy_bench.report.atlas_profiles import relative_depth
from anatomy_bench.run.ledger import Ledger, write_ledger

DEPTHS = (30, 24, 3)


def of(*ledgers: Ledger) -> Atlas:
    return make_atlas([(Path(f"{number}.json"), each) for number, each in enumerate(ledgers)])


def on_models(atlas: Atlas) -> list[str]:
    """What the findings come to across models, but for the one that trains a model of its own."""
    return [row.across for row in atlas.findings if row.finding.id != "growth"]


@pytest.fixture(scope="module")
def models() -> list[Ledger]:
    return [renamed(ledger(layers), f"some/model-{layers}") for layers in DEPTHS]


@pytest.fixture(scope="module")
def folder(models: list[Ledger], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("atlas")
    write_atlas(of(*models), folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return assert_inert((folder / "atlas.html").read_text(encoding="utf-8"))


def test_every_conclusion_and_verdict_of_every_model_is_shown(models: list[Ledger], folder: Path, page: Page) -> None:
    findings = [[each for each in model.findings if any(claim.needs for claim in each.claims)] for model in models]
    markdown = (folder / "atlas.md").read_text(encoding="utf-8")
    verdicts = [claim.verdict for found in findings for each in found for claim in each.claims]
    for word in {verdict.word.value for verdict in verdicts}:
        count = sum(verdict.word.value == word for verdict in verdicts)
        assert page.text.count(f" {word}") == count
        assert len(re.findall(rf"\| . {word}\b", markdown)) == count
    for found in findings:
        for each in found:
            assert page.text.count(each.title) == 2
            assert f"{each.conclusion.value}" in page.text
    assert "The paper's own arithmetic" not in markdown
    assert all(f"model-{layers}" in markdown for layers in DEPTHS)


def test_words_stand_beside_every_symbol(page: Page) -> None:
    symbols = [tag for tag, attributes in page.elements if attributes.get("aria-hidden")]
    badges = [tag for tag, attributes in page.elements if (attributes.get("class") or "").startswith("badge")]
    assert len(symbols) == len(badges) > 0


def test_profiles_of_models_of_different_depth_lie_over_each_other(models: list[Ledger], page: Page) -> None:
    assert [tag for tag, _ in page.elements].count("svg") == 1
    for layers, model in zip(DEPTHS, models, strict=True):
        measured = next(each for each in model.measurements if each.need.experiment == "ablation")
        made = model.measurement(measured.need)
        assert isinstance(made, AblationMeasurement)
        assert f"model-{layers} ({layers} layers)" in page.text
        assert f"L{layers - 1}" in page.text
    assert (relative_depth(0, 30), relative_depth(29, 30), relative_depth(1, 3)) == (0, 1, 0.5)


def test_what_it_takes_to_repeat_each_column_is_told(models: list[Ledger], page: Page) -> None:
    for model in models:
        assert model.subject is not None
        assert model.subject.digest in page.text
    assert page.text.count("anatomy-bench verify --model invented") == len(models)
    assert "Not made alike" not in page.text


def test_the_same_ledgers_make_the_same_bytes(models: list[Ledger], folder: Path, tmp_path: Path) -> None:
    for path in write_atlas(of(*models), tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_two_runs_on_one_model_count_once() -> None:
    quick = renamed(ledger(), "some/model")
    paper = renamed(ledger(), "some/model", profile="paper")
    atlas = of(quick, paper, renamed(ledger(), "elsewhere/model"))
    assert [model.label for model in atlas.models] == ["model, quick (1)", "model, paper", "model, quick (2)"]
    assert atlas.differences == {"profile": ["quick", "paper"]}
    assert all(across.endswith(" on both") for across in on_models(atlas))
    turned = [replace(each, conclusion=Conclusion.NOT_APPLICABLE) for each in quick.findings]
    apart = of(replace(quick, findings=tuple(turned)), renamed(ledger(), "other"))
    assert {across.partition(" on ")[2] for across in on_models(apart)} == {"the only one asked; 1 not asked"}
    assert set(on_models(of(replace(quick, findings=tuple(turned))))) == {"could be asked of no model"}
    both = [replace(each, conclusion=Conclusion.REPRODUCED) for each in quick.findings]
    (first, *_) = of(replace(quick, findings=tuple(both)), paper).findings
    assert first.across == "reproduced on 1, partly reproduced on 1; runs differ on 1"


def test_a_finding_on_a_model_of_its_own_is_no_agreement_of_models(models: list[Ledger]) -> None:
    (growth,) = (row for row in of(*models).findings if row.finding.id == "growth")
    assert " on all" not in growth.across
    assert growth.across.endswith("trained from scratch, the same for every column")


def test_code_differs_only_where_one_experiment_was_measured_by_two(models: list[Ledger]) -> None:
    first, *others = models

    def measured_by(code: str, experiment: str, model: Ledger) -> Ledger:
        changed = [
            replace(kept, data={**kept.data, "provenance": {**kept.data["provenance"], "code": code}})
            if kept.need.experiment == experiment
            else kept
            for kept in model.measurements
        ]
        return replace(model, provenance=replace(model.provenance, code=code), measurements=tuple(changed))

    lacks_it = replace(first, measurements=[each for each in first.measurements if each.need.experiment != "recovery"])
    assert of(lacks_it, *(measured_by("new", "recovery", each) for each in others)).differences == {}
    older, newer = measured_by("old", "ablation", first), measured_by("new", "ablation", others[0])
    assert of(older, newer).differences == {"code of ablation": ["old", "new"]}


def test_findings_of_one_ledger_only_are_told_as_such(tmp_path: Path) -> None:
    fewer = replace(renamed(ledger(), "fewer"), findings=ledger().findings[:1], measurements=())
    write_atlas(of(fewer, renamed(ledger(), "all")), tmp_path)
    page = assert_inert((tmp_path / "atlas.html").read_text(encoding="utf-8"))
    assert page.text.count(NOT_JUDGED) > 4
    write_atlas(of(fewer), tmp_path)  # nobody measured a profile
    assert "<svg" not in (tmp_path / "atlas.html").read_text(encoding="utf-8")


def test_hostile_ledgers_are_shown_and_do_nothing(tmp_path: Path) -> None:
    write_atlas(of(hostile(), renamed(ledger(), "good")), tmp_path / "out")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"atlas.md", "atlas.html"}
    page = assert_inert((tmp_path / "out" / "atlas.html").read_text(encoding="utf-8"))
    assert HOSTILE in page.text
    markdown = (tmp_path / "out" / "atlas.md").read_text(encoding="utf-8")
    assert "<" not in markdown.replace("holds if <", "").replace("| < ", "")
    assert re.findall(r"(?<!\\)\[[^\]]*\]\(", markdown) == []


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", "atlas", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_takes_files_and_folders(
    models: list[Ledger], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ledger(models[0], tmp_path / "one" / "ledger.json")
    write_ledger(models[1], tmp_path / "two.json")
    write_ledger(models[2], tmp_path / "three.json")
    ledgers = [tmp_path / each for each in ("one", "two.json", "three.json")]
    assert run(monkeypatch, *ledgers, "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "atlas.html").read_bytes() == (folder / "atlas.html").read_bytes()


def nothing(made: Ledger) -> Ledger:
    return replace(made, subject=None, provenance=None, measurements=())


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        (lambda made: replace(made, schema="anatomy_bench/ledger/1"), "anatomy_bench/ledger/1"),
        (lambda made: with_data(made, "ablation", lambda data: data.pop("layers")), "ablation"),
        (nothing, "no model"),
    ],
    ids=["schema", "measurement", "arithmetic"],
)
def test_what_cannot_be_shown_is_told_in_one_line(
    spoilt: Any, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ledger(ledger(), tmp_path / "good.json")
    write_ledger(spoilt(ledger()), tmp_path / "bad.json")
    assert run(monkeypatch, tmp_path / "good.json", tmp_path / "bad.json", "--out", tmp_path / "out") == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert named in errors
    assert not (tmp_path / "out").exists()
