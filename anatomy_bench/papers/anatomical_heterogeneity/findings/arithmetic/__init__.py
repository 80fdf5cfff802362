"""The paper's own arithmetic: everything in its text and tables that can be checked against another part of it.

Each claim computes from the published numbers what should agree with an assertion of the paper, with the interval that
their rounding leaves open. No model is needed.
"""

from anatomy_bench.claim.claim import Finding
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic import (
    baseline,
    budget,
    growth,
    importance,
    manipulation,
    model,
    recovery,
    schedule,
)
from anatomy_bench.papers.anatomical_heterogeneity.findings.arithmetic.building import FINDING_ID
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER

FINDING = Finding(
    id=FINDING_ID,
    paper=PAPER,
    title="The paper's own arithmetic",
    place="all sections and tables",
    order=100,
    claims=(
        *model.CLAIMS,
        *importance.CLAIMS,
        *manipulation.CLAIMS,
        *baseline.CLAIMS,
        *recovery.CLAIMS,
        *growth.CLAIMS,
        *schedule.CLAIMS,
        *budget.CLAIMS,
    ),
)
