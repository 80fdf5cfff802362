"""The conclusion of a finding, from the verdicts on its claims."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from anatomy_bench.claim.claim import Finding, Kind, Verdict, VerdictWord


class Conclusion(StrEnum):
    """What the verdicts on one finding mean together."""

    REPRODUCED = "reproduced"
    EXPLAINED_BY_CONTROL = "explained by its control"
    PARTLY_REPRODUCED = "partly reproduced"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class _Tally:
    """The words of the verdicts on those claims that could be asked."""

    words: list[VerdictWord] = field(default_factory=list[VerdictWord])

    def all(self, word: VerdictWord) -> bool:
        return bool(self.words) and all(said is word for said in self.words)

    def any(self, word: VerdictWord) -> bool:
        return any(said is word for said in self.words)


def conclude(finding: Finding, verdicts: Sequence[Verdict]) -> Conclusion:
    """The conclusion from the verdicts on a finding's claims.

    Consistency claims count as reported by the paper, like replications. If all reported claims hold
    and a control is refuted, the finding is explained by that control.
    """
    word_of = {verdict.claim: verdict.word for verdict in verdicts}
    asked = [
        (claim.kind, word_of[claim.id])
        for claim in finding.claims
        if word_of.get(claim.id, VerdictWord.NOT_APPLICABLE) is not VerdictWord.NOT_APPLICABLE
    ]
    reported = _Tally([word for kind, word in asked if kind is not Kind.CONTROL])
    controls = _Tally([word for kind, word in asked if kind is Kind.CONTROL])
    if not reported.words:
        return Conclusion.NOT_APPLICABLE
    if reported.all(VerdictWord.SUPPORTED):
        if controls.any(VerdictWord.REFUTED):
            return Conclusion.EXPLAINED_BY_CONTROL
        if controls.any(VerdictWord.INCONCLUSIVE):
            return Conclusion.INCONCLUSIVE
        return Conclusion.REPRODUCED
    if reported.any(VerdictWord.SUPPORTED):
        return Conclusion.PARTLY_REPRODUCED
    return Conclusion.NOT_REPRODUCED if reported.any(VerdictWord.REFUTED) else Conclusion.INCONCLUSIVE
