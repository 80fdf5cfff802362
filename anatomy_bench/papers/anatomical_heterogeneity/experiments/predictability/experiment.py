"""Experiment 2 of the paper: weights predicted from depth, and put back (3.3, 4.2, Table 2).

The paper does not say exactly what it regresses, nor which layers it replaces. Each plausible reading of the regression
(`ridge.Reading`) and each choice of layers is measured, the one closest to the text first.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.progress import Progress
from anatomy_bench.engine.cost import Cost, ModelSize, products_cost, sweep_cost
from anatomy_bench.engine.interventions import Intact, Intervention
from anatomy_bench.experiments.experiment import Finished, Job, Setting, jobs_of
from anatomy_bench.experiments.scored import (
    ScoredMeasurement,
    SentenceScores,
    Variant,
    compare,
    score_together,
    scored_header,
    scores_of,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.choice import Choice, chosen_layers
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.predicted import Predicted
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.regressions import (
    ComponentPredictability,
    Predictors,
    RegressionUnit,
    component_predictability,
)
from anatomy_bench.papers.anatomical_heterogeneity.experiments.predictability.ridge import (
    DEFAULT_READING,
    FIRST_TARGET,
    READINGS,
    Reading,
)
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.measurement import CorpusRecord, Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import interval_text, quantity
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Draws, Record, RecordKind
from anatomy_bench.values.statistics import Floats, PairedBootstrap

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject


@dataclass(frozen=True)
class PredictabilityConfig(Record):
    """How predictability is measured.

    Attributes:
        sampled_parameters: number for each component, the same ones in all layers; all if it has fewer. The paper
            has 10,000; 2,000 (`quick`) move an R² by about 0.03.
        alpha: ridge penalty, on features that are not standardised. The paper states neither, but names
            scikit-learn, whose `Ridge` has an `alpha` of 1 and does not standardise.
        null_draws: number of layer orders, and of sets of Gaussian layers, over which the nulls are averaged. The
            paper has none; few are enough, because each is a mean over thousands of parameters.
        replaced: how many layers are replaced at the same time, besides all that can be. The paper reports 1 and
            "9+"; the numbers between show where the model breaks.
        choices: which layers those are. The paper does not say, and its nine redundant layers include the first, which
            no layer precedes. `spread` is the fairest reading of "replacing n layers" of any model; `together` is the
            other one.
        resamples: bootstrap resamples of sentences and of target layers, as in `ablation`.
    """

    sampled_parameters: int
    alpha: float
    null_draws: Draws
    replaced: tuple[int, ...]
    choices: tuple[Choice, ...]
    resamples: Draws


@dataclass(frozen=True)
class Replacement(Record):
    """Layers replaced by their predictions.

    Attributes:
        reading: of the regression.
        choice: of the layers.
        layers: those replaced.
        mean_r2: mean R² of the predicted weights over replaced layers and components.
        variant: the model's score with them.
    """

    reading: Reading
    choice: Choice
    layers: tuple[int, ...]
    mean_r2: float
    variant: Variant


@dataclass(frozen=True)
class PredictabilityMeasurement(ScoredMeasurement):
    """How well weights are predicted, and how the model does with predicted weights.

    Attributes:
        config: as run.
        targets: the layers that were predicted.
        components: in the architecture's order.
        replacements: by reading, choice and number of layers.
    """

    config: PredictabilityConfig
    targets: tuple[int, ...]
    components: tuple[ComponentPredictability, ...]
    replacements: tuple[Replacement, ...]

    def component(self, name: str) -> ComponentPredictability | None:
        """The component of that name, if the model has it."""
        return next((component for component in self.components if component.component == name), None)

    def replaced(self, reading: Reading, choice: Choice) -> tuple[Replacement, ...]:
        """Replacements of a reading and choice, from few layers to many."""
        return tuple(
            replacement
            for replacement in self.replacements
            if (replacement.reading, replacement.choice) == (reading, choice)
        )

    def bootstrap(self, replacements: Sequence[Replacement]) -> PairedBootstrap:
        """Resampled degradations under the given replacements, all on the same resamples."""
        return self.against_baseline(
            [replacement.variant.sentence_nll_nats for replacement in replacements], self.config.resamples
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One row for each component and reading, then one for each replacement."""
        headers = ("weights", "reading", "R²", "best R²", "cosine", "mean of earlier", "shuffled", "independent")
        rows = [
            (component.component, reading, *_r2_cells(predictors), "", "")
            for component in self.components
            for reading, predictors in component.readings.items()
        ]
        rows += [
            (
                _layers_text(replacement),
                replacement.reading,
                f"{replacement.mean_r2:+.3f}",
                *[""] * 5,
                *_degradation_cells(replacement.variant),
            )
            for replacement in self.replacements
        ]
        return (*headers, "degradation %", "95 %"), rows


def _r2_cells(predictors: Predictors) -> tuple[str, ...]:
    ridge, nulls = predictors.ridge, (predictors.mean_of_earlier, predictors.shuffled, predictors.independent)
    return tuple(
        f"{value:+.3f}"
        for value in (ridge.mean_r2, ridge.best_r2, ridge.mean_cosine, *(null.mean_r2 for null in nulls))
    )


def _degradation_cells(variant: Variant) -> tuple[str, str]:
    return quantity(variant.degradation_percent), interval_text(variant.interval95_percent)


def _layers_text(replacement: Replacement) -> str:
    if len(replacement.layers) == 1:
        return f"L{replacement.layers[0]} put back"
    return f"{len(replacement.layers)} layers put back, {replacement.choice}"


