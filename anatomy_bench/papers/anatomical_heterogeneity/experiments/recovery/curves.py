"""Recovery of one layer from noise, by training it alone: the units, and the curves computed from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from anatomy_bench.experiments.experiment import Finished
from anatomy_bench.experiments.scored import ScoredMeasurement, disturbed_nats
from anatomy_bench.papers.anatomical_heterogeneity.experiments.gaussian_noise import GaussianNoise
from anatomy_bench.values.measurement import CorpusRecord
from anatomy_bench.values.quantities import quantity
from anatomy_bench.values.record import Draws, Record
from anatomy_bench.values.statistics import Floats, PairedBootstrap, drawn_sentences, exponential, merged

Text = Literal["recovery", "scored"]
"""What a layer is trained on: the corpus `recovery`, or the scored sentences themselves."""

MULTIPLES = (2.0, 1.5, 1.1)
"""Multiples of the baseline's perplexity: the thresholds whose crossing is timed (paper 3.6)."""


@dataclass(frozen=True)
class Optimiser(Record):
    """AdamW, as a step of training uses it.

    Attributes:
        learning_rate: as in the paper (3.6).
        gradient_norm: norm to which the layer's gradient is clipped (paper 3.6).
        weight_decay: of AdamW, on every parameter of the layer.
    """

    learning_rate: float
    gradient_norm: float
    weight_decay: float


@dataclass(frozen=True)
class RecoveryUnit(Record):
    """One layer's recovery. The order of the text follows from the seed of the noise.

    Attributes:
        start: the noise that the layer starts from.
        text: what it is trained on.
        text_digest: of that text; `None` if it is the scored text, which is in the key of the job anyway.
        steps: number of training steps.
        batch_sentences: sentences in a step.
        optimiser: of the layer's parameters.
    """

    start: GaussianNoise
    text: Text
    text_digest: str | None
    steps: int
    batch_sentences: int
    optimiser: Optimiser
    kind: Literal["recovery"] = "recovery"


@dataclass(frozen=True)
class TrainedLayer(Record):
    """Result of a `RecoveryUnit`.

    Attributes:
        sentence_nll_nats: of each scored sentence, after noise and after each step; shape (steps + 1, sentences).
        training_loss_nats: mean over a step's predicted tokens, before its update; shape (steps,).
    """

    sentence_nll_nats: tuple[tuple[float, ...], ...]
    training_loss_nats: tuple[float, ...]

    def disturbed(self, relative_error: float, rng: np.random.Generator) -> "TrainedLayer":
        """The same with each score multiplied by 1 ± `relative_error` (a standard deviation)."""
        scores = tuple(disturbed_nats(step, relative_error, rng) for step in self.sentence_nll_nats)
        return TrainedLayer(scores, self.training_loss_nats)


@dataclass(frozen=True)
class RecoveryConfig(Record):
    """How recovery is measured.

    Attributes:
        layers: the layers; `None` for those that `all_tested` says.
        all_tested: whether these are the paper's thirteen layers (on another depth thirteen, spread evenly), or only
            seven of them (`quick`).
        deviations: σ of the noise in standard deviations of each matrix (paper 3.6).
        step_limit: steps after which a layer counts as not recovered: the paper's 200, which Table 5 prints for never.
        steps: number of steps trained. 15 (`quick`) separate "instant" (at most 10, Table 10) from slower, no more.
        draws: noises for each layer. The paper has one and no seed; 3 show how much of a curve is luck.
        draws_of_scored_text: noises for the reading that trains on the scored sentences themselves. The paper does not
            name its training text. The default is a separate text, `recovery`, because the paper calls the scored
            sentences "held-out". `quick` does not train this reading.
        draws_of_intact: trainings of each anti-layer without noise, on the same batches as those with it. `quick` has
            none: after fewer steps than the paper's, more training might turn the difference either way.
        batch_sentences: sentences in a step. The paper does not say. With 4, training a step costs about as much as
            the scoring after it; a small batch also fits a study with so few sentences.
        optimiser: learning rate and clipping as in the paper. It does not state the weight decay; this is AdamW's
            default in the library that the paper names.
        resamples: bootstrap resamples of the sentences, as in the ablation.
    """

    layers: tuple[int, ...] | None
    all_tested: bool
    deviations: float
    step_limit: int
    steps: int
    draws: int
    draws_of_scored_text: int
    draws_of_intact: int
    batch_sentences: int
    optimiser: Optimiser
    resamples: Draws


@dataclass(frozen=True)
class Recovery(Record):
    """One layer, noised once and trained.

    Attributes:
        layer: its number.
        text: what it was trained on.
        deviations: σ of the noise; with 0 the intact layer was trained, as a control.
        noise_seed: of the noise.
        perplexity: of the scored sentences after noise and after each step; shape (steps + 1,).
        steps_below: by multiple of the baseline (`2`, `1.5`, `1.1`), the first step after which perplexity was below
            it, 0 if noise alone left it there; `None` if it never was.
        training_loss_nats: mean per token over a step's batch, before its update; shape (steps,).
        sentence_nll_nats: negative log-likelihoods from which perplexity is computed; shape (steps + 1, sentences).
    """

    layer: int
    text: Text
    deviations: float
    noise_seed: int
    perplexity: tuple[float, ...]
    steps_below: dict[str, int | None]
    training_loss_nats: tuple[float, ...]
    sentence_nll_nats: tuple[tuple[float, ...], ...]


