"""Reports: whole, self-contained, repeatable, and inert whatever a ledger names."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledgers import HOSTILE, hostile, ledger, measured, subject, with_data
from pages import Page, assert_inert

from anatomy_bench import cli
from anatomy_bench.claim.claim import Need, VerdictWord
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.report.html import html_report
from anatomy_bench.report.markdown import markdown_report
from anatomy_bench.report.why import why
from anatomy_bench.report.writing import write_report
from anatomy_bench.run.ledger import JudgedFinding, make_ledger, read_ledger, write_ledger
from anatomy_bench.run.options import Options
from anatomy_bench.values.profile import Profile

FILES = {"ledger.json", "report.md", "report.html"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report on a model as deep as the paper's."""
    folder = tmp_path_factory.mktemp("report")
    write_report(ledger(), folder)
    return folder


@pytest.fixture(scope="module")
def source(report: Path) -> str:
    return (report / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return assert_inert(source)


def test_the_page_has_every_finding_claim_and_verdict(page: Page) -> None:
    for finding in ledger().findings:
        assert page.text.count(finding.title) == 2
        assert why(finding) in page.text
        for claim in finding.claims:
            assert claim.statement in page.text
            assert claim.criterion in page.text
    words = Counter(claim.verdict.word.value for finding in ledger().findings for claim in finding.claims)
    for word, count in words.items():
        assert page.text.count(f" {word}") == count


def test_every_finding_on_a_model_has_a_figure(source: str) -> None:
    sections = source.split('<section class="finding"')[1:]
    figures = {
        finding.id: section.count("<figure>") for finding, section in zip(ledger().findings, sections, strict=True)
    }
    assert {finding for finding, count in figures.items() if count == 0} == {"arithmetic"}
    assert [figures[each] for each in ("delta-correlation", "recovery", "growth")] == [3, 4, 2]


def test_figures_are_text_in_the_pages_own_colours(source: str, page: Page) -> None:
    drawings = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
    described = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(drawings) == len(described) == source.count("<figure>")
    assert all(each["role"] == "img" and each["aria-label"] for each in described)
    for drawing in drawings:
        assert drawing.count("<text") > 5
        assert not re.search("#010101|#020202|<style|<metadata", drawing)
    used = set(re.findall(r"var\((--[a-z]+)\)", source))
    schemes = re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    assert len(schemes) == 3  # light, dark, print
    assert all(f"{name}:" in scheme for scheme in schemes for name in used)


def test_no_two_elements_share_an_identifier_and_every_reference_leads_somewhere(source: str, page: Page) -> None:
    identifiers = page.all("id")
    assert [each for each, count in Counter(identifiers).items() if count > 1] == []
    references = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"|aria-labelledby="([^"]+)"', source)
    assert {"".join(each) for each in references} <= set(identifiers)


def test_what_it_takes_to_repeat_it_is_told(page: Page) -> None:
    options = "--model invented --device cpu --dtype float32 --profile quick --seed 0"
    assert f"anatomy-bench verify {options}" in page.text
    assert f"anatomy-bench verify --finding anti-layers {options}" in page.text
    assert page.text.count("anatomy-bench verify --finding arithmetic") == 1
    assert "anatomy-bench verify --finding arithmetic --" not in page.text  # which no model has a part in
    for kept in ledger().measurements:
        made = ledger().measurement(kept.need)
        assert made is not None
        assert made.subject.digest in page.text
        assert made.provenance.code in page.text


def test_a_ledger_makes_the_report_of_its_run(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", "report", str(report), "--out", str(tmp_path / "again")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert {Path(line).name for line in capsys.readouterr().out.splitlines()} == FILES
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (report / name).read_bytes()


def test_a_hostile_ledger_is_shown_and_does_nothing(tmp_path: Path) -> None:
    write_report(hostile(), tmp_path / "out")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == FILES
    page = assert_inert((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert HOSTILE in page.text
    markdown = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    prose = "\n".join(line for line in markdown.splitlines() if not line.startswith("    "))
    assert "<" not in prose.replace("holds if <", "").replace("| < ", "")
    assert re.findall(r"(?<!\\)\[[^\]]*\]\(", prose) == []


def constant(data: dict[str, Any]) -> None:
    """A component of constant weights: its correlations are not numbers."""
    component = data["components"][0]
    nothing = {"mean": "NaN", "interval95": ["NaN", "NaN"]}
    component.update(shuffled=nothing, independent=nothing, random_walk=nothing, mean_delta_correlation="NaN")
    component.update(delta_correlations=["NaN"] * 28, explained_variance=["NaN"] * 29, cosine=[["NaN"] * 30] * 30)


def destroyed(data: dict[str, Any]) -> None:
    """A layer without which the model predicts nothing at all."""
    for layer in data["layers"][:2]:
        for variant in layer["variants"].values():
            variant.update(perplexity="Infinity", degradation_percent="Infinity", interval95_percent=None)


def test_numbers_that_are_none_are_left_out_of_figures(source: str) -> None:
    broken = with_data(with_data(ledger(), "structure", constant), "ablation", destroyed)
    assert html_report(broken).count("<svg") == source.count("<svg")


@pytest.mark.parametrize("layers", [3, 64])
def test_a_model_of_another_depth_has_figures_without_the_papers_layers(layers: int) -> None:
    page = assert_inert(html_report(ledger(layers)))
    assert page.text.count("The numbers, side by side") == len([tag for tag, _ in page.elements if tag == "svg"]) > 5
    assert f"L{layers - 1} (boundary)" in page.text


def test_the_paper_profile_shows_every_arm_and_every_reading() -> None:
    whole = ledger(profile=Profile.PAPER)
    findings = tuple(each for each in whole.findings if each.id in {"recovery", "growth"})
    source = html_report(replace(whole, findings=findings))
    drawn = Page("".join(re.findall(r"<svg.*?</svg>", source, re.DOTALL))).text
    assert assert_inert(source).text.count("The numbers, side by side") == 6
    for name in ("σ of the layer", "σ of each parameter", "other text", "trained on the scored", "intact, trained"):
        assert name in drawn
    for name in ("equal compute", "all running", "embedding frozen", "restarted", "rate 0.0003", "rate 0.003"):
        assert name in drawn


def test_a_report_without_a_model_needs_no_figures() -> None:
    arithmetic = tuple(each for each in ledger().findings if each.id == "arithmetic")
    alone = replace(ledger(), subject=None, provenance=None, findings=arithmetic, measurements=(), options=())
    page = assert_inert(html_report(alone))
    assert "no model was measured" in page.text
    assert "anatomy-bench verify" in page.text
    assert "no model was measured" in markdown_report(alone)


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        (lambda made: with_data(made, "ablation", lambda data: data.pop("layers")), "ablation"),
        (lambda made: replace(made, schema="anatomy_bench/ledger/0"), "anatomy_bench/ledger/0"),
    ],
    ids=["measurement", "schema"],
)
def test_a_ledger_of_another_version_is_told_in_one_line(
    spoilt: Any, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ledger(spoilt(ledger()), tmp_path / "bad.json")
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", "report", str(tmp_path / "bad.json"), "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    errors = capsys.readouterr().err
    assert ended.value.code == 2
    assert errors.count("\n") == 1
    assert named in errors


def test_a_ledger_knows_what_its_verdicts_rest_on(tmp_path: Path) -> None:
    write_ledger(ledger(), tmp_path / "ledger.json")
    read = read_ledger(tmp_path)
    assert read == ledger()
    needs = {claim.id: claim.needs for finding in read.findings for claim in finding.claims}
    assert needs["anatomical-heterogeneity.anti-layers.l14-wide"] == (Need("ablation", corpus="wide", layers=(14, 17)),)


def judged(conclusion: Conclusion, **words: VerdictWord) -> JudgedFinding:
    """A finding with two reported claims and a control."""
    finding = ledger().findings[0]
    reported = [claim for claim in finding.claims if claim.kind == "replication"][:2]
    control = next(claim for claim in finding.claims if claim.kind == "control")
    claims = [
        replace(claim, statement=name, verdict=replace(claim.verdict, word=words[name], reason="too shallow"))
        for claim, name in zip([*reported, control], ("one", "two", "control"), strict=True)
    ]
    return replace(finding, conclusion=conclusion, claims=tuple(claims))


S, R, Q, N = VerdictWord.SUPPORTED, VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE, VerdictWord.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("conclusion", "words", "told"),
    [
        (Conclusion.REPRODUCED, (S, S, S), r"All 2 reported claims hold, and so does its control\."),
        (Conclusion.REPRODUCED, (S, N, N), r"The reported claim holds\."),
        (
            Conclusion.EXPLAINED_BY_CONTROL,
            (S, S, R),
            r"All 2 .* hold, but a control is refuted: “control” \(measured .*",
        ),
        (Conclusion.INCONCLUSIVE, (S, S, Q), r"All 2 .* hold, but a control is undecided: “control” .*"),
        (Conclusion.PARTLY_REPRODUCED, (S, R, S), r"1 of 2 reported claims holds; refuted: “two” .*"),
        (Conclusion.NOT_REPRODUCED, (R, R, R), r"None of 2 reported claims holds; refuted: “one” .*, and 1 more\."),
        (Conclusion.INCONCLUSIVE, (Q, Q, S), r"None of 2 reported claims holds; undecided: “one” .*, and 1 more\."),
        (Conclusion.NOT_APPLICABLE, (N, N, N), r"Nothing could be asked of this model: too shallow\."),
    ],
)
def test_one_sentence_says_why(conclusion: Conclusion, words: tuple[VerdictWord, ...], told: str) -> None:
    sentence = why(judged(conclusion, **dict(zip(("one", "two", "control"), words, strict=True))))
    assert re.fullmatch(told, sentence)


def test_drawing_and_templates_load_only_when_a_report_is_written() -> None:
    code = (
        "import sys, anatomy_bench.cli, anatomy_bench.pytest_plugin, anatomy_bench.report.writing;"
        "sys.exit(bool({'matplotlib', 'jinja2'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = "import sys, anatomy_bench.report.html, anatomy_bench.report.drawing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_report_tells_how_the_subject_ran_not_how_a_model_from_scratch_did():
    ablation, growth = (measured(Need(each), subject(), Profile.QUICK) for each in ("ablation", "growth"))
    ablation = replace(ablation, provenance=replace(ablation.provenance, dtype="bfloat16", attention="eager"))
    made = make_ledger((), {}, {Need("ablation"): ablation, Need("growth"): growth}, Options(model="invented"))
    assert made.provenance == ablation.provenance
    assert made.options[made.options.index("--dtype") + 1] == "bfloat16"
    alone = make_ledger((), {}, {Need("growth"): growth}, Options(model="invented"))
    assert alone.provenance == growth.provenance
