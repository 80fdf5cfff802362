"""Warnings fail the project's own tests, and never a session of claims beside plugins that warn."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOISY = """
import warnings

import pytest


def pytest_configure(config):
    warnings.warn("an option of this plugin is unset", pytest.PytestDeprecationWarning, stacklevel=1)


def pytest_collection_modifyitems(items):
    warnings.warn("and another", DeprecationWarning, stacklevel=1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    warnings.warn("and one in every test", DeprecationWarning, stacklevel=1)
"""


def beside_a_noisy_plugin(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "noisy.py").write_text(NOISY)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "noisy", "-p", "no:cacheprovider", "-q", *arguments],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"}, check=False,
    )  # fmt: skip


def test_a_warning_fails_a_test_of_this_project() -> None:
    with pytest.raises(UserWarning, match="unheard"):
        warnings.warn("unheard", stacklevel=1)


def test_claims_are_judged_beside_plugins_that_warn(tmp_path: Path) -> None:
    claims = "claims/anatomical_heterogeneity/test_arithmetic.py"
    ran = beside_a_noisy_plugin(tmp_path, claims, "-k", "table1 or budget")
    assert "INTERNALERROR" not in ran.stdout + ran.stderr
    assert "and one in every test" in ran.stdout  # told as what it is
    assert ran.returncode == 0, ran.stdout
