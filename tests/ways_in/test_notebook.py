"""What notebooks call: light to import, the same verdicts as the command line, results that show themselves."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ledgers import hostile, ledger, subject
from ledgers import measured as invented
from pages import Page

import anatomy_bench
from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Need
from anatomy_bench.notebook import Judged, Measured
from anatomy_bench.registry import all_claims
from anatomy_bench.report.frames import measurement_rows
from anatomy_bench.values.profile import Profile

HEAVY = {"torch", "transformers", "numpy", "pydantic", "matplotlib", "jinja2", "pandas", "scipy"}


class Frame(list[dict[str, Any]]):
    """As much of a data frame as is asked of one."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        super().__init__(rows)
        self.attrs: dict[str, Any] = {}


@pytest.fixture
def pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=Frame))


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, anatomy_bench; dir(anatomy_bench); print(sorted({HEAVY} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_judging_what_was_stored_loads_no_torch() -> None:
    code = "import sys, anatomy_bench; anatomy_bench.judge()._repr_html_(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_has_these_names_and_no_others() -> None:
    assert {"judge", "load_subject", "measure"} <= set(dir(anatomy_bench))
    assert anatomy_bench.judge is anatomy_bench.judge
    with pytest.raises(AttributeError, match="dissect"):
        anatomy_bench.dissect  # noqa: B018


def test_a_ledger_judged_again_says_what_it_said(tmp_path: Path) -> None:
    Judged(ledger()).write(tmp_path / "ledger.json")
    for of in (ledger(), tmp_path, str(tmp_path / "ledger.json")):
        assert anatomy_bench.judge(of).ledger == ledger()


def test_a_claim_whose_measurement_is_missing_is_left_out() -> None:
    without = replace(ledger(), measurements=ledger().measurements[:0])
    judged = anatomy_bench.judge(without)
    assert {finding.id for finding in judged.ledger.findings} == {"arithmetic"}


def test_arithmetic_needs_no_subject(pandas: None) -> None:
    rows = anatomy_bench.judge().to_frame()
    assert [row["claim"] for row in rows] == [claim.id for claim in all_claims().values() if not claim.runs_model]


def test_a_model_is_measured_and_judged(tiny_folder: Path, pandas: None) -> None:
    run = anatomy_bench.load_subject(tiny_folder, device="cpu", profile="quick", allow_untrained=True)
    made = anatomy_bench.measure(run, "structure")
    assert "delta" in repr(made)
    assert len(made.to_frame()) == 7
    assert made.to_frame().attrs["subject"] == str(tiny_folder)
    judged = anatomy_bench.judge(run, "delta-correlation")
    assert [finding.id for finding in judged.ledger.findings] == ["delta-correlation"]
    assert anatomy_bench.judge(judged.ledger, "delta-correlation").ledger.findings == judged.ledger.findings
    assert "verdict" in repr(judged)
    with pytest.raises(UsageError, match="no finding"):
        anatomy_bench.judge(run, "dissection")
    with pytest.raises(UsageError, match="dissection"):
        anatomy_bench.measure(run, "dissection")


def test_frames_have_a_row_a_claim_and_numbers_as_numbers(pandas: None) -> None:
    made = Judged(ledger()).to_frame()
    claims = [claim for finding in ledger().findings for claim in finding.claims]
    assert [row["claim"] for row in made] == [claim.id for claim in claims]
    for row, claim in zip(made, claims, strict=True):
        assert (row["measured"], row["published"]) == (claim.verdict.value, claim.published)
        assert (row["interval95_low"] is None) == (claim.verdict.interval95 is None)


@pytest.mark.parametrize(
    ("experiment", "count", "columns"),
    [
        ("ablation", 30, {"layer", "boundary", "variants.skip.degradation_percent", "baseline_perplexity"}),
        ("structure", 7, {"component", "mean_delta_correlation", "independent.mean"}),
        ("manipulation", None, {"name"}),
        ("predictability", None, {"part", "component"}),
    ],
)
def test_a_measurement_has_a_row_for_each_thing_measured(experiment: str, count: int | None, columns: set[str]) -> None:
    rows = measurement_rows(invented(Need(experiment), subject(), Profile.QUICK))
    assert count is None or len(rows) == count
    assert columns <= {name for row in rows for name in row}
    values = [value for row in rows for value in row.values()]
    assert all(value is None or isinstance(value, str | float | int) for value in values)


def test_without_pandas_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"^to_frame\(\) needs pandas; run: pip install pandas$"):
        Judged(ledger()).to_frame()


def test_a_cell_shows_tables_and_figures_and_changes_nothing_around_it() -> None:
    measured = Measured(Need("ablation"), invented(Need("ablation"), subject(), Profile.QUICK))
    finding = next(each for each in ledger().findings if each.id == "anti-layers")
    single = Judged(replace(ledger(), findings=(finding,)))
    for shown, figures in ((measured, 2), (single, 1), (Judged(ledger()), 0)):
        source = shown._repr_html_()
        page = Page(source)
        tags = [tag for tag, _ in page.elements]
        assert tags.count("svg") == figures
        assert "table" in tags
        assert not {"script", "link", "html", "body"} & set(tags)
        style = source.partition("<style>")[2].partition("</style>")[0].strip()
        assert re.match(r"\.anatomy-bench \{\n&", style)
        assert style.count("{") == style.count("}")
        assert not re.search(r"^(:root|body|html)", style, re.MULTILINE)
    assert finding.title in page.text


def test_a_hostile_ledger_runs_nothing_in_a_notebook() -> None:
    tags = {tag for tag, _ in Page(Judged(hostile())._repr_html_()).elements}
    assert not {"script", "img"} & tags


NOTEBOOK = json.loads((Path(anatomy_bench.__file__).parent.parent / "docs" / "notebook.ipynb").read_text("utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_example_was_executed_from_top_to_bottom_and_names_no_machine() -> None:
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    kinds = [output["output_type"] for cell in CELLS for output in cell["outputs"]]
    assert set(kinds) == {"execute_result"}  # no error, no progress bar
    assert not re.search(r"/home/|/root|/tmp|/work|site-packages", json.dumps(NOTEBOOK))
    assert "<svg" in json.dumps(NOTEBOOK)


def test_the_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in CELLS:
        exec(compile("".join(cell["source"]), "notebook", "exec"), names)
    assert names["verdicts"].ledger.subject.name == "random-llama"


def test_a_terminals_table_is_text_in_a_notebook_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert ledger().findings[0].title in repr(Judged(ledger()))
