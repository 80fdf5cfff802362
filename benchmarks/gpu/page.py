"""The page of a run's figures, made from its JSON file: `python -m gpu.page docs/cuda.json` writes `docs/cuda.md`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from anatomy_bench.values.quantities import quantity
from gpu.sections import SECTIONS

INTRODUCTION = """\
# On a GPU

Written by `make cuda` from `cuda.json`, the figures of one run of `benchmarks/gpu`. A section that is not here was not
run, and nothing is claimed of it.

- *Seconds* are medians of the rounds, after one that warms up; the device is waited for within them. Ways of doing the
  same take turns, forwards and backwards; *times as fast* is the median of the ratios within a round. *Rounds* says
  how many, and their fastest and slowest (seconds of one call, or the ratios).
- *Differences from the CPU* are of the same text and weights on the same machine's processor, in float32.
- *Kernels*, *waits* and *busy* are PyTorch's profiler's, of one map that is already warm.
- The naive loop is the paper's way: one variant, one sentence, one forward pass. The batched loop is a user's: one
  variant, all sentences padded and masked. The plain loop of recovery trains one layer at a time by whole forward
  passes, a sentence at a time; that of growth asks for the gradients of every layer that runs."""
HEADERS = ("figure", "value", "unit", "rounds", "bound")


def page(data: Mapping[str, Any]) -> str:
    """Markdown of a run."""
    parts = [INTRODUCTION, _machine(data)]
    for name, (title, *_) in SECTIONS.items():
        section = data["sections"].get(name)
        parts.append(f"## {title}")
        if section is None:
            parts.append("Absent: not run.")
            continue
        parts.append(_state(section))
        if section["figures"]:
            rows = [_row(each) for each in section["figures"]]
            parts.append(tabulate(rows, HEADERS, tablefmt="github", disable_numparse=True))
    return "\n\n".join(parts) + "\n"


def _machine(data: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    card = (
        f"{data['card']} ({data['card_bytes'] / 2**30:.0f} GiB, driver {data['driver']}, CUDA {data['cuda']})"
        if data["card"]
        else f"no card: this run was on {data['device']}, to see that it runs, and is no measurement of a GPU"
    )
    return (
        f"Measured on {card}; {data['processor']}, {data['cores']} cores; {versions}. "
        f"Products of float32 are of `{data['float32_products']}` precision."
    )


def _state(section: Mapping[str, Any]) -> str:
    state = section["state"]
    if state == "begun":
        return "Cut short while it ran; what it had by then:"
    return f"{state[0].upper()}{state[1:]}, {section['seconds']:.0f} s in all; model: {section['model']}."


def _row(figure: Mapping[str, Any]) -> tuple[str, ...]:
    value = figure["value"]
    shown = value if isinstance(value, str) else quantity(float(value))
    return (
        figure["what"].replace("|", "\\|"),
        shown.replace("|", "\\|"),
        figure["unit"],
        _spread(figure),
        _bound(figure),
    )


def _spread(figure: Mapping[str, Any]) -> str:
    rounds = figure.get("rounds")
    if not rounds:
        return ""
    unit = " s" if figure["unit"] else ""
    return f"{len(rounds)}: {quantity(min(rounds))} to {quantity(max(rounds))}{unit}"


def _bound(figure: Mapping[str, Any]) -> str:
    for name, sign in (("at_most", "≤"), ("at_least", "≥")):
        if name in figure:
            bound, value = figure[name], figure["value"]
            kept = value <= bound if name == "at_most" else value >= bound
            return f"{sign} {quantity(float(bound))}: {'kept' if kept else 'MISSED'}"
    return ""


def write(measured: Path) -> Path:
    """Write the page beside the figures; returns its path."""
    path = measured.with_suffix(".md")
    path.write_text(page(json.loads(measured.read_text(encoding="utf-8"))), encoding="utf-8")
    return path


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
