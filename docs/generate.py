"""Write those pages that follow from the code, the list of claims and the JSON schemas, and the page of the benchmarks.

Run `python docs/generate.py` after changing any, or after `make bench BENCH_JSON=docs/benchmarks.json`; a test holds
the pages against the code and the figures.
"""

import json
from pathlib import Path

from anatomy_bench.claim.claim import Kind
from anatomy_bench.registry import all_findings, experiment_names, get_experiment
from anatomy_bench.report.benchmarks import read_benchmarks
from anatomy_bench.report.drawing import standalone
from anatomy_bench.report.markdown import benchmark_tables
from anatomy_bench.report.scaling import scaling
from anatomy_bench.run.ledger import Ledger
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.record import json_schema

FOLDER = Path(__file__).parent
BENCHMARKS = """\
# Benchmarks

Written by `docs/generate.py` from `benchmarks.json`, the figures of one `make bench BENCH_JSON=docs/benchmarks.json`.

- *Seconds* are those of the best round, with fresh memory each; a GPU is waited for within them. *Times as fast* is
  held against the first row of a table.
- Every fast way is held against the plain one on the same sentences, outside what is timed; a difference beyond
  rounding fails the benchmark.
- *Operations* are those of matrix products, two a multiply-add, as PyTorch counts them; in growth training by the
  formula of `growth_schedule.py`. *Of plain products* is their rate over that of plain products with the model's own
  matrices, one after the other, timed in the same run in the same precision with the same threads.
- *Peak MB* is memory at its peak beyond what was taken before the call: on the CPU the high-water mark of the process'
  resident memory, which is reset before each round (Linux only); on CUDA that of PyTorch's allocator.
- The naive loop is the paper's way: one variant, one sentence, one forward pass. The batched loop is a user's: one
  variant, all sentences padded and masked. nnsight and TransformerLens do the same with their own skips; their averages
  are weights written in place, because they intervene on activations. TransformerLens computes attention without fused
  kernels, so that its hooks see every pattern; it puts its own modules into a model, here into a copy made beforehand.
- Growth is validated as well, at the end of each phase: its rate is that of the steps' operations over the time of
  both. Seeds in one batch have their weights stacked, and each product is a batched one."""


def claims_page() -> str:
    """Every claim with its place, criterion and control, by finding."""
    lines = [
        "# Every claim",
        "",
        "Written by `docs/generate.py` from the registry. *Control* marks what must also be true for a number to mean",
        "what the paper says; *holds if* is the criterion, and the last column its reason.",
    ]
    for finding in all_findings():
        lines += ["", f"## {finding.title}", "", f"{finding.place}; `{finding.id}`", ""]
        lines += ["| Claim | Id | Place | Published | Holds if | Why |", "| --- | --- | --- | --- | --- | --- |"]
        for claim in finding.claims:
            control = "*Control:* " if claim.kind is Kind.CONTROL else ""
            cells = (
                control + claim.statement,
                f"`{claim.id.partition('.')[2]}`",
                claim.place,
                quantity(claim.published),
                f"{claim.criterion} {claim.unit}".strip(),
                claim.why,
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def benchmark_pages(measured: Path) -> dict[Path, str]:
    """The page of the benchmarks and its drawing, from the figures of a run."""
    benchmarks = read_benchmarks(measured)
    parts = [BENCHMARKS, *benchmark_tables(benchmarks)]
    drawings: dict[Path, str] = {}
    figure = scaling(benchmarks)
    if figure is not None:
        parts += [f"### {figure.title}", f"![{figure.title}](benchmarks.svg)", figure.caption]
        drawings[FOLDER / "benchmarks.svg"] = standalone(figure.svg)
    return {FOLDER / "benchmarks.md": "\n\n".join(parts) + "\n"} | drawings


def pages() -> dict[Path, str]:
    """All generated pages, by path."""
    kinds = {name: get_experiment(name).measurement_type for name in experiment_names()} | {"ledger": Ledger}
    schemas = {
        FOLDER / "schema" / f"{name}.json": json.dumps(json_schema(kind), indent=2) for name, kind in kinds.items()
    }
    measured = FOLDER / "benchmarks.json"
    return {
        FOLDER / "claims.md": claims_page(),
        **{path: text + "\n" for path, text in schemas.items()},
        **(benchmark_pages(measured) if measured.exists() else {}),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
