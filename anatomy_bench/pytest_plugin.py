"""The pytest plugin: claims as tests, verdicts as outcomes.

Importing it imports nothing heavy: every project with this package installed pays for it.
"""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from anatomy_bench.pytest_options import add_options, options_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anatomy_bench.claim.claim import Claim, Verdict
    from anatomy_bench.run.expected import Outcome
    from anatomy_bench.run.judging import Judging

_VERDICT_PROPERTY = "anatomy_bench_json"
_OUTCOME_PROPERTY = "anatomy_bench_outcome"
_EXIT_PROPERTY = "anatomy_bench_exit"
_SUBJECT_PROPERTY = "anatomy_bench_subject"
_BEGAN = "anatomy_bench_began"
_INTERRUPTED = 130


def pytest_addoption(parser: pytest.Parser) -> None:
    """The declared options under names that no other plugin has: `--anatomy-model`, `--anatomy-device` and so on."""
    add_options(parser, "--anatomy-")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and what claims need once one is collected."""
    config.addinivalue_line("markers", "model: claims that run the model")
    config.addinivalue_line("markers", "gpu: the same claims (on the CPU where there is no GPU)")
    config.addinivalue_line("markers", "control: claims that control what the paper reports")
    config.addinivalue_line("markers", "finding(id): parametrize the test over the claims of a finding")
    # A warning, never an error: the job is measured again.
    config.addinivalue_line("filterwarnings", "always::anatomy_bench.base.errors.DamagedUnitWarning")
    config.pluginmanager.register(_ClaimSession(config), "anatomy_bench_session")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked `finding` becomes one test a claim, whose id is the claim's."""
    marker = metafunc.definition.get_closest_marker("finding")
    if marker is None:
        return
    from anatomy_bench.base.errors import AnatomyError
    from anatomy_bench.registry import get_finding

    try:
        finding = get_finding(*marker.args)
    except AnatomyError as error:  # rooms that clash, too: one line, not a traceback of the collection
        raise pytest.Collector.CollectError(str(error)) from None
    metafunc.parametrize("claim", [pytest.param(each, id=each.id, marks=_marks(each)) for each in finding.claims])


def _marks(claim: Claim) -> list[pytest.MarkDecorator]:
    from anatomy_bench.claim.claim import Kind

    of_model = [pytest.mark.model, pytest.mark.gpu] if claim.runs_model else []
    return [*of_model, *([pytest.mark.control] if claim.kind is Kind.CONTROL else [])]


