"""Why a finding has its conclusion, in one sentence."""

from collections.abc import Sequence

from anatomy_bench.claim.claim import Kind, VerdictWord
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.run.ledger import JudgedClaim, JudgedFinding


def why(finding: JudgedFinding) -> str:
    """One sentence: how many of the reported claims hold, and the claim that decides."""
    asked = [claim for claim in finding.claims if claim.verdict.word is not VerdictWord.NOT_APPLICABLE]
    reported = [claim for claim in asked if claim.kind is not Kind.CONTROL]
    controls = [claim for claim in asked if claim.kind is Kind.CONTROL]
    if not reported:
        return _unasked(finding)
    count = _held(reported)
    if finding.conclusion is Conclusion.REPRODUCED:
        return f"{count}, and so {_do(len(controls))}." if controls else f"{count}."
    all_hold = all(claim.verdict.word is VerdictWord.SUPPORTED for claim in reported)
    decisive = _first_not_held(controls if all_hold else reported)
    if decisive is None:  # a conclusion that does not follow from its claims: a ledger written by hand
        return f"{count}."
    word = "refuted" if decisive.verdict.word is VerdictWord.REFUTED else "undecided"
    if all_hold:
        return f"{count}, but a control is {word}: {_described(decisive)}."
    same = sum(claim.verdict.word is decisive.verdict.word for claim in reported)
    return f"{count}; {word}: {_described(decisive)}{f', and {same - 1} more' if same > 1 else ''}."


def _unasked(finding: JudgedFinding) -> str:
    reasons = dict.fromkeys(claim.verdict.reason for claim in finding.claims if claim.verdict.reason)
    return f"Nothing could be asked of this model: {'; '.join(reasons)}."


def _held(reported: Sequence[JudgedClaim]) -> str:
    held, count = sum(claim.verdict.word is VerdictWord.SUPPORTED for claim in reported), len(reported)
    if count == 1:
        return "The reported claim holds" if held else "The reported claim does not hold"
    if held in (0, count):
        return f"All {count} reported claims hold" if held else f"None of {count} reported claims holds"
    return f"{held} of {count} reported claims hold{'s' if held == 1 else ''}"


def _do(controls: int) -> str:
    return "does its control" if controls == 1 else f"do its {controls} controls"


def _first_not_held(claims: Sequence[JudgedClaim]) -> JudgedClaim | None:
    """The first claim that is refuted, else the first that is undecided."""
    for word in (VerdictWord.REFUTED, VerdictWord.INCONCLUSIVE):
        for claim in claims:
            if claim.verdict.word is word:
                return claim
    return None


def _described(claim: JudgedClaim) -> str:
    holds_if = f"{claim.criterion} {claim.unit}".rstrip()
    return f"“{claim.statement}” (measured {measured_text(claim.verdict)}; holds if {holds_if})"
