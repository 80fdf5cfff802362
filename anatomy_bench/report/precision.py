"""What a report says about its own rounding errors."""

from anatomy_bench.experiments.noise_floor.experiment import NoiseFloorMeasurement
from anatomy_bench.run.ledger import Ledger
from anatomy_bench.run.numerical_error import NOISE_FLOOR


def precision(ledger: Ledger) -> str:
    """A few sentences on the noise floor; empty if no claim needed it.

    Raises:
        UsageError: the ledger's measurement is of another version.
    """
    floor = ledger.measurement(NOISE_FLOOR)
    if not isinstance(floor, NoiseFloorMeasurement):
        return ""
    return (
        f"Scores differ by a relative {floor.relative_error:.1e} (root mean square over sentences) from those of plain "
        "forward passes in float32. A figure that this moves by a hundredth of its interval or more says by how much "
        "(±, two standard deviations); a claim that it could decide is inconclusive."
    )
