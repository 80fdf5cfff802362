"""Results of this paper's experiments that never were, by kind of unit (`ledgers.py`)."""

from typing import Any

import numpy as np
from ledgers import SENTENCES, TOKENS, Inventor, score

from anatomy_bench.engine.interventions import Intact
from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Trained, Training, Validation
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.regressions import (
    ComponentPredictability,
    RegressionUnit,
    component_predictability,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.recovery.curves import RecoveryUnit, TrainedLayer
from anatomy_bench.papers.anatomical_heterogeneity.experiments.structure.experiment import (
    ComponentStructure,
    ComponentUnit,
    component_structure,
)
from anatomy_bench.values.randomness import generator

PARAMETERS = 60


def weights(unit: Any, layers: int) -> Any:
    """Random weights of a component, of shape (layers, parameters)."""
    return generator(0, unit.component).normal(size=(layers, PARAMETERS)).astype(np.float32)


def structure(unit: ComponentUnit, layers: int) -> ComponentStructure:
    return component_structure(weights(unit, layers), unit)


def predictability(unit: RegressionUnit, layers: int) -> ComponentPredictability:
    return component_predictability(weights(unit, layers).astype(np.float64), unit)


def trained_layer(unit: RecoveryUnit, _layers: int) -> TrainedLayer:
    """A recovery that comes from some damage to some other, each layer's at a pace of its own."""
    rng = generator(0, str(unit))
    base = np.array(score(Intact()).nll_nats)
    start = TOKENS * rng.choice([-0.1, 0.3, 1.0, 4.0]) if unit.start.deviations else 0.0
    left = np.exp(-np.arange(unit.steps + 1) / rng.uniform(2, 100))
    curve = base + np.outer(left * start - 0.1 * TOKENS * (1 - left), 1 + rng.normal(0, 0.1, SENTENCES))
    losses = tuple((curve.mean(axis=1)[:-1] / TOKENS).tolist())
    return TrainedLayer(tuple(map(tuple, curve.tolist())), losses)


def trained(unit: Training, _layers: int) -> Trained:
    """A training from a loss that knows nothing to one that follows from its phases, in no time at all."""
    rng = generator(unit.seed, repr(unit.phases))
    steps = sorted({*range(unit.setup.evaluate_every, unit.steps, unit.setup.evaluate_every), unit.steps})
    pace = rng.uniform(40, 120)
    seen = {step: 0.1 + 6 * np.exp(-step / pace) * rng.lognormal(0, 0.1) for step in steps}
    validations = tuple(Validation(step, 1.1 * loss, loss, 2 + 0.5 * loss) for step, loss in seen.items())
    prompts = len(unit.setup.prompts)
    return Trained(
        unit.setup.architecture.parameters, unit.steps, unit.flops, unit.flops / 1e11, validations,
        ("astray",) * prompts, (True,) * prompts,
    )  # fmt: skip


INVENTED: dict[type, Inventor] = {
    ComponentUnit: structure,
    RegressionUnit: predictability,
    RecoveryUnit: trained_layer,
    Training: trained,
}
