"""Files that an editor on Windows has saved begin with a byte order mark, and are read like any other."""

from codecs import BOM_UTF8
from pathlib import Path

import pytest

from anatomy_bench.claim.claim import VerdictWord
from anatomy_bench.notebook import judge
from anatomy_bench.registry import all_claims
from anatomy_bench.run.expected import JudgedObject, read_expected, record_expected
from anatomy_bench.run.ledger import read_ledger
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run

CLAIM = next(claim for claim in all_claims().values() if not claim.runs_model)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_expected_verdicts(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "paper.toml"
    verdict = Run(Options()).judge(CLAIM)
    record_expected(path, JudgedObject("paper", "d" * 64), "consistency", all_claims(), {CLAIM.id: verdict})
    plain = read_expected(path, all_claims())
    path.write_bytes(BOM_UTF8 + path.read_text().replace("\n", newline).encode())
    assert read_expected(path, all_claims()) == plain
    assert plain.of("consistency", CLAIM.id) in VerdictWord


def test_a_ledger(tmp_path: Path) -> None:
    judged = judge(finding="arithmetic")
    path = tmp_path / "ledger.json"
    judged.write(path)
    path.write_bytes(BOM_UTF8 + path.read_bytes())
    assert read_ledger(path) == judged.ledger
