"""The plugin beside projects and plugins that have options of the same short names."""

from pathlib import Path

import pytest

NAMES = ("--model", "--device", "--seed", "--profile", "--report", "--corpus", "--finding", "--paper")
THEIR_OPTIONS = "def pytest_addoption(parser):\n" + "".join(
    f"    parser.addoption({name!r}, dest={name.strip('-')!r}, default='theirs')\n" for name in NAMES
)
THEIR_TEST = "def test_theirs(request):\n" + "".join(
    f"    assert request.config.getoption({name!r}) == 'given'\n" for name in NAMES
)
GIVEN = [word for name in NAMES for word in (name, "given")]
CLAIMS = """
import pytest

@pytest.mark.finding("delta-correlation")
def test_delta_correlation(claim, uphold):
    uphold(claim)
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """In a process of its own, where the installed plugin is found by its entry point."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_a_conftest_may_have_the_short_names(pytester: pytest.Pytester):
    pytester.makeconftest(THEIR_OPTIONS)
    pytester.makepyfile(THEIR_TEST)
    run(pytester, *GIVEN).assert_outcomes(passed=1)


def test_another_plugin_may_have_the_short_names(pytester: pytest.Pytester):
    pytester.makepyfile(their_plugin=THEIR_OPTIONS, test_theirs=THEIR_TEST)
    run(pytester, "-p", "their_plugin", *GIVEN).assert_outcomes(passed=1)


def test_claims_run_by_the_long_names_beside_them(pytester: pytest.Pytester, tiny_folder: Path):
    pytester.makeconftest(THEIR_OPTIONS)
    pytester.makepyfile(test_claims=CLAIMS, test_theirs=THEIR_TEST)
    ours = ("--anatomy-model", str(tiny_folder), "--anatomy-device", "cpu", "--anatomy-allow-untrained")
    result = run(pytester, *ours, *GIVEN, "-k", "universal or theirs", "--anatomy-report", "page")
    assert result.parseoutcomes()["passed"] >= 1
    assert "INTERNALERROR" not in result.stdout.str()
    assert (pytester.path / "page" / "report.html").is_file()


def test_elsewhere_only_the_long_names_are_registered(pytester: pytest.Pytester):
    helped = run(pytester, "--help").stdout.str()
    assert "--anatomy-model" in helped
    assert "--model=" not in helped
    assert "--device=" not in helped


def test_a_repository_of_claims_may_ask_for_the_short_names(pytester: pytest.Pytester):
    pytester.makeconftest("from anatomy_bench.pytest_options import add_short_options as pytest_addoption\n")
    helped = run(pytester, "--help").stdout.str()
    assert "--anatomy-model" in helped
    assert "--model=" in helped
