"""What there is to claim and to measure: papers, findings, claims, experiments and figures.

A paper is a package, its *room*: `published.toml`, `experiments/` (a folder each, with `experiment.py`), `findings/`
and `figures/` (a module a finding). Rooms are found in `anatomy_bench/papers/` and in other installed packages, which
name theirs in the entry point group `anatomy_bench.papers`. Nothing here imports torch, so that a list of contents
costs nothing and stored measurements can be judged without a model.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, TypeVar

from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Claim, Finding
from anatomy_bench.experiments.experiment import Experiment
from anatomy_bench.values import published

GROUP = "anatomy_bench.papers"
"""Entry points whose values are rooms, such as `toy_paper` or `my_package.papers.toy`."""

_CORE = "anatomy_bench"
_CORE_PAPERS = "anatomy_bench.papers"
FoundT = TypeVar("FoundT")


@dataclass(frozen=True)
class Paper:
    """A paper and its room.

    Attributes:
        id: such as `anatomical-heterogeneity`.
        title: of the paper.
        arxiv: its number there, or nothing.
        room: the package, such as `anatomy_bench.papers.anatomical_heterogeneity`.
    """

    id: str
    title: str
    arxiv: str
    room: str

    @property
    def published(self) -> dict[str, Any]:
        """Its published numbers, as `published.toml` has them."""
        return published.load(self.room)

    @property
    def digest(self) -> str:
        """SHA-256 of those."""
        return published.digest(self.room)

    @property
    def citation(self) -> str:
        """Title and arXiv number."""
        return f"{self.title}, arXiv {self.arxiv}" if self.arxiv else self.title


@cache
def all_papers() -> dict[str, Paper]:
    """Papers by id, in the order of their ids.

    Raises:
        UsageError: two rooms are of papers with the same id, or one cannot be read.
    """
    found = [(_paper(room, announced), f"{room} ({announced})") for room, announced in _rooms()]
    return _unique("papers", sorted((paper.id, place, paper) for paper, place in found))


@cache
def all_findings() -> tuple[Finding, ...]:
    """Every finding, by paper and in the paper's order.

    Raises:
        UsageError: two findings, claims or experiments share an id, or one is not called after its paper and finding.
    """
    _experiment_packages()  # that two share a name is an error at once, not when one of them is asked for
    found = [(module.__name__, _finding(module, paper)) for paper in all_papers().values() for module in _of(paper)]
    _unique("findings", [(finding.id, place, finding) for place, finding in found])
    _unique("claims", [(claim.id, place, claim) for place, finding in found for claim in finding.claims])
    return tuple(sorted((finding for _, finding in found), key=lambda finding: (finding.paper, finding.order)))


def get_finding(finding_id: str) -> Finding:
    """The finding of that id.

    Raises:
        UsageError: there is none.
    """
    found = {finding.id: finding for finding in all_findings()}
    if finding_id not in found:
        raise UsageError(f"no finding {finding_id!r}; there are: {', '.join(found)}")
    return found[finding_id]


def get_paper(paper_id: str) -> Paper:
    """The paper of that id.

    Raises:
        UsageError: there is none.
    """
    if paper_id not in all_papers():
        raise UsageError(f"no paper {paper_id!r}; there are: {', '.join(all_papers())}")
    return all_papers()[paper_id]


def citation_of(paper_id: str) -> str:
    """Title and arXiv number of a paper, or the id itself where no such paper is installed."""
    paper = all_papers().get(paper_id)
    return paper.citation if paper else paper_id


@cache
def all_claims() -> dict[str, Claim]:
    """Every claim by id, in the order of the findings."""
    return {claim.id: claim for finding in all_findings() for claim in finding.claims}


def selected_findings(papers: Sequence[str] = (), findings: Sequence[str] = ()) -> tuple[Finding, ...]:
    """The findings of some papers, or those of some ids; all where none are named.

    Raises:
        UsageError: there is no such paper or finding, or no finding is of both.
    """
    of_papers = {get_paper(each).id for each in papers}
    of_ids = {get_finding(each).id for each in findings}
    found = tuple(
        finding
        for finding in all_findings()
        if (not of_papers or finding.paper in of_papers) and (not of_ids or finding.id in of_ids)
    )
    if not found:
        raise UsageError(f"{' and '.join(sorted(of_papers))} has no finding {' or '.join(sorted(of_ids))}")
    return found


@cache
def paper_of(claim_id: str) -> Paper:
    """The paper that makes the claim."""
    return next(
        get_paper(finding.paper) for finding in all_findings() if any(claim.id == claim_id for claim in finding.claims)
    )


@cache
def _experiment_packages() -> dict[str, str]:
    """By name of the experiment the package of its folder: the core's own, and those of every paper."""
    parents = [_CORE, *(paper.room for paper in all_papers().values())]
    found = [
        (name, f"{parent}.experiments.{name}", f"{parent}.experiments.{name}")
        for parent in parents
        for name in _submodules(f"{parent}.experiments", packages_only=True)
    ]
    return _unique("experiments", found)


