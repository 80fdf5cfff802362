"""Claims, and how a measurement judges them.

A `Claim` is one sentence of a paper made executable: its place in the paper, the published value, the criterion that
decides, and a pure function from measurements to an `Estimate`. `judge` never needs a model, so stored measurements
can be judged again. `conclusion.py` turns the verdicts on a finding's claims into its conclusion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from anatomy_bench.base.errors import InapplicableError
from anatomy_bench.claim.undecided import not_a_number, without_interval
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.record import Record


class Kind(StrEnum):
    """What a claim asks.

    Attributes:
        REPLICATION: the number or ordering that the paper reports.
        CONTROL: what must also be true for that number to mean what the paper says.
        CONSISTENCY: the paper's own arithmetic; needs no model.
    """

    REPLICATION = "replication"
    CONTROL = "control"
    CONSISTENCY = "consistency"


class VerdictWord(StrEnum):
    """The four answers a claim can get."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_APPLICABLE = "NOT_APPLICABLE"


@dataclass(frozen=True)
class Estimate(Record):
    """A measured value and its uncertainty, as far as that is known.

    Attributes:
        value: in the claim's unit.
        interval95: `None` where the uncertainty is unknown; never an interval of zero width because data are missing.
        note: what else a reader needs to understand the value, in a phrase.
        unknown: why there is no interval, where the estimate knows it.
    """

    value: float
    interval95: Interval | None
    note: str = ""
    unknown: str = ""


@dataclass(frozen=True)
class NotApplicable(Record):
    """Why a claim cannot be asked of this subject."""

    reason: str


@dataclass(frozen=True)
class Criterion(Record):
    """The values for which a claim holds: those from `low` to `high`.

    Bounds are inclusive unless `strict`. Build one with `at_least`, `at_most`, `above`, `below` or `within`.
    """

    low: float = float("-inf")
    high: float = float("inf")
    strict: bool = False

    def holds_for(self, value: float) -> bool:
        """Whether a single value meets the criterion; NaN never does."""
        if self.strict:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def judge(self, interval: Interval) -> VerdictWord:
        """SUPPORTED if the whole interval meets the criterion, REFUTED if no part of it does; both take finite ends."""
        if not interval.is_finite:
            return VerdictWord.INCONCLUSIVE
        if self.holds_for(interval.low) and self.holds_for(interval.high):
            return VerdictWord.SUPPORTED
        if self.strict:
            outside = interval.high <= self.low or interval.low >= self.high
        else:
            outside = interval.high < self.low or interval.low > self.high
        return VerdictWord.REFUTED if outside else VerdictWord.INCONCLUSIVE

    def __str__(self) -> str:
        """As it is shown to readers, such as `< 0` or `-0.52 to -0.48`."""
        if self.low == float("-inf"):
            return f"{'<' if self.strict else '≤'} {self.high:g}"
        if self.high == float("inf"):
            return f"{'>' if self.strict else '≥'} {self.low:g}"
        if self.low == self.high:
            return f"= {self.low:g}"
        return f"{self.low:g} to {self.high:g}"


def at_least(bound: float) -> Criterion:
    """Value ≥ bound."""
    return Criterion(low=bound)


def at_most(bound: float) -> Criterion:
    """Value ≤ bound."""
    return Criterion(high=bound)


def above(bound: float) -> Criterion:
    """Value > bound."""
    return Criterion(low=bound, strict=True)


def below(bound: float) -> Criterion:
    """Value < bound."""
    return Criterion(high=bound, strict=True)


def within(centre: float, tolerance: float) -> Criterion:
    """|value − centre| ≤ tolerance."""
    return Criterion(low=centre - tolerance, high=centre + tolerance)


@dataclass(frozen=True)
class Need(Record):
    """A measurement that a claim reads.

    Attributes:
        experiment: its name, such as `ablation`.
        corpus: name of a corpus; `None` is the run's own (`ten`, or `--corpus FILE`).
        layers: measure only these layers; `None` measures all.
    """

    experiment: str
    corpus: str | None = None
    layers: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """A name for readers, such as `ablation on wide, layers 14, 17 only`."""
        where = f" on {self.corpus}" if self.corpus else ""
        layers = f", layers {', '.join(map(str, self.layers))} only" if self.layers else ""
        return f"{self.experiment}{where}{layers}"


def always_applies(layer_count: int) -> str | None:
    """The default of `Claim.applies`: the claim can be asked of any model."""
    del layer_count
    return None


