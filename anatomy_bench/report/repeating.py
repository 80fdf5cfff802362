"""The exact commands that repeat a run or a part of it."""

import shlex

from anatomy_bench.run.ledger import JudgedFinding, Ledger


def run_command(ledger: Ledger) -> str:
    """Judges every claim again, wherever the package is installed."""
    return shlex.join(["anatomy-bench", "verify", *ledger.options])


def finding_command(ledger: Ledger, finding: JudgedFinding) -> str:
    """Judges one finding's claims again, wherever the package is installed."""
    options = ledger.options if any(claim.needs for claim in finding.claims) else ()
    return shlex.join(["anatomy-bench", "verify", "--finding", finding.id, *options])
