"""Verdicts on record: written, upheld, and noticed when they no longer hold, in either direction."""

import re
from pathlib import Path

import pytest
import tiny
from claim_runs import RunClaims, outcomes


def test_recording_makes_a_run_green(run_claims: RunClaims, pytester: pytest.Pytester, learnt: Path) -> None:
    unrecorded = outcomes(run_claims())
    recording, second = run_claims("--record-expected"), run_claims()
    assert (recording.ret, second.ret) == (0, 0)
    green = {"passed": unrecorded["passed"], "skipped": unrecorded["skipped"], "xfailed": unrecorded["failed"]}
    assert outcomes(recording) == outcomes(second) == green
    written = {path.name for path in (pytester.path / "claims" / "expected").iterdir()}
    assert written == {f"{learnt.name}.toml", "anatomical-heterogeneity.toml"}


def test_a_record_that_no_longer_matches_fails_in_either_direction(
    run_claims: RunClaims, pytester: pytest.Pytester, learnt: Path
) -> None:
    run_claims("--record-expected", "-k", "importance_hierarchy")
    record = pytester.path / "claims" / "expected" / f"{learnt.name}.toml"
    for before, after in (("SUPPORTED", "REFUTED"), ("INCONCLUSIVE", "SUPPORTED"), ("NOT_APPLICABLE", "SUPPORTED")):
        original = record.read_text()
        count = original.count(f'= "{before}"')
        assert count > 0
        record.write_text(original.replace(f'= "{before}"', f'= "{after}"'))
        edited = run_claims("-k", "importance_hierarchy")
        assert edited.ret == 1
        assert outcomes(edited)["failed"] == count
        assert f"on record: {after}" in edited.stdout.str()
        record.write_text(original)


def test_a_record_of_other_weights_does_not_count(
    run_claims: RunClaims, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    other = tiny.save(tmp_path / "other", tiny.model(seed=1))
    named = pytester.path / "record.toml"
    run_claims("-k", "delta_correlation", "--record-expected", "--expected", named)
    assert named.exists()
    assert run_claims("-k", "delta_correlation", "--expected", named).ret == 0
    refused = run_claims("-k", "delta_correlation", "--expected", named, model=other)
    assert refused.ret == 2
    assert "--record-expected" in refused.stdout.str() + refused.stderr.str()


def test_a_record_of_other_weights_found_by_name_is_told(
    run_claims: RunClaims, pytester: pytest.Pytester, learnt: Path
) -> None:
    run_claims("-k", "delta_correlation", "--record-expected")
    record = pytester.path / "claims" / "expected" / f"{learnt.name}.toml"
    text = record.read_text()
    record.write_text(re.sub(r'^digest = "\w+"', f'digest = "{"0" * 64}"', text, flags=re.MULTILINE))
    result = run_claims("-k", "delta_correlation")
    (told,) = {line for line in result.outlines if "was recorded for other weights" in line}
    assert "in float32 has" in told
    assert "--record-expected --expected FILE" in told
