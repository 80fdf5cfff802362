"""Experiment 3 of the paper: how weights change from layer to layer (3.4, 4.3, Table 3).

Everything is computed from one small matrix per component: the inner products of the layers' flattened weights.
Shuffling the layers permutes this matrix, and for independent normal layers it is Wishart distributed, so the nulls
need no weights at all.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from anatomy_bench.base.errors import InapplicableError, UsageError
from anatomy_bench.base.progress import Progress
from anatomy_bench.engine.cost import Cost, ModelSize, products_cost
from anatomy_bench.engine.limits import COLUMNS_PER_PRODUCT
from anatomy_bench.experiments.experiment import Finished, Job, Setting, jobs_of
from anatomy_bench.values.corpus import Corpus
from anatomy_bench.values.interval import Interval
from anatomy_bench.values.measurement import CorpusRecord, Measurement
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.randomness import generator
from anatomy_bench.values.record import Draws, Record, RecordKind
from anatomy_bench.values.statistics import Floats, percentile_interval

if TYPE_CHECKING:
    from anatomy_bench.subject import Subject


@dataclass(frozen=True)
class StructureConfig(Record):
    """How the structure is measured.

    Attributes:
        null_draws: draws from each null model. The paper has none; 2,000 are enough for the null's 95 % range,
            200 (`quick`) for its mean.
    """

    null_draws: Draws


@dataclass(frozen=True)
class ComponentUnit(Record):
    """The structure of one component; the seed draws the nulls."""

    component: str
    null_draws: Draws
    seed: int


@dataclass(frozen=True)
class Null(Record):
    """The mean delta correlation under a null model.

    Attributes:
        mean: over the draws.
        interval95: the middle 95 % of the draws.
    """

    mean: float
    interval95: Interval


@dataclass(frozen=True)
class ComponentStructure(Record):
    """The structure of one component over the layers.

    Attributes:
        component: such as `self_attn.q_proj`.
        parameters: of each layer.
        delta_correlations: Pearson's correlation of Δ_l and Δ_{l+1}, Δ_l = W_{l+1} − W_l; L − 2 of them.
        mean_delta_correlation: their mean, as Table 3 prints it.
        adjacent_correlations: Pearson's correlation of W_l and W_{l+1}; L − 1 of them.
        mean_adjacent_correlation: their mean. If it is 0, layers are uncorrelated, and the delta correlation is −0.5
            because there is no structure.
        shuffled: null of layers in random order.
        independent: null of independent normal layers, each with its own variance.
        random_walk: null of independent normal steps, each with its own variance.
        explained_variance: share of each principal component, layers as samples.
        cosine: between layers, shape (L, L).
    """

    component: str
    parameters: int
    delta_correlations: tuple[float, ...]
    mean_delta_correlation: float
    adjacent_correlations: tuple[float, ...]
    mean_adjacent_correlation: float
    shuffled: Null
    independent: Null
    random_walk: Null
    explained_variance: tuple[float, ...]
    cosine: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class StructureMeasurement(Measurement):
    """Structure of every component.

    Attributes:
        config: as run.
        components: in the architecture's order.
    """

    config: StructureConfig
    components: tuple[ComponentStructure, ...]

    def component(self, name: str) -> ComponentStructure | None:
        """The component of that name, if the model has it."""
        return next((component for component in self.components if component.component == name), None)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One row for each component: its delta correlation, those of the nulls, and that of adjacent layers."""
        rows = [
            (
                component.component,
                f"{component.mean_delta_correlation:+.4f}",
                f"{component.shuffled.mean:+.4f}",
                f"{component.independent.mean:+.4f}",
                f"{component.random_walk.mean:+.4f}",
                f"{component.mean_adjacent_correlation:+.4f}",
            )
            for component in self.components
        ]
        return ("component", "delta", "shuffled", "independent", "random walk", "adjacent layers"), rows


@dataclass(frozen=True)
class InnerProducts:
    """Inner products of the layers' flattened weights.

    Attributes:
        raw: Σ_p W_ip W_jp, shape (L, L).
        centred: the same with each layer's mean weight removed.
        parameters: how many weights a layer has.
    """

    raw: Floats
    centred: Floats
    parameters: int

    @classmethod
    def of(cls, weights: NDArray[np.float32]) -> "InnerProducts":
        """The inner products of weights of shape (L, parameters), accumulated in float64."""
        layers, parameters = weights.shape
        raw, sums = np.zeros((layers, layers)), np.zeros(layers)
        for start in range(0, parameters, COLUMNS_PER_PRODUCT):
            piece = weights[:, start : start + COLUMNS_PER_PRODUCT].astype(np.float64)
            raw += piece @ piece.T
            sums += piece.sum(axis=1)
        return cls(raw, raw - np.outer(sums, sums) / parameters, parameters)


