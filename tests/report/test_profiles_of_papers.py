"""The published profile in the atlas is that of a paper that has one, whatever other papers are shown."""

from types import SimpleNamespace
from typing import Any

import pytest

from anatomy_bench.registry import all_papers
from anatomy_bench.report import atlas_profiles

OURS = "anatomical-heterogeneity"


@pytest.mark.parametrize("numbers", [{}, {"ablation": {"place": "Table 1"}}], ids=["none", "of another form"])
def test_a_paper_without_a_profile_is_passed_by(numbers: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"waves": SimpleNamespace(published=numbers), **all_papers()}
    monkeypatch.setattr(atlas_profiles, "all_papers", lambda: known)
    shown = [SimpleNamespace(finding=SimpleNamespace(paper=paper)) for paper in ("unknown", "waves", OURS)]
    profile = atlas_profiles._published(SimpleNamespace(findings=shown))
    assert len(profile) == 30
    assert (min(profile), max(profile)) == (0.0, 1.0)
    assert atlas_profiles._published(SimpleNamespace(findings=shown[:2])) == {}
