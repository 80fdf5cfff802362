"""Growth training beats uniform training of the same model (paper 4.6, Tables 6 to 9)."""

from collections.abc import Callable
from typing import Any

from anatomy_bench.claim.claim import (
    Claim,
    Criterion,
    Estimate,
    Finding,
    Kind,
    Need,
    NotApplicable,
    above,
    at_least,
    within,
)
from anatomy_bench.claim.printed import Printed
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.arms import prompts, published_parameters
from anatomy_bench.papers.anatomical_heterogeneity.findings.growth import estimates as estimates
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER, load

NEED = Need("growth")
TEXT = load()["text"]["4.6.3"]


def _printed(key: str) -> Printed:
    return Printed.parse(TEXT[key])


def _least(key: str) -> Criterion:
    """The values that round to the printed number or to a greater one."""
    return at_least(float(_printed(key).low))


_ARTEFACTS = int(TEXT["uniform_artefact_count"])
_UNIFORM_COHERENT_PERCENT = 100 * (1 - _ARTEFACTS / len(prompts()))


def _claim(
    name: str,
    statement: str,
    criterion: Criterion,
    why: str,
    estimate: Callable[..., Estimate | NotApplicable],
    **others: Any,
) -> Claim:
    defaults: dict[str, Any] = {
        "place": "Section 4.6.3, Table 8", "kind": Kind.REPLICATION, "published": None, "unit": "times",
    }  # fmt: skip
    return Claim(
        id=f"{PAPER}.growth.{name}", statement=statement, criterion=criterion, why=why,
        estimate=estimates.telling_cut_steps(estimate), needs=(NEED,),
        **(defaults | others),
    )  # fmt: skip


def _control(
    name: str, statement: str, why: str, estimate: Callable[..., Estimate | NotApplicable], place: str = "Section 4.6.4"
) -> Claim:
    return _claim(name, statement, above(1), why, estimate, kind=Kind.CONTROL, place=place)


_REPLICATIONS = (
    _claim(
        "parameters",
        f"Growth and Uniform are models of {published_parameters():,} parameters",
        within(published_parameters(), 0),
        "a count is exact; the architecture was chosen to give it, so no training can change this",
        estimates.parameters,
        place="Section 4.6.1, Table 6",
        published=float(published_parameters()),
        unit="parameters",
    ),
    _claim(
        "lower-loss",
        "Growth ends at a lower validation loss than Uniform after as many steps",
        above(1),
        "only the direction, which another text or learning rate should not change",
        estimates.loss_ratio("uniform", "growth"),
        published=float(_printed("growth_improvement").value),
    ),
    _claim(
        "improvement",
        "Growth's validation loss is 4.7 times lower than Uniform's",
        _least("growth_improvement"),
        "the values that round to the printed number, or greater ones",
        estimates.loss_ratio("uniform", "growth"),
        published=float(_printed("growth_improvement").value),
    ),
    _claim(
        "half-budget",
        "Growth at half budget ends at a lower validation loss than Uniform at full budget",
        above(1),
        "the direction; Table 8 prints 2.1",
        estimates.loss_ratio("uniform", "growth_half"),
        published=float(_printed("half_budget_improvement").value),
    ),
    _claim(
        "half-budget-steps",
        "Growth at half budget takes 37 % fewer steps than Uniform at full budget",
        _printed("half_budget_steps_saved_percent").criterion(),
        "the values that round to the printed number; follows from Table 7's schedule, whatever training gives",
        estimates.steps_saved,
        published=float(_printed("half_budget_steps_saved_percent").value),
        unit="%",
    ),
    _claim(
        "time",
        "Growth is 13 % faster than Uniform for as many steps: it takes that much less work",
        _least("growth_time_saved_percent"),
        "the values that round to the printed number, or greater ones; operations, which follow from the schedule, "
        "since a verdict on seconds would depend on what else the machine does",
        estimates.operations_saved,
        published=float(_printed("growth_time_saved_percent").value),
        unit="%",
    ),
    _claim(
        "coherent",
        "Growth completes the twelve prompts coherently",
        above(_UNIFORM_COHERENT_PERCENT),
        f"{_ARTEFACTS} of {len(prompts())} prompts going wrong are what the paper remarks on in Uniform",
        estimates.coherent_percent,
        place="Section 4.6.3, Table 9",
        published=100.0,
        unit="%",
    ),
    _claim(
        "fewer-artefacts",
        "Growth completes more of the twelve prompts coherently than Uniform",
        above(0),
        "Table 9 shows two artefacts of Uniform and none of Growth",
        estimates.artefacts_saved,
        place="Section 4.6.3, Table 9",
        published=float(_ARTEFACTS),
        unit="prompts",
    ),
)

_CONTROLS = (
    _control(
        "restarts",
        "Growth ends lower than uniform training whose optimiser begins anew as often",
        "each phase has a new optimiser; if that is what helps, growing does not",
        estimates.loss_ratio("uniform_restarted", "growth"),
    ),
    _control(
        "cloning",
        "Growth ends lower than growth without cloning",
        "the paper's reason is that later layers begin from competent ones",
        estimates.loss_ratio("growth_fresh", "growth"),
    ),
    _control(
        "equal-compute",
        "Growth ends lower than uniform training of as many operations",
        "a step of growth costs less than a uniform one: equal steps are not equal compute",
        estimates.loss_ratio("uniform_equal_compute", "growth"),
    ),
    _control(
        "best-rate",
        "Growth ends lower than Uniform, each at its best learning rate",
        "a learning rate that both share may suit only one of them",
        estimates.best_rate_ratio,
        place="Table 8",
    ),
    _control(
        "held-out",
        "Growth ends lower than Uniform on sentences that neither was trained on",
        "0.127 nats a token with 490 words is text learnt by heart; validation should ask for more",
        estimates.loss_ratio("uniform", "growth", estimates.held_out_loss),
        place="Table 8",
    ),
    _control(
        "all-running",
        "Growth ends lower than Uniform also if layers not yet grown run at their first weights",
        "the other reading of section 4.6.2, which freezes layers and skips none",
        estimates.loss_ratio("uniform", "growth_all_running"),
        place="Section 4.6.2",
    ),
    _control(
        "embedding-frozen",
        "Growth ends lower than Uniform also if the embedding learns in its first and last phase only",
        "the other reading of which weights a phase freezes",
        estimates.loss_ratio("uniform", "growth_embedding_frozen"),
        place="Section 4.6.2",
    ),
)

FINDING = Finding(
    id="growth",
    paper=PAPER,
    title="Growth training ends at a 4.7 times lower loss than uniform training",
    place="Section 4.6, Tables 6 to 9",
    order=70,
    claims=(*_REPLICATIONS, *_CONTROLS),
)