def correlations_of_neighbours(products: Floats) -> Floats:
    """Correlation of each series with the next, from inner products of shape (…, n, n); shape (…, n − 1)."""
    variances = np.diagonal(products, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a constant series has no correlation: NaN
        return np.diagonal(products, offset=1, axis1=-2, axis2=-1) / np.sqrt(variances[..., 1:] * variances[..., :-1])


def delta_products(centred: Floats) -> Floats:
    """Inner products of the deltas W_{l+1} − W_l, from those of the layers; shape (…, L − 1, L − 1)."""
    return np.diff(np.diff(centred, axis=-1), axis=-2)


def _null(delta_correlations: Floats) -> Null:
    if not np.isfinite(delta_correlations).all():  # layers of constant weights correlate with nothing
        return Null(float("nan"), Interval(float("nan"), float("nan")))
    means = delta_correlations.mean(axis=-1)
    return Null(float(means.mean()), percentile_interval(means))


def _shuffled(centred: Floats, draws: int, rng: np.random.Generator) -> Null:
    orders = rng.permuted(np.tile(np.arange(len(centred)), (draws, 1)), axis=1)
    return _null(correlations_of_neighbours(delta_products(centred[orders[:, :, None], orders[:, None, :]])))


def _normal_products(variances: Floats, degrees: int, draws: int, rng: np.random.Generator) -> Floats:
    """Centred inner products of independent normal series: Wishart with one degree less than there are weights."""
    scale = np.diag(np.maximum(variances, np.finfo(float).tiny))
    drawn: Floats = scipy.stats.wishart(degrees, scale).rvs(size=draws, random_state=rng)
    return drawn


def component_structure(weights: NDArray[np.float32], unit: ComponentUnit) -> ComponentStructure:
    """Structure of one component.

    Args:
        weights: shape (layers, parameters).
        unit: name of the component, and how the nulls are drawn.
    """
    products = InnerProducts.of(weights)
    deltas = delta_products(products.centred)
    delta_correlations = correlations_of_neighbours(deltas)
    adjacent = correlations_of_neighbours(products.centred)
    degrees = max(products.parameters - 1, len(weights))
    rng = generator(unit.seed, f"null of {unit.component}")
    independent = _normal_products(np.diag(products.centred) / degrees, degrees, unit.null_draws, rng)
    steps = _normal_products(np.diag(deltas) / degrees, degrees, unit.null_draws, rng)
    return ComponentStructure(
        component=unit.component,
        parameters=products.parameters,
        delta_correlations=tuple(delta_correlations.tolist()),
        mean_delta_correlation=float(delta_correlations.mean()),
        adjacent_correlations=tuple(adjacent.tolist()),
        mean_adjacent_correlation=float(adjacent.mean()),
        shuffled=_shuffled(products.centred, unit.null_draws, rng),
        independent=_null(correlations_of_neighbours(delta_products(independent))),
        random_walk=_null(correlations_of_neighbours(steps)),
        explained_variance=tuple(_explained_variance(products.raw).tolist()),
        cosine=tuple(tuple(row) for row in _cosine(products.raw).tolist()),
    )


def _explained_variance(raw: Floats) -> Floats:
    """Shares of variance of the principal components, from inner products centred over the layers."""
    centring = np.eye(len(raw)) - 1 / len(raw)
    variances = np.linalg.eigvalsh(centring @ raw @ centring)[::-1][:-1]
    with np.errstate(invalid="ignore"):
        shares: Floats = np.maximum(variances, 0) / np.maximum(variances, 0).sum()
    return shares


def _cosine(raw: Floats) -> Floats:
    norms = np.sqrt(np.diag(raw))
    with np.errstate(invalid="ignore"):
        cosine: Floats = raw / np.outer(norms, norms)
    return cosine


class Structure:
    """Correlate the weights of neighbouring layers, component by component."""

    name = "structure"
    reads_subject = True
    reads_corpus = False
    result_type: RecordKind = ComponentStructure
    measurement_type: type[Measurement] = StructureMeasurement

    def configure(self, profile: Profile, layers: tuple[int, ...] | None) -> StructureConfig:
        """Both profiles read every weight; `quick` has fewer draws from the nulls.

        Raises:
            UsageError: only some layers are asked for, but deltas need all.
        """
        if layers is not None:
            raise UsageError("structure compares neighbouring layers and measures all of them")
        return StructureConfig(null_draws=2_000 if profile is Profile.PAPER else 200)

    def units(self, setting: Setting, config: StructureConfig) -> Sequence[ComponentUnit]:
        """One unit for each component, a matrix that all layers have.

        Raises:
            InapplicableError: there is none.
        """
        if not setting.subject.components:
            raise InapplicableError(f"{self.name} compares weight matrices that all layers have; this model has none")
        return [ComponentUnit(name, config.null_draws, setting.seed) for name in setting.subject.components]

    def jobs(self, units: Sequence[ComponentUnit]) -> Sequence[Job]:
        """One job for each component."""
        return jobs_of(units, 1)

    def cost(self, job: Job, size: ModelSize, corpus: CorpusRecord) -> Cost:
        """The cost of its inner products."""
        del job, corpus
        return products_cost(size)

    def run(self, job: Job, subject: "Subject", corpus: Corpus, progress: Progress) -> Mapping[ComponentUnit, Finished]:
        """Measure one component; no other is in memory at the same time."""
        del corpus
        (unit,) = job
        with progress.stage(f"weights of {unit.component}", 1):
            started = time.perf_counter()
            result = component_structure(subject.component_weights(unit.component), unit)
            return {unit: Finished(result, time.perf_counter() - started)}

    def assemble(
        self, setting: Setting, config: StructureConfig, finished: Mapping[ComponentUnit, Finished]
    ) -> StructureMeasurement:
        """All components together."""
        return StructureMeasurement(
            **setting.header(self.name, finished),
            config=config,
            components=tuple(done.result for done in finished.values() if isinstance(done.result, ComponentStructure)),
        )


EXPERIMENT = Structure()