def planned_replacements(layer_count: int, config: PredictabilityConfig) -> list[tuple[Choice, Predicted]]:
    """Every replacement that is scored. Single layers, and choices after the first, only in the default reading."""
    eligible = layer_count - FIRST_TARGET
    counts = sorted({*(count for count in config.replaced if count < eligible), eligible})
    planned: list[tuple[Choice, Predicted]] = []
    for reading in READINGS:
        for choice in config.choices if reading == DEFAULT_READING else config.choices[:1]:
            sets = [chosen_layers(layer_count, count, choice) for count in counts]
            planned += [(choice, Predicted(layers, reading, config.alpha)) for layers in sets]
    singles = [Predicted((layer,), DEFAULT_READING, config.alpha) for layer in range(FIRST_TARGET, layer_count)]
    return planned + [("single", single) for single in singles]


def _mean_r2(components: Sequence[ComponentPredictability], replacement: Predicted) -> float:
    return float(
        np.mean(
            [
                component.readings[replacement.reading].ridge.r2[layer - FIRST_TARGET]
                for component in components
                for layer in replacement.layers
            ]
        )
    )


class Predictability:
    """Predict every component of every layer from the layers before it, and score the model with the predictions."""

    name = "predictability"
    reads_subject = True
    reads_corpus = True
    result_type: RecordKind = ComponentPredictability | SentenceScores
    measurement_type: type[Measurement] = PredictabilityMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> PredictabilityConfig:
        """Both profiles replace the same layers; `quick` has fewer sampled parameters, null draws and resamples.

        Raises:
            UsageError: only some layers are asked for, but prediction needs all layers before one.
        """
        if layers is not None:
            raise UsageError("predictability predicts layers from those before them and measures all of them")
        paper = profile is Profile.PAPER
        return PredictabilityConfig(
            sampled_parameters=10_000 if paper else 2_000,
            alpha=1.0,
            null_draws=50 if paper else 20,
            replaced=(1, 2, 3, 5, 7, 9),
            choices=("spread", "together"),
            resamples=10_000 if paper else 2_000,
        )

    def units(self, setting: Setting, config: PredictabilityConfig) -> Sequence[RegressionUnit | Intervention]:
        """The regressions of each component, the baseline, and each set of replaced layers.

        Raises:
            InapplicableError: layers are of several kinds, which cannot be predicted from each other.
        """
        setting.subject.require_one_kind(self.name)
        regressions = [
            RegressionUnit(name, config.sampled_parameters, config.alpha, config.null_draws, setting.seed)
            for name in setting.subject.components
        ]
        planned = [replacement for _, replacement in planned_replacements(setting.subject.layers, config)]
        return [*regressions, Intact(), *dict.fromkeys(planned)]

    def jobs(self, units: Sequence[RegressionUnit | Intervention]) -> Sequence[Job]:
        """Each component's regressions alone; then one sweep for each reading, so that there are few walks.

        The largest cost of a sweep is sorting all earlier layers, once in every walk.
        """
        regressions = [unit for unit in units if isinstance(unit, RegressionUnit)]
        replacements = [unit for unit in units if not isinstance(unit, RegressionUnit)]
        return [*jobs_of(regressions, 1), *_by_reading(replacements)]

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """The cost of a sweep, without sorting, or of regressions, which matter for their memory."""
        if isinstance(job[0], RegressionUnit):
            return products_cost(size)
        return sweep_cost(job, size, corpus)

    def run(
        self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress
    ) -> Mapping[RegressionUnit | Intervention, Finished]:
        """A component's regressions, or a sweep with predictions put in."""
        if not isinstance(job[0], RegressionUnit):
            return score_together(job, subject, corpus, progress)
        (unit,) = job
        with progress.stage(f"regressions of {unit.component}", 1):
            started = time.perf_counter()
            result = component_predictability(_sampled(subject, unit), unit)
            return {unit: Finished(result, time.perf_counter() - started)}

    def assemble(
        self,
        setting: Setting,
        config: PredictabilityConfig,
        finished: Mapping[RegressionUnit | Intervention, Finished],
    ) -> PredictabilityMeasurement:
        """The regressions, and the replacements with their degradations and intervals."""
        assert setting.corpus is not None
        intact = scores_of(finished[Intact()])
        results = [done.result for done in finished.values()]
        components = tuple(result for result in results if isinstance(result, ComponentPredictability))
        planned = planned_replacements(setting.subject.layers, config)
        variants = compare(
            intact,
            [scores_of(finished[replacement]) for _, replacement in planned],
            setting.corpus,
            config.resamples,
            generator(setting.seed, "sentences"),
        )
        return PredictabilityMeasurement(
            **scored_header(setting, self.name, finished),
            config=config,
            targets=tuple(range(FIRST_TARGET, setting.subject.layers)),
            components=components,
            replacements=tuple(
                Replacement(each.reading, choice, each.layers, _mean_r2(components, each), variant)
                for (choice, each), variant in zip(planned, variants, strict=True)
            ),
        )


def _sampled(subject: "Subject", unit: RegressionUnit) -> Floats:
    """The same parameters of a component in every layer; shape (layers, parameters)."""
    weights = subject.component_weights(unit.component)
    count = weights.shape[1]
    if count > unit.sampled_parameters:
        rng = generator(unit.seed, f"parameters of {unit.component}")
        weights = weights[:, rng.choice(count, unit.sampled_parameters, replace=False)]
    return weights.astype(np.float64)


def _by_reading(replacements: Sequence[Intervention]) -> list[Job]:
    groups: dict[Reading, list[Intervention]] = {}
    for replacement in replacements:
        groups.setdefault(replacement.reading if isinstance(replacement, Predicted) else DEFAULT_READING, []).append(
            replacement
        )
    return [tuple(group) for group in groups.values()]


EXPERIMENT = Predictability()
