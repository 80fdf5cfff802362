"""Run every section on a GPU and write `cuda.json` and `cuda.md`: `python -m gpu --json docs/cuda.json`."""

import argparse
import sys
import time
from pathlib import Path

from anatomy_bench.base.errors import AnatomyError
from anatomy_bench.subject.loading import resolve_device

_LEAST_SECONDS = 5.0
"""Left of a run: with less, no section is begun."""


def main() -> int:
    """0, also where a section failed (the page says so); 2 where there is no such device."""
    from gpu.sections import SECTIONS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("docs/cuda.json"), help="figures; the page lies beside it")
    parser.add_argument("--device", default="cuda", help="cpu, with --small, shows that everything runs")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--allow-untrained", action="store_true")
    parser.add_argument("--add", action="store_true", help="keep the sections that the file already has")
    parser.add_argument("--small", action="store_true", help="small sizes: to see that it runs")
    parser.add_argument("--seconds", type=float, default=900.0, help="of all sections together")
    parser.add_argument("--workers", type=int, default=4, help="processes that measure the paper")
    parser.add_argument("--report", default=".benchmarks/cuda-report", help="folder of the paper's report")
    parser.add_argument("--profile", default="paper", help="of the paper")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="these sections")
    asked = parser.parse_args()
    try:
        resolve_device(asked.device)
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        run(asked)
    except AnatomyError as error:
        print(f"make cuda: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def run(asked: argparse.Namespace) -> None:
    """All sections that were asked for, as long as there is time."""
    from gpu.device import about
    from gpu.figures import Figures
    from gpu.page import write
    from gpu.sections import SECTIONS, body
    from gpu.setting import SMALL, Setting, Sizes

    started = time.perf_counter()
    figures = Figures(asked.json, about(asked.device), model=Path(asked.model).name, add=asked.add)
    setting = Setting(
        figures,
        asked.device,
        asked.model,
        SMALL if asked.small else Sizes(),
        asked.allow_untrained,
        asked.workers,
        asked.report,
        asked.profile,
    )
    for name in SECTIONS:
        if name not in asked.only:
            continue
        title, *_, most = SECTIONS[name]
        left = asked.seconds - (time.perf_counter() - started)
        if left < _LEAST_SECONDS:
            figures.leave_out(name, title, "no time was left")
            continue
        figures.run(name, title, lambda name=name: body(name)(setting), min(most, left))
        section = figures.data["sections"][name]
        print(f"{name}: {section['state']}, {section['seconds']} s", flush=True)
    print(write(asked.json))


if __name__ == "__main__":
    sys.exit(main())
