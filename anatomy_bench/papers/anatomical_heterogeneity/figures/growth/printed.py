"""Table 8 by name of the arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ARMS = {"growth": "growth_100", "growth_half": "growth_50", "uniform": "uniform_100"}


@dataclass(frozen=True)
class PrintedArm:
    """A row of Table 8.

    Attributes:
        steps: of training.
        loss: on validation, in nats a token.
        seconds: of training; `None` where the paper has none.
    """

    steps: int
    loss: float
    seconds: float | None


def table8(published: Mapping[str, Any]) -> dict[str, PrintedArm]:
    """The arms that the paper trained."""
    results = published.get("growth_results", {})
    rows = {arm: results[name] for arm, name in _ARMS.items() if name in results}
    return {
        arm: PrintedArm(
            int(row["steps"]), float(row["validation_loss"]), float(row["seconds"]) if "seconds" in row else None
        )
        for arm, row in rows.items()
    }