def experiment_names() -> tuple[str, ...]:
    """Names of all experiments, in alphabetical order.

    Raises:
        UsageError: two experiments share a name.
    """
    return tuple(sorted(_experiment_packages()))


def experiment_package(name: str) -> str:
    """The package of an experiment's folder, such as `anatomy_bench.experiments.ablation`.

    Raises:
        UsageError: there is no such experiment.
    """
    if name not in _experiment_packages():
        raise UsageError(f"no experiment {name!r}; there are: {', '.join(experiment_names())}")
    return _experiment_packages()[name]


def get_experiment(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        UsageError: there is none, or its module cannot be used.
    """
    module = f"{experiment_package(name)}.experiment"
    experiment: Experiment = _offered(module, "EXPERIMENT")
    if experiment.name != name:
        raise UsageError(f"the experiment of {module} is called {experiment.name!r} and must be called as its folder")
    return experiment


def drawings_of(finding_id: str, paper_id: str) -> Sequence[Callable[..., Any]]:
    """The functions that draw a finding's figures (`report/figures.py`); none where there are none.

    A ledger may come from anywhere: what it names is looked up, never imported as it stands.

    Raises:
        UsageError: the module of the figures cannot be used.
    """
    paper, name = all_papers().get(paper_id), finding_id.replace("-", "_")
    if paper is None or name not in _submodules(f"{paper.room}.figures"):
        return ()
    drawings: Sequence[Callable[..., Any]] = _offered(f"{paper.room}.figures.{name}", "FIGURES")
    return drawings


def _rooms() -> list[tuple[str, str]]:
    """Each room, and where it was announced."""
    own = [(f"{_CORE_PAPERS}.{name}", _CORE_PAPERS) for name in _submodules(_CORE_PAPERS)]
    return own + [(each.value, _announced(each)) for each in entry_points(group=GROUP)]


def _announced(entry: EntryPoint) -> str:
    package = f" of the package {entry.dist.name}" if entry.dist is not None else ""
    return f"entry point {entry.name}{package}"


def _paper(room: str, announced: str) -> Paper:
    try:
        _imported(room)
        told = published.load(room)
        return Paper(str(told["id"]), str(told["title"]), str(told.get("arxiv", "")), room)
    except (UsageError, OSError, ValueError, TypeError) as error:
        raise UsageError(f"no paper can be read from {room} ({announced}): {error}") from error
    except KeyError as error:
        raise UsageError(f"published.toml of {room} ({announced}) lacks {error.args[0]!r}") from error


def _of(paper: Paper) -> list[ModuleType]:
    """The modules of a paper's findings."""
    package = f"{paper.room}.findings"
    modules = [_imported(f"{package}.{name}") for name in _submodules(package)]
    return [module for module in modules if hasattr(module, "FINDING")]


def _finding(module: ModuleType, paper: Paper) -> Finding:
    finding = module.FINDING
    if not isinstance(finding, Finding):
        raise UsageError(f"FINDING of {module.__name__} is no Finding")
    if finding.paper != paper.id:
        raise UsageError(f"{module.__name__} is in the room of {paper.id!r} and says that it is of {finding.paper!r}")
    for claim in finding.claims:
        if not claim.id.startswith(f"{paper.id}.{finding.id}."):
            raise UsageError(f"claim {claim.id!r} of {module.__name__} must begin with '{paper.id}.{finding.id}.'")
    return finding


def _submodules(package: str, *, packages_only: bool = False) -> list[str]:
    """Names of a package's modules and packages; none where there is no such package."""
    parent, _, _ = package.rpartition(".")
    _imported(parent)
    if importlib.util.find_spec(package) is None:
        return []
    found = pkgutil.iter_modules(_offered(package, "__path__"))
    return [each.name for each in found if each.ispkg or not packages_only]


def _imported(module: str) -> ModuleType:
    """A module, which may be a stranger's.

    Raises:
        UsageError: importing it raises anything.
    """
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error}"
        raise UsageError(f"cannot import {module}: {told} (python -c 'import {module}' shows where)") from error


def _offered(module: str, name: str) -> Any:
    """What a module of a room is there for.

    Raises:
        UsageError: it cannot be imported, or lacks that.
    """
    found = getattr(_imported(module), name, None)
    if found is None:
        raise UsageError(f"{module} has no {name}")
    return found


def _unique(what: str, found: Iterable[tuple[str, str, FoundT]]) -> dict[str, FoundT]:
    """By id.

    Args:
        what: they are, for the message.
        found: id, place and thing.

    Raises:
        UsageError: two share an id; both places are named.
    """
    places: dict[str, str] = {}
    things: dict[str, FoundT] = {}
    for each, place, thing in found:
        if each in places:
            raise UsageError(f"two {what} have the id {each!r}: {places[each]} and {place}; rename one")
        places[each], things[each] = place, thing
    return things
