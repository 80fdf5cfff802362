"""The findings of the papers: one folder a paper, one module a finding, found by their files.

None of them imports torch, so that a contents list costs nothing and stored
measurements can be judged without a model.
"""

import importlib
import pkgutil
from functools import cache

from anatomy_bench.claim import Claim, Finding


@cache
def all_findings() -> tuple[Finding, ...]:
    """Every finding, by paper and in the paper's order.

    Raises:
        ValueError: two claims share an id.
    """
    found: list[Finding] = []
    for paper in pkgutil.iter_modules(__path__):
        package = importlib.import_module(f"{__name__}.{paper.name}")
        modules = [
            importlib.import_module(f"{package.__name__}.{each.name}")
            for each in pkgutil.iter_modules(package.__path__)
        ]
        found += [module.FINDING for module in modules if hasattr(module, "FINDING")]
    ids = [claim.id for finding in found for claim in finding.claims]
    repeated = {each for each in ids if ids.count(each) > 1}
    if repeated:
        raise ValueError(f"claims share an id: {', '.join(sorted(repeated))}")
    return tuple(sorted(found, key=lambda finding: (finding.paper, finding.order)))


def get_finding(finding_id: str) -> Finding:
    """The finding of that id.

    Raises:
        KeyError: there is none.
    """
    return {finding.id: finding for finding in all_findings()}[finding_id]


@cache
def all_claims() -> dict[str, Claim]:
    """Every claim by id, in the order of the findings."""
    return {claim.id: claim for finding in all_findings() for claim in finding.claims}


@cache
def paper_of(claim_id: str) -> str:
    """Id of the paper that makes the claim."""
    return next(finding.paper for finding in all_findings() if any(claim.id == claim_id for claim in finding.claims))
