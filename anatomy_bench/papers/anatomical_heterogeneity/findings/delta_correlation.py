"""The oscillatory delta pattern: consecutive weight changes correlate at −0.5 (paper 3.4, 4.3, 5.2, Table 3)."""

import math

import numpy as np

from anatomy_bench.base.errors import InapplicableError
from anatomy_bench.claim.claim import Claim, Estimate, Finding, Kind, Need, NotApplicable, below, within
from anatomy_bench.papers.anatomical_heterogeneity.experiments.structure.experiment import (
    ComponentStructure,
    StructureMeasurement,
)
from anatomy_bench.papers.anatomical_heterogeneity.published import PAPER, load
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.statistics import block_bootstrap_mean

STRUCTURE = Need("structure")
TOLERANCE = 0.02
MARGIN = 0.05
REACH = 3
"""Length of bootstrap blocks: correlations of deltas that share a layer depend on each other."""


def _mean_with_interval(
    component: ComponentStructure, series: tuple[float, ...], measured: StructureMeasurement
) -> Estimate:
    rng = measured.generator(f"layers of {component.component}")
    mean, interval = block_bootstrap_mean(np.array(series), REACH, measured.config.null_draws * 10, rng)
    return Estimate(mean, interval)


def _require_change(component: ComponentStructure) -> None:
    """Check that weights change from layer to layer.

    Raises:
        InapplicableError: they do not, as in a model that repeats layers; what does not change has no correlation.
    """
    undefined = [layer for layer, each in enumerate(component.delta_correlations) if math.isnan(each)]
    if undefined:
        layer = undefined[0]
        raise InapplicableError(
            f"{component.component} is the same in two of layers {layer} to {layer + 2}: no change has no correlation"
        )


def _all_that_change(structure: StructureMeasurement) -> tuple[ComponentStructure, ...]:
    """The components, all of which change from layer to layer.

    Raises:
        InapplicableError: one does not.
    """
    for component in structure.components:
        _require_change(component)
    return structure.components


def delta_correlation(structure: StructureMeasurement, name: str) -> Estimate | NotApplicable:
    """Mean delta correlation of a component, with its interval over layers."""
    component = structure.component(name)
    if component is None:
        return NotApplicable(f"the model has no {name}; it has {', '.join(structure.subject.components)}")
    _require_change(component)
    estimate = _mean_with_interval(component, component.delta_correlations, structure)
    note = f"independent layers {component.independent.mean:+.3f}, adjacent {component.mean_adjacent_correlation:+.3f}"
    return Estimate(estimate.value, estimate.interval95, note)


def furthest_from_half(structure: StructureMeasurement) -> Estimate:
    """Mean delta correlation of the component that is furthest from −0.5."""
    component = max(_all_that_change(structure), key=lambda each: abs(each.mean_delta_correlation + 0.5))
    estimate = _mean_with_interval(component, component.delta_correlations, structure)
    return Estimate(estimate.value, estimate.interval95, component.component)


def excess_over_shuffled(structure: StructureMeasurement) -> Estimate:
    """Mean delta correlation minus that of layers in random order, for the component where it is most negative."""
    component = min(_all_that_change(structure), key=lambda each: each.mean_delta_correlation - each.shuffled.mean)
    value, null = component.mean_delta_correlation, component.shuffled
    return Estimate(
        value - null.mean,
        Interval(value - null.interval95.high, value - null.interval95.low),
        f"{component.component}: {value:+.4f} in order, {null.mean:+.4f} shuffled",
    )


def excess_over_independent(structure: StructureMeasurement) -> Estimate:
    """Mean delta correlation minus that of independent layers, for the component where it is most negative."""
    component = min(_all_that_change(structure), key=lambda each: each.mean_delta_correlation - each.independent.mean)
    value, null = component.mean_delta_correlation, component.independent
    return Estimate(
        value - null.mean,
        Interval(value - null.interval95.high, value - null.interval95.low),
        f"{component.component}: {value:+.4f} measured, {null.mean:+.4f} independent",
    )


def adjacent_correlation(structure: StructureMeasurement) -> Estimate:
    """Mean correlation of adjacent layers, for the component where it is most negative."""
    component = min(structure.components, key=lambda each: each.mean_adjacent_correlation)
    estimate = _mean_with_interval(component, component.adjacent_correlations, structure)
    return Estimate(estimate.value, estimate.interval95, component.component)


def _component_claim(name: str, published: float) -> Claim:
    return Claim(
        id=f"{PAPER}.delta-correlation.{name.rpartition('.')[2].replace('_', '-')}",
        statement=f"Consecutive weight changes of {name} correlate at {published:+.3f}",
        place="Table 3",
        kind=Kind.REPLICATION,
        published=published,
        unit="correlation",
        criterion=within(published, TOLERANCE),
        why=f"± {TOLERANCE}: four times the largest departure from −0.5 in Table 3",
        needs=(STRUCTURE,),
        estimate=lambda structure: delta_correlation(structure, name),
    )


_TABLE_3 = {row["component"]: float(row["mean"]) for row in load()["delta_correlation"]["components"]}

FINDING = Finding(
    id="delta-correlation",
    paper=PAPER,
    title="Weight changes oscillate from layer to layer at −0.5",
    place="Sections 3.4, 4.3 and 5.2, Table 3",
    order=40,
    claims=(
        *[_component_claim(name, published) for name, published in _TABLE_3.items()],
        Claim(
            id=f"{PAPER}.delta-correlation.universal",
            statement="In every component consecutive weight changes correlate at about −0.5",
            place="Section 4.3, Table 3",
            kind=Kind.REPLICATION,
            published=-0.5,
            unit="correlation",
            criterion=within(-0.5, MARGIN),
            why="a tenth of the value to either side, for the component furthest from it; for any architecture",
            needs=(STRUCTURE,),
            estimate=furthest_from_half,
        ),
        Claim(
            id=f"{PAPER}.delta-correlation.beyond-independent-layers",
            statement="The correlation is more negative than independent layers would give",
            place="Sections 4.3 and 5.2",
            kind=Kind.CONTROL,
            published=None,
            unit="difference",
            criterion=below(-MARGIN),
            why="uncorrelated layers give −0.5 exactly; an oscillation must add a tenth of that in some component",
            needs=(STRUCTURE,),
            estimate=excess_over_independent,
        ),
        Claim(
            id=f"{PAPER}.delta-correlation.depends-on-order",
            statement="The correlation is more negative than with the layers in random order",
            place="Sections 4.3 and 5.2",
            kind=Kind.CONTROL,
            published=None,
            unit="difference",
            criterion=below(-MARGIN),
            why="a standing wave in layer space is lost when layers are shuffled; a tenth of −0.5 in some component",
            needs=(STRUCTURE,),
            estimate=excess_over_shuffled,
        ),
        Claim(
            id=f"{PAPER}.delta-correlation.adjacent-layers-oppose",
            statement="Adjacent layers have opposing weights, as a compensation would leave them",
            place="Section 5.2",
            kind=Kind.CONTROL,
            published=None,
            unit="correlation",
            criterion=below(-MARGIN),
            why="this correlation decides: at 0 layers are unrelated and −0.5 says nothing",
            needs=(STRUCTURE,),
            estimate=adjacent_correlation,
        ),
    ),
)