def recovery_of(
    unit: RecoveryUnit, finished: Finished, intact_nll_nats: Sequence[float], corpus: CorpusRecord
) -> Recovery:
    """The recovery of one layer from the result of its unit."""
    result = finished.result
    assert isinstance(result, TrainedLayer)
    curve = np.array(result.sentence_nll_nats).sum(axis=1) / corpus.tokens
    baseline = sum(intact_nll_nats) / corpus.tokens
    never = len(curve)
    steps = {f"{multiple:g}": int(first_below(curve, baseline, multiple)) for multiple in MULTIPLES}
    return Recovery(
        layer=unit.start.layer,
        text=unit.text,
        deviations=unit.start.deviations,
        noise_seed=unit.start.seed,
        perplexity=tuple(exponential(curve).tolist()),
        steps_below={name: None if step == never else step for name, step in steps.items()},
        training_loss_nats=result.training_loss_nats,
        sentence_nll_nats=result.sentence_nll_nats,
    )


def first_below(curves_nats: Floats, baseline_nats: Floats | float, multiple: float) -> Floats:
    """First step after which a curve is below a multiple of the baseline's perplexity; one more than the last if never.

    Args:
        curves_nats: nats per token; shape (…, steps + 1).
        baseline_nats: nats per token; shape (…) or a number.
        multiple: of the baseline's perplexity.
    """
    below = curves_nats < np.asarray(baseline_nats)[..., None] + np.log(multiple)
    steps: Floats = np.where(below.any(axis=-1), below.argmax(axis=-1), below.shape[-1]).astype(np.float64)
    return steps


@dataclass(frozen=True)
class RecoveryMeasurement(ScoredMeasurement):
    """Recovery of layers.

    Attributes:
        config: as run.
        recoveries: by text, layer and noise.
    """

    config: RecoveryConfig
    recoveries: tuple[Recovery, ...]

    def layers(self, text: Text = "recovery") -> tuple[int, ...]:
        """Layers that were noised and trained on a text, in order."""
        return tuple(
            sorted({recovery.layer for recovery in self.recoveries if recovery.text == text and recovery.deviations})
        )

    def of(self, layer: int, text: Text = "recovery", *, noised: bool = True) -> tuple[Recovery, ...]:
        """A layer's recovery from each noise, or its trainings without noise."""
        return tuple(
            recovery
            for recovery in self.recoveries
            if (recovery.layer, recovery.text, recovery.deviations > 0) == (layer, text, noised)
        )

    def bootstrap(self, nll_nats: Sequence[Sequence[float]]) -> PairedBootstrap:
        """Resampled changes against the intact model for these scores of sentences, all on the same resamples."""
        return self.against_baseline(nll_nats, self.config.resamples)

    def steps_below(self, layer: int, multiple: float, text: Text = "recovery") -> float:
        """Mean over noises of the steps to a threshold; if it was never crossed, one more than the steps trained.

        NaN where a score on the way is not finite: such a curve has neither crossed a threshold nor failed to.
        """
        if not all(np.isfinite(each.sentence_nll_nats).all() for each in self.of(layer, text)):
            return float("nan")
        never = self.config.steps + 1
        steps = [recovery.steps_below[f"{multiple:g}"] for recovery in self.of(layer, text)]
        return float(np.mean([never if step is None else step for step in steps]))

    def resampled_steps(self, layer: int, multiple: float) -> Floats:
        """The same means with sentences and noises resampled; shape (resamples,)."""
        assert self.corpus is not None
        copy_of = self.corpus.copy_of
        tokens = merged(np.array(self.corpus.sentence_tokens, dtype=np.float64), copy_of)
        rng = self.generator("sentences")
        intact = merged(np.array(self.baseline_sentence_nll_nats), copy_of)
        curves = [merged(np.array(recovery.sentence_nll_nats), copy_of) for recovery in self.of(layer)]
        steps = np.empty((len(curves), self.config.resamples))
        for rows, picks in drawn_sentences(len(tokens), self.config.resamples, rng):
            total = picks @ tokens
            baseline = picks @ intact / total
            for curve, own in zip(curves, steps, strict=True):
                own[rows] = first_below(picks @ curve.T / total[:, None], baseline, multiple)
        drawn = self.generator(f"noises of {layer}").integers(len(steps), size=steps.shape)
        means: Floats = np.take_along_axis(steps, drawn, axis=0).mean(axis=0)
        return means

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Rows as in Table 5."""
        rows = [
            (
                f"L{recovery.layer}",
                recovery.text,
                f"{recovery.deviations:g}",
                quantity(recovery.perplexity[0]),
                *("never" if step is None else str(step) for step in recovery.steps_below.values()),
                quantity(recovery.perplexity[-1]),
            )
            for recovery in self.recoveries
        ]
        return ("layer", "trained on", "σ/std", "noised", *(f"<{multiple:g}×" for multiple in MULTIPLES), "final"), rows