def needs_layer_count(required: int) -> Callable[[int], str | None]:
    """A value of `Claim.applies` for claims that name layers by their number in the paper's model."""

    def applies(layer_count: int) -> str | None:
        if layer_count == required:
            return None
        return f"names layers of a {required}-layer model; this one has {layer_count}"

    return applies


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, made executable.

    Attributes:
        id: unique, `paper.finding.claim`.
        statement: the sentence, in our words.
        place: where the paper says it.
        kind: replication, control or consistency.
        published: the paper's value in `unit`, or `None` where it gives none.
        unit: of the published value, the criterion and the estimate.
        criterion: the values for which the claim holds.
        why: the reason for that criterion.
        needs: the measurements that `estimate` takes, in this order.
        estimate: a pure function of those measurements.
        applies: takes the subject's number of layers; returns why the claim cannot be asked, or `None` if it can.
    """

    id: str
    statement: str
    place: str
    kind: Kind
    published: float | None
    unit: str
    criterion: Criterion
    why: str
    estimate: Callable[..., Estimate | NotApplicable]
    needs: tuple[Need, ...] = ()
    applies: Callable[[int], str | None] = always_applies

    @property
    def runs_model(self) -> bool:
        """Whether the claim needs a subject (mark `model` in pytest)."""
        return bool(self.needs)


@dataclass(frozen=True)
class Finding:
    """A finding of a paper: the claims that state it and those that control it.

    Attributes:
        id: unique, such as `anti-layers`.
        paper: id of the paper, such as `anatomical-heterogeneity`.
        title: the finding in a few words.
        place: the paper's sections and tables.
        order: findings of a paper are listed in ascending order of this number.
        claims: in the order in which they are shown.
    """

    id: str
    paper: str
    title: str
    place: str
    order: int
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class NumericalError(Record):
    """By how much rounding may have moved an estimate, in the claim's unit.

    Attributes:
        value: by how much the value may have moved.
        low: by how much the lower end of its interval may have; the interval may be on another scale.
        high: by how much the upper end may have.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict(Record):
    """The answer to a claim on one subject.

    Attributes:
        claim: id of the claim.
        word: one of the four answers.
        value: measured value in the claim's unit; `None` if not applicable.
        interval95: of the value.
        numerical_error: by how much rounding may have moved value and interval, where that is known.
        reason: why the word is what it is, where value, interval and criterion alone do not show it.
        note: the estimate's note.
    """

    claim: str
    word: VerdictWord
    value: float | None = None
    interval95: Interval | None = None
    numerical_error: NumericalError | None = None
    reason: str = ""
    note: str = ""


def estimate_of(claim: Claim, measurements: Sequence[Any]) -> Estimate | NotApplicable:
    """What a claim estimates from the measurements that it needs, or why it cannot be asked of this model."""
    try:
        return claim.estimate(*measurements)
    except InapplicableError as error:
        return NotApplicable(str(error))


def judge(
    claim: Claim, layer_count: int | None, measurements: Sequence[Any], numerical_error: NumericalError | None = None
) -> Verdict:
    """Judge a claim on the measurements that it needs.

    Args:
        claim: the claim.
        layer_count: of the subject; `None` for claims that need none.
        measurements: one for each of `claim.needs`, in that order.
        numerical_error: by how much rounding may have moved the estimate (`run/numerical_error.py`).

    A measured estimate of unknown uncertainty is INCONCLUSIVE, whatever its value. So is one that might be judged
    differently without rounding. A consistency claim without an interval is exact.
    """
    inapplicable = claim.applies(layer_count) if layer_count is not None else None
    if inapplicable:
        return Verdict(claim.id, VerdictWord.NOT_APPLICABLE, reason=inapplicable)
    estimate = estimate_of(claim, measurements)
    if isinstance(estimate, NotApplicable):
        return Verdict(claim.id, VerdictWord.NOT_APPLICABLE, reason=estimate.reason)
    reason = not_a_number(estimate.value, estimate.interval95)
    word, reason = (VerdictWord.INCONCLUSIVE, reason) if reason else _weigh(claim, estimate, numerical_error)
    if word is VerdictWord.INCONCLUSIVE and estimate.interval95 is None:
        reason = reason or without_interval(measurements, estimate.unknown)
    return Verdict(claim.id, word, estimate.value, estimate.interval95, numerical_error, reason, estimate.note)


def _weigh(claim: Claim, estimate: Estimate, error: NumericalError | None) -> tuple[VerdictWord, str]:
    if estimate.interval95 is not None:
        word = claim.criterion.judge(estimate.interval95)
        if error is None or claim.criterion.judge(estimate.interval95.widened(error.low, error.high)) is word:
            return word, ""
        return VerdictWord.INCONCLUSIVE, "within numerical error of the criterion"
    if claim.kind is Kind.CONSISTENCY:
        holds = claim.criterion.holds_for(estimate.value)
        return (VerdictWord.SUPPORTED if holds else VerdictWord.REFUTED), ""
    return VerdictWord.INCONCLUSIVE, ""
