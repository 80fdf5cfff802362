"""Write the pages that follow from the code or from measured figures.

These are the list of claims, the findings in each paper's README, the JSON schemas and their list in `json.md`, the
tree in `architecture.md`, and the page of the benchmarks. Run `python docs/generate.py` after a change to any of their
sources, and after `make bench BENCH_JSON=docs/benchmarks.json`; a test fails where a page is not what they say.
"""

import ast
import importlib
import json
import re
from pathlib import Path

from anatomy_bench.claim.claim import Finding, Kind
from anatomy_bench.registry import (
    Paper,
    all_papers,
    experiment_names,
    experiment_package,
    get_experiment,
    selected_findings,
)
from anatomy_bench.report.benchmarks import read_benchmarks
from anatomy_bench.report.drawing import standalone
from anatomy_bench.report.markdown import benchmark_tables
from anatomy_bench.report.scaling import scaling
from anatomy_bench.run.ledger import Ledger
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.record import json_schema

FOLDER = Path(__file__).parent
TREE_DEPTH = 4
"""Down to the modules of a paper's findings and figures and the folders of its experiments."""

BENCHMARKS = """\
# Benchmarks

Written by `docs/generate.py` from `benchmarks.json`, the figures of one `make bench BENCH_JSON=docs/benchmarks.json`.

- *Seconds* are those of the best round. Every round has fresh memory, and the time includes waiting for a GPU to
  finish. *Times as fast* compares with the first row of the table.
- Every fast way is compared with the plain one on the same sentences, outside the timed part; a difference beyond
  rounding fails the benchmark.
- *Operations* are those of matrix products, two for each multiply-add, as PyTorch counts them; in growth training
  they follow from the formula in the `schedule.py` of the experiment `growth`. *Of plain products* compares their
  rate with that of plain products with the model's own matrices, one after the other, timed in the same run,
  precision and threads.
- *Peak MB* is the highest use of memory beyond what was taken before the call: on the CPU the high-water mark of the
  process' resident memory, which is reset before each round (Linux only); on CUDA that of PyTorch's allocator.
- The naive loop is the paper's way: one variant, one sentence, one forward pass. The batched loop is what a user
  would write: one variant, all sentences padded and masked. nnsight and TransformerLens do the same with their own
  skips; their averages are weights written in place, because both intervene on activations. TransformerLens computes
  attention without fused kernels, so that its hooks see every pattern; it puts its own modules into a model, here
  into a copy made before.
- Growth training includes a validation at the end of each phase: its rate is the operations of its steps over the
  time of both. Seeds in one batch have their weights stacked, and each product is a batched one."""


def own_papers() -> list[Paper]:
    """The papers of this repository, whatever other packages are installed beside it."""
    return [paper for paper in all_papers().values() if _is_own(paper.room)]


def own_experiments() -> list[str]:
    """Names of the experiments of this repository."""
    return [name for name in experiment_names() if _is_own(experiment_package(name))]


def claims_page() -> str:
    """Every claim with its place, criterion and control, by paper and finding."""
    lines = [
        "# Every claim",
        "",
        "Written by `docs/generate.py` from the registry. *Control* marks what must also be true for a number to mean",
        "what the paper says; *holds if* is the criterion, and the last column says why it is that one. A claim's full",
        "id is `paper.finding.claim`, as in `anatomical-heterogeneity.anti-layers.l14-wide`; its test has the same id.",
    ]
    for paper in own_papers():
        lines += ["", f"## {paper.citation}", "", f"Paper `{paper.id}`"]
        for finding in selected_findings(papers=[paper.id]):
            lines += ["", *_finding_section(finding)]
    return "\n".join(lines) + "\n"


