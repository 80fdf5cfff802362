"""Who imports whom in the package, read from its sources, and who may.

base ← values ← claim, engine ← subject ← experiments ← registry ← run ← report ← ways in. A paper's experiments and
findings import the registry's side and below, its figures what reports are drawn with as well.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import anatomy_bench

PACKAGE = Path(anatomy_bench.__file__).parent

FLOORS = {
    "base": 0, "values": 1, "claim": 2, "engine": 2, "subject": 3, "experiments": 4, "registry": 5, "run": 6,
    "report": 7,
}  # fmt: skip
"""A room imports those on floors below its own."""

WAYS_IN = 8
"""The floor of the modules that lie in the package itself."""

PARTS = {"published": 0, "experiments": 1, "findings": 2, "figures": 3}
"""A paper's own, in the order in which they import one another."""

DRAWING = ("report.drawing", "report.figures", "run.ledger")
"""What figures import from above the registry."""

HEAVY = {"torch", "transformers"}


@dataclass(frozen=True)
class Import:
    """That one module imports another.

    Attributes:
        by: the one, without the package's name, such as `run.store`.
        of: the other; a package where a name of its `__init__.py` is imported. Of the package itself without its name.
        is_own: whether the other is of the package.
        for_types: whether it is never loaded.
    """

    by: str
    of: str
    is_own: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.by} imports {self.of}"


@cache
def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module by its name without the package's; a package by that of its folder."""
    names = {path: path.relative_to(package).with_suffix("").parts for path in sorted(package.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in names.items()}


@cache
def imports(package: Path = PACKAGE) -> tuple[Import, ...]:
    """Every import in the package: at the top, in functions, and for types alone."""
    own = f"{package.name}."
    found = {
        Import(name, _module(f"{each}.".removeprefix(own)[:-1], package), f"{each}.".startswith(own), for_types)
        for name, path in modules(package).items()
        for each, for_types in _imported(ast.parse(path.read_text(encoding="utf-8")))
    }
    return tuple(sorted(found, key=str))


def _imported(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """What a module imports, with the name that it takes from there; and whether for types alone."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    for_types = {id(each) for block in blocks for node in block.body for each in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.name, id(node) in for_types) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are by whole names"
            yield from ((f"{node.module}.{each.name}", id(node) in for_types) for each in node.names)


def _module(found: str, package: Path) -> str:
    """Without the name that is taken from a module of the package, where it is no module itself."""
    above = found.rpartition(".")[0]
    return above if found not in modules(package) and above in modules(package) else found


def is_allowed(each: Import) -> bool:
    """Whether the layout lets one import the other."""
    if not each.is_own:
        return _may_load(each)
    by, of = each.by.split("."), each.of.split(".")
    if by[0] == of[0]:
        return by[0] != "papers" or (by[1] == of[1] and PARTS[by[2]] >= PARTS[of[2]])
    if by[0] == "papers":
        return _floor(of[0]) <= FLOORS["registry"] or (by[2] == "figures" and each.of in DRAWING)
    return of[0] != "papers" and (_floor(of[0]) < _floor(by[0]) or _floor(by[0]) == WAYS_IN)


def _floor(room: str) -> int:
    return FLOORS.get(room, WAYS_IN)


def _may_load(each: Import) -> bool:
    name, folders = each.of.partition(".")[0], each.by.split(".")[:-1]
    if name in HEAVY:
        return each.for_types or folders[:1] == ["subject"] or "engine" in folders
    return name != "pytest" or each.by == "pytest_plugin"


def circles(package: Path = PACKAGE) -> list[tuple[str, ...]]:
    """Groups of modules of which each imports all others in the end, and so itself."""
    edges: defaultdict[str, set[str]] = defaultdict(set)
    for each in imports(package):
        if each.is_own:
            edges[each.by].add(each.of)
    reached = {name: _reached(name, edges) for name in list(edges)}
    around = [name for name in reached if name in reached[name]]
    groups = {tuple(other for other in around if other in reached[name] and name in reached[other]) for name in around}
    return sorted(groups)


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = [*edges[start]]
    while ahead:
        each = ahead.pop()
        if each not in seen:
            seen.add(each)
            ahead += edges.get(each, ())
    return seen