@pytest.hookimpl(tryfirst=True)  # what chooses or reorders tests for other reasons comes after
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the selected claims, in the order of their paper, whatever their files are called; leave other tests be."""
    places = [place for place, item in enumerate(items) if item.get_closest_marker("finding")]
    if not places:
        return
    from anatomy_bench.base.errors import AnatomyError
    from anatomy_bench.registry import all_findings, selected_findings

    try:
        kept = {each.id for each in selected_findings(config.option.anatomy_paper, config.option.anatomy_finding)}
    except AnatomyError as error:
        raise pytest.UsageError(str(error)) from error
    order = {finding.id: number for number, finding in enumerate(all_findings())}
    claims = sorted((items[place] for place in places), key=lambda item: order[_finding_id(item)])
    for place, item in zip(places, claims, strict=True):
        items[place] = item
    left_out = [item for item in claims if _finding_id(item) not in kept]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if config.option.collectonly and config.option.verbose > 0:
        for item in claims:
            _describe(item)


def _describe(item: pytest.Item) -> None:
    """Let `--collect-only -v` show the claim's sentence, as it shows a test's docstring."""
    assert isinstance(item, pytest.Function)
    test, claim = item.obj, cast("Claim", item.callspec.params["claim"])

    @functools.wraps(test)
    def described(*args: Any, **kwargs: Any) -> Any:
        return test(*args, **kwargs)

    described.__doc__ = claim.statement
    item.obj = described


def _finding_id(item: pytest.Item) -> str:
    marker = item.get_closest_marker("finding")
    assert marker is not None
    return str(marker.args[0])


@pytest.fixture
def uphold(request: pytest.FixtureRequest) -> Callable[[Claim], None]:
    """Judge a claim: passes if it is supported, fails with the numbers if not, skips if it does not apply."""
    session: Any = request.config.pluginmanager.get_plugin("anatomy_bench_session")

    # Not through pytest's `record_property`: that warns at JUnit's present schema, and warnings may be errors.
    def judge(claim: Claim) -> None:
        session.judge(claim, lambda name, value: request.node.user_properties.append((name, value)))

    return judge


class _ClaimSession:
    """The verdicts of one pytest session; on the controller, those of all workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = getattr(config, "workerinput", {}).get(_BEGAN, time.time())
        self._is_worker = hasattr(config, "workerinput")
        self._judging: Judging | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._subject = ""
        self._exit_code = 0
        self._has_claims = False

    @property
    def judging(self) -> Judging:
        """Made when the first claim is at hand."""
        if self._judging is None:
            from anatomy_bench.base.atomic import check_folder
            from anatomy_bench.run.judging import Judging
            from anatomy_bench.run.run import Run

            get = self._config.getoption
            if get("anatomy_report") is not None:
                check_folder(get("anatomy_report"))
            self._judging = Judging(
                Run(options_from(self._config), _CaptureAwareProgress(self._config), began=self._began),
                # Without an ini file pytest's root is the common ancestor of all paths given, the model's among them.
                root=self._config.rootpath if self._config.inipath else self._config.invocation_params.dir,
                expected=get("anatomy_expected"),
                record=get("anatomy_record_expected"),
            )
        return self._judging

    def judge(self, claim: Claim, record_property: Callable[[str, object], None]) -> None:
        """Judge within a test and give the test its outcome."""
        from anatomy_bench.base.errors import AnatomyError
        from anatomy_bench.report.properties import properties
        from anatomy_bench.run.expected import Outcome
        from anatomy_bench.values.record import to_json

        try:
            judged = self.judging.judge(claim)
            if claim.runs_model:
                record_property(_SUBJECT_PROPERTY, self._describe())
        except AnatomyError as error:
            if not self._is_worker:
                pytest.exit(str(error), returncode=error.exit_code)
            record_property(_EXIT_PROPERTY, (error.exit_code, str(error)))  # the controller ends the session
            pytest.fail(str(error), pytrace=False)
        for name, value in properties(claim, judged.verdict).items():
            record_property(name, value)
        record_property(_VERDICT_PROPERTY, to_json(judged.verdict).decode())
        record_property(_OUTCOME_PROPERTY, judged.outcome.value)
        if judged.outcome is Outcome.SKIPPED:
            pytest.skip(judged.verdict.reason)
        if judged.outcome is Outcome.EXPECTED_FAILURE:
            pytest.xfail(judged.message)
        if judged.outcome is Outcome.FAILED:
            pytest.fail(f"{claim.statement}\n{judged.message}", pytrace=False)

    def _describe(self) -> str:
        from anatomy_bench.report.terminal import subject_lines

        run = self.judging.run
        lines = subject_lines(run.subject.record, run.subject.device.type, run.subject.dtype, run.profile)
        return "\n".join(filter(None, (*lines, self.judging.notice)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Workers are a part of this run: what one of them has measured since it began is fresh to all."""
        node.workerinput[_BEGAN] = self._began

    def pytest_report_collectionfinish(self, config: pytest.Config, items: list[pytest.Item]) -> list[str]:
        """Load the subject before the first test, so that one it cannot run on ends the session in one line."""
        claims = [item for item in items if item.get_closest_marker("finding")]
        self._has_claims = bool(claims)
        if not claims or config.option.collectonly or self._is_worker:
            return []
        from anatomy_bench.base.errors import AnatomyError

        try:
            judging = self.judging
            if not any(item.get_closest_marker("model") for item in claims):
                return []
            judging.prepare()
        except AnatomyError as error:
            pytest.exit(str(error), returncode=error.exit_code)
        return self._describe().splitlines()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather verdicts, also those that workers send."""
        if report.when != "call":
            return
        properties = dict(report.user_properties)
        if _EXIT_PROPERTY in properties and not self._is_worker:
            code, told = cast("tuple[int, str]", properties[_EXIT_PROPERTY])
            pytest.exit(told, returncode=code)
        if _VERDICT_PROPERTY in properties:
            from anatomy_bench.claim.claim import Verdict
            from anatomy_bench.run.expected import Outcome
            from anatomy_bench.values.record import from_json

            verdict = from_json(Verdict, str(properties[_VERDICT_PROPERTY]))
            self._verdicts[verdict.claim] = verdict
            self._outcomes[verdict.claim] = Outcome(properties[_OUTCOME_PROPERTY])
            self._subject = str(properties.get(_SUBJECT_PROPERTY, "")) or self._subject

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """A session of claims that was interrupted ends as the command line does."""
        if excinfo.errisinstance(KeyboardInterrupt) and (self._has_claims or self._verdicts):
            self._exit_code = _INTERRUPTED

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """Write the record and the report."""
        from anatomy_bench.base.errors import AnatomyError

        try:
            self._write_files()
        except AnatomyError as error:
            print(f"anatomy_bench: {error}", file=sys.stderr)
            self._exit_code = error.exit_code
        if self._exit_code:
            session.exitstatus = self._exit_code
        return (yield)

    def _write_files(self) -> None:
        if self._is_worker or not self._verdicts:
            return
        report: Path | None = self._config.getoption("anatomy_report")
        if self._config.getoption("anatomy_record_expected"):
            self.judging.write_record(self._verdicts)
        if report is not None:
            from anatomy_bench.registry import all_claims, all_findings
            from anatomy_bench.report.writing import write_report
            from anatomy_bench.run.ledger import make_ledger, rests_on

            run = self.judging.run
            needs = rests_on(self._verdicts, all_claims())
            measured = {need: run.measure(need) for need in needs}
            write_report(make_ledger(all_findings(), self._verdicts, measured, run.options), report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The verdict table, in the paper's order."""
        if not self._verdicts:
            return
        from anatomy_bench.registry import all_findings
        from anatomy_bench.report.terminal import next_steps, verdict_table
        from anatomy_bench.run.ledger import judged_findings

        terminalreporter.section("verdicts", sep="=")
        if self._subject:
            terminalreporter.write_line(self._subject)
        findings = judged_findings(all_findings(), self._verdicts)
        terminalreporter.write_line(verdict_table(findings, self._outcomes, colour=bool(terminalreporter.hasmarkup)))
        terminalreporter.write_line(next_steps(self._outcomes))


class _CaptureAwareProgress:
    """A bar on the real terminal while pytest captures output."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def stage(self, name: str, total: int) -> Any:
        """Begin a stage, with capturing suspended if there is a terminal to show it on."""
        from contextlib import contextmanager

        from anatomy_bench.base.progress import SilentProgress, progress_for_terminal

        capture: Any = self._config.pluginmanager.getplugin("capturemanager")

        @contextmanager
        def shown() -> Iterator[Any]:
            with capture.global_and_fixture_disabled():
                kind = SilentProgress() if hasattr(self._config, "workerinput") else progress_for_terminal()
                with kind.stage(name, total) as advance:
                    yield advance

        return shown()

    def note(self, line: str) -> None:
        """A line on the real standard error."""
        from anatomy_bench.base.progress import say

        capture: Any = self._config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            say(line)
