"""The memory that a plan names covers the statistics, however long the text."""

import subprocess
import sys
from pathlib import Path

import pytest

import anatomy_bench

MEASURE = """
import sys
from pathlib import Path
import tiny
from measuring import PeakMemory
from anatomy_bench.claim.claim import Need
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.run.store import Store
from anatomy_bench.subject import Subject
from anatomy_bench.values.profile import Profile

folder = Path(sys.argv[1])
(folder / "text").write_text("\\n".join(f"word {number}" for number in range(3_000)))
run = Run(Options(corpus=folder / "text", device="cpu", profile=Profile.PAPER), store=Store(folder / "store"))
run.subject = Subject(tiny.model(), tiny.tokenizer(), name="tiny")
(planned,) = run.plan([Need("ablation")]).measurements
peak = PeakMemory(run.subject.device)
peak.begin()
run.measure(Need("ablation"))
print(planned.statistics_bytes, planned.bytes, peak.bytes())
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux' high-water mark")
def test_statistics_count_in_the_bound(tmp_path: Path) -> None:
    """10,000 resamples of 3,000 sentences at once would take 480 MB, which was never said."""
    root = Path(anatomy_bench.__file__).parent.parent
    code = f"import sys; sys.path[:0] = {[str(root / 'tests'), str(root / 'benchmarks')]!r}\n{MEASURE}"
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    statistics, planned, measured = map(int, ended.stdout.split())
    assert 0 < statistics <= planned
    assert measured < planned < 300e6