def _finding_section(finding: Finding) -> list[str]:
    lines = [f"### {finding.title}", "", f"{finding.place}; finding `{finding.id}`", ""]
    lines += ["| Claim | Id | Place | Published | Holds if | Why |", "| --- | --- | --- | --- | --- | --- |"]
    for claim in finding.claims:
        control = "*Control:* " if claim.kind is Kind.CONTROL else ""
        cells = (
            control + claim.statement,
            f"`{claim.id.rpartition('.')[2]}`",
            claim.place,
            quantity(claim.published),
            f"{claim.criterion} {claim.unit}".strip(),
            claim.why,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def findings_table(paper: Paper) -> str:
    """A paper's findings, with how many claims each has and which experiments they read."""
    lines = ["| Finding | Id | Place | Claims | Experiments |", "| --- | --- | --- | ---: | --- |"]
    for finding in selected_findings(papers=[paper.id]):
        read = sorted({need.experiment for claim in finding.claims for need in claim.needs})
        names = ", ".join(f"`{name}`" for name in read) or "none"
        lines.append(f"| {finding.title} | `{finding.id}` | {finding.place} | {len(finding.claims)} | {names} |")
    return "\n".join(lines)


def tree(folder: Path, depth: int = 0) -> list[str]:
    """The modules in a folder as a nested list, each with the first sentence of its docstring.

    Args:
        folder: of a package.
        depth: how far below the whole package the folder is; folders at `TREE_DEPTH` are not opened.
    """
    modules = [path for path in folder.glob("*.py") if not path.name.startswith("__")]
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    lines = []
    for path in [*sorted(packages), *sorted(modules)]:
        is_package = path in packages
        source = path / "__init__.py" if is_package else path
        lines.append(f"{'  ' * depth}- `{path.name}{'/' if is_package else ''}`: {first_sentence(source)}")
        if is_package and depth + 1 < TREE_DEPTH:
            lines += tree(path, depth + 1)
    return lines


def first_sentence(source: Path) -> str:
    """Of a module's docstring.

    Raises:
        ValueError: it has none.
    """
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
    if docstring is None:
        raise ValueError(f"{source} has no docstring")
    return re.split(r"(?<=\.)\s", " ".join(docstring.split()), maxsplit=1)[0]


def between_marks(page: Path, mark: str, text: str) -> str:
    """A page that is written by hand, with the part between two marks replaced.

    Args:
        page: the page.
        mark: its comments are `<!-- mark: generated -->` and `<!-- mark: end -->`.
        text: to stand between them.

    Raises:
        ValueError: the page lacks the marks.
    """
    begin, end = f"<!-- {mark}: generated -->\n", f"<!-- {mark}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{page} lacks {begin.strip()} or {end}")
    return f"{before}{begin}\n{text}\n\n{end}{after}"


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
    kinds = {name: get_experiment(name).measurement_type for name in own_experiments()} | {"ledger": Ledger}
    schemas = {
        FOLDER / "schema" / f"{name}.json": json.dumps(json_schema(kind), indent=2) for name, kind in kinds.items()
    }
    list_of_schemas = "\n".join(f"- [{name}](schema/{name}.json)" for name in kinds)
    list_of_modules = "\n".join(tree(_folder("anatomy_bench")))
    rooms = {_folder(paper.room) / "README.md": findings_table(paper) for paper in own_papers()}
    measured = FOLDER / "benchmarks.json"
    return {
        FOLDER / "claims.md": claims_page(),
        FOLDER / "architecture.md": between_marks(FOLDER / "architecture.md", "tree", list_of_modules),
        FOLDER / "json.md": between_marks(FOLDER / "json.md", "schemas", list_of_schemas),
        **{page: between_marks(page, "findings", table) for page, table in rooms.items()},
        **{path: text + "\n" for path, text in schemas.items()},
        **(benchmark_pages(measured) if measured.exists() else {}),
    }


def _folder(package: str) -> Path:
    return Path(importlib.import_module(package).__path__[0])


def _is_own(package: str) -> bool:
    return package.startswith("anatomy_bench.")


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
