"""The whole paper profile: every claim of every paper that runs the model, judged on the device."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from anatomy_bench.run.inventory import take_inventory
from anatomy_bench.run.ledger import LEDGER_FILE
from anatomy_bench.values.record import to_data
from gpu.figures import OutOfTime
from gpu.setting import Setting

ROOT = Path(__file__).parent.parent.parent
PAPER_AT_MOST = 60.0
LONG = ("growth", "recovery")
"""Experiments that train. The others come first, so that a run that is cut short has their verdicts."""

_LAST_LINES = 60
_FAILED_TESTS = 1
"""pytest's exit code where a verdict is not the expected one, which says nothing of the run."""


def paper(setting: Setting) -> None:
    """Two sessions of pytest: without what trains, then all of it, where the first one's jobs are read."""
    setting.forget()  # its own processes need the memory
    without = " and ".join(f"not {each}" for each in LONG)
    started = time.perf_counter()
    for name, selected in (("first", ["-k", without]), ("whole", [])):
        report = Path(setting.report) / name
        began = time.perf_counter()
        session(setting, report, selected)
        _note(setting, name, report, time.perf_counter() - began)
    what = (
        f"the whole {setting.profile} profile, both sessions, {setting.workers} processes, set-up and report included"
    )
    setting.figures.note("paper", what, time.perf_counter() - started, "s", at_most=PAPER_AT_MOST)


def session(setting: Setting, report: Path, selected: list[str]) -> None:
    """One session of pytest over the claims; its last lines are kept.

    Raises:
        RuntimeError: pytest did not come to its end.
    """
    untrained = ["--allow-untrained"] if setting.allow_untrained else []
    command = [
        sys.executable, "-m", "pytest", "claims/", "-m", "model", "--device", setting.device, "--model", setting.model,
        "--profile", setting.profile, "--report", str(report), "-q", "--tb=no", "-p", "no:cacheprovider",
        # A card's machine may have other versions than those pinned: what they deprecate is no failure of a claim.
        "-W", "default", "-n", str(setting.workers), *untrained, *selected,
    ]  # fmt: skip
    threads = str(max(1, (os.cpu_count() or 1) // max(1, setting.workers)))
    running = subprocess.Popen(  # noqa: S603
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": threads},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = running.communicate()
    except OutOfTime:
        os.killpg(running.pid, signal.SIGKILL)  # the workers as well
        output, _ = running.communicate()
        _note_store(setting)
        raise
    finally:
        setting.figures.data["sections"]["paper"]["output"] = output.splitlines()[-_LAST_LINES:]
    if running.returncode not in (0, _FAILED_TESTS):
        raise RuntimeError(f"pytest ended with {running.returncode}")


def _note(setting: Setting, name: str, report: Path, seconds: float) -> None:
    """What the ledger of a session says: verdicts, and seconds of each measurement."""
    ledger: dict[str, Any] = json.loads((report / LEDGER_FILE).read_text(encoding="utf-8"))
    claims = [claim for finding in ledger["findings"] for claim in finding["claims"]]
    words = Counter(claim["verdict"]["word"] for claim in claims)
    counts = ", ".join(f"{count} {word}" for word, count in words.most_common())
    setting.figures.note("paper", f"{name} session: verdicts", counts)
    setting.figures.note("paper", f"{name} session", seconds, "s")
    for kept in ledger["measurements"]:
        need, layers = kept["need"], ", ".join(map(str, kept["need"]["layers"] or ()))
        told = ", ".join(filter(None, (need["experiment"], need["corpus"], layers and f"layers {layers}")))
        what = f"{name} session: {told}: seconds of its jobs in all processes"
        setting.figures.note("paper", what, kept["data"]["seconds"], "s")


def _note_store(setting: Setting) -> None:
    """Jobs that were finished when the time was over."""
    from anatomy_bench.base.locations import store_folder

    for holding in to_data(take_inventory(store_folder()))["holdings"]:
        setting.figures.note("paper", "stopped; in the store by then", json.dumps(holding, ensure_ascii=False))
