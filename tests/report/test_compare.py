"""Two ledgers side by side: what differs comes first."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ledgers import ledger

from anatomy_bench import cli
from anatomy_bench.claim.claim import VerdictWord
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.report.compare import Relation, compare, comparison_text
from anatomy_bench.run.ledger import Ledger, write_ledger

OTHER = {VerdictWord.SUPPORTED: VerdictWord.REFUTED, VerdictWord.REFUTED: VerdictWord.SUPPORTED}


def changed() -> tuple[Ledger, str, str]:
    """The ledger with one verdict turned and one finding left out; ids of the claim and the finding."""
    *kept, left_out = ledger().findings
    finding = kept[-1]
    turned = next(claim for claim in finding.claims if claim.verdict.word in OTHER)
    verdict = replace(turned.verdict, word=OTHER[turned.verdict.word], value=12345.6)
    claims = tuple(replace(each, verdict=verdict) if each is turned else each for each in finding.claims)
    kept[-1] = replace(finding, claims=claims, conclusion=Conclusion.INCONCLUSIVE)
    return replace(ledger(), findings=tuple(kept)), turned.id, left_out.id


def test_verdicts_that_differ_come_first_then_those_of_one_ledger() -> None:
    other, turned, left_out = changed()
    compared = compare(ledger(), other)
    assert compared.claims[0].id == turned
    assert compared.claims[0].relation is Relation.DIFFERENT
    relations = [each.relation for each in compared.claims]
    assert relations == sorted(relations, key=list(Relation).index)
    assert relations.count(Relation.DIFFERENT) == 1
    assert {each.id.split(".")[1] for each in compared.claims if each.relation is Relation.ONE_ONLY} == {left_out}
    assert {each.id for each in compared.claims} == {
        claim.id for finding in ledger().findings for claim in finding.claims
    }
    assert [each.id for each in compared.findings] == [each.id for each in ledger().findings]


def test_which_ledger_comes_first_does_not_change_what_differs() -> None:
    other, *_ = changed()
    forth, back = compare(ledger(), other), compare(other, ledger())
    assert [(each.id, each.relation) for each in forth.claims] == [(each.id, each.relation) for each in back.claims]
    assert all(
        (one.first, one.second) == (two.second, two.first) for one, two in zip(forth.claims, back.claims, strict=True)
    )


def test_the_table_fits_a_terminal_and_says_all_without_colour() -> None:
    other, *_ = changed()
    text = comparison_text(ledger(), other, ("here/ledger.json", "there/ledger.json"), colour=False)
    assert max(map(len, text.splitlines())) <= 100
    assert "\033" not in text
    assert "A  here/ledger.json" in text
    assert "B  there/ledger.json" in text
    places = [
        text.index(each) for each in ("verdicts that differ: 1", "judged in one of them only", "verdicts that agree")
    ]
    assert places == sorted(places)
    assert "12,346" in text[places[0] : places[1]]
    assert text.count("(differs)") == 2
    assert "\033" in comparison_text(ledger(), other, ("a", "b"), colour=True)


def test_a_ledger_agrees_with_itself() -> None:
    compared = compare(ledger(), ledger())
    assert {each.relation for each in compared.claims} == {Relation.SAME}
    text = comparison_text(ledger(), ledger(), ("a", "b"), colour=False)
    assert "verdicts that agree" in text
    assert not re.search(r"verdicts that differ|\(differs\)|one of them only", text)


def test_a_terminal_obeys_nothing_that_a_ledger_says() -> None:
    said = "\033]0;owned\a[red]statement[/red]\r"
    findings = [
        replace(each, title=said, claims=tuple(replace(claim, statement=said, unit=said) for claim in each.claims))
        for each in ledger().findings
    ]
    assert ledger().subject is not None
    hostile = replace(ledger(), findings=tuple(findings), subject=replace(ledger().subject, name=said))
    text = comparison_text(hostile, hostile, (said, "b"), colour=False)
    assert not {"\033", "\a", "\r"} & set(text)
    assert "[red]statement[/red]" in text


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["anatomy-bench", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_takes_files_and_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other, turned, _ = changed()
    write_ledger(ledger(), tmp_path / "one" / "ledger.json")
    write_ledger(other, tmp_path / "two.json")
    assert run(monkeypatch, tmp_path / "one", tmp_path / "two.json") == 0
    assert "verdicts that differ: 1" in capsys.readouterr().out
    assert run(monkeypatch, tmp_path / "one", tmp_path / "two.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["id"] == turned


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1, 2", b'{"schema": "anatomy_bench/ledger/3"}', b"\xff\xfe"])
def test_what_is_no_ledger_is_told_in_one_line(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ledger(ledger(), tmp_path / "good.json")
    bad = tmp_path / "bad.json"
    if content is not None:
        bad.write_bytes(content)
    assert run(monkeypatch, tmp_path / "good.json", bad) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert str(bad) in captured.err
