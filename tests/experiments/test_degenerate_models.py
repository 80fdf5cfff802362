"""Models and texts without anything to tell: every claim ends in a verdict, none in a warning, and few decide."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from anatomy_bench.claim.claim import Verdict, VerdictWord
from anatomy_bench.engine.interventions import NeighbourAverage
from anatomy_bench.experiments.noise_floor.experiment import NoiseFloorMeasurement
from anatomy_bench.registry import all_claims
from anatomy_bench.run.numerical_error import NOISE_FLOOR
from anatomy_bench.run.options import Options
from anatomy_bench.run.run import Run
from anatomy_bench.subject.subject import Subject
from anatomy_bench.values.profile import Profile

LAYERS = 8
CLAIMS = [claim for claim in all_claims().values() if claim.runs_model and ".growth." not in claim.id]
SCORED = [claim for claim in CLAIMS if ".recovery." not in claim.id]
"""Those that train nothing."""


def identical_layers() -> Any:
    model = tiny.model(layers=LAYERS)
    for layer in model.model.layers:
        layer.load_state_dict(model.model.layers[0].state_dict())
    return model


def layers_of_zeros() -> Any:
    model = tiny.model(layers=LAYERS)
    for layer in model.model.layers:
        for parameter in layer.parameters():
            if parameter.ndim > 1:
                parameter.zero_()
    return model


def logits_beyond_bounds() -> Any:
    """A perplexity that float64 cannot hold, from finite weights and logits."""
    model = tiny.model(layers=LAYERS)
    model.lm_head.weight.mul_(3e3)
    return model


def judged(folder: Path, model: Any, text: str | None = None, claims: Any = CLAIMS) -> tuple[Run, dict[str, Verdict]]:
    """Every verdict; a warning on the way is an error here, as everywhere in these tests."""
    corpus = None
    if text is not None:
        corpus = folder / "text.txt"
        corpus.write_text(text)
    options = Options(
        str(tiny.save(folder / "model", model)), device="cpu", allow_untrained=True, profile=Profile.QUICK,
        corpus=corpus,
    )  # fmt: skip
    run = Run(options)
    return run, {claim.id.split(".", 1)[1]: run.judge(claim) for claim in claims}


def words_of(verdicts: dict[str, Verdict], finding: str) -> set[VerdictWord]:
    return {verdict.word for name, verdict in verdicts.items() if name.startswith(finding)}


def test_ten_copies_of_a_sentence_decide_nothing(tmp_path: Path):
    run, verdicts = judged(tmp_path, tiny.model(layers=LAYERS), "The river rose over the meadow.\n" * 10, SCORED)
    reason = "the text has one distinct sentence"
    for name in ("anti-layers.any", "importance-hierarchy.spread", "importance-hierarchy.first-skip"):
        assert verdicts[name].word is VerdictWord.INCONCLUSIVE
        assert verdicts[name].interval95 is None
        assert reason in verdicts[name].reason
    record = run.subject.corpus_record(run.corpus)
    assert (record.sentences, record.distinct_sentences) == (10, 1)


@pytest.mark.parametrize("make", [layers_of_zeros, identical_layers, logits_beyond_bounds])
def test_every_claim_ends_in_a_verdict(tmp_path: Path, make: Callable[[], Any]):
    run, verdicts = judged(tmp_path, make())
    assert len(verdicts) == len(CLAIMS)
    for verdict in verdicts.values():
        if verdict.word is VerdictWord.INCONCLUSIVE and verdict.interval95 is None:
            assert verdict.reason
    if make is layers_of_zeros:
        assert verdicts["importance-hierarchy.first-skip"].word is VerdictWord.SUPPORTED  # it does nothing indeed
        assert verdicts["importance-hierarchy.spread"].word is VerdictWord.INCONCLUSIVE  # nothing over nothing
    if make is identical_layers:
        assert words_of(verdicts, "delta-correlation") <= {VerdictWord.INCONCLUSIVE, VerdictWord.NOT_APPLICABLE}
        assert verdicts["predictability.best"].interval95 is None
    if make is logits_beyond_bounds:
        (ablation,) = (made for need, made in run.measurements.items() if need.name == "ablation")
        assert ablation.baseline_perplexity == float("inf")  # type: ignore[attr-defined]


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_layer_without_a_score_is_not_critical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score: float):
    for way in ("score", "score_plainly_in_float32"):
        scored = getattr(Subject, way)

        def spoilt(self: Subject, sentences: Any, variants: Any, progress: Any = None, scored: Any = scored) -> Any:
            found = scored(self, sentences, variants, progress)
            is_spoilt = NeighbourAverage(3) in found
            return found | ({NeighbourAverage(3): [score] * len(sentences)} if is_spoilt else {})

        monkeypatch.setattr(Subject, way, spoilt)
    run, verdicts = judged(tmp_path, tiny.model(layers=LAYERS), claims=SCORED)
    ablation = next(made for need, made in run.measurements.items() if need.name == "ablation")
    assert ablation.layer(3).variants["neighbour_average"].category == "Unknown"  # type: ignore[attr-defined]
    for name in ("spread", "mild-majority", "average-ranks-as-skip"):
        assert verdicts[f"importance-hierarchy.{name}"].word is VerdictWord.INCONCLUSIVE
    assert verdicts["anti-layers.any"].word is VerdictWord.INCONCLUSIVE
    floor = run.measurements[NOISE_FLOOR]
    assert isinstance(floor, NoiseFloorMeasurement)
    assert 0 < floor.relative_error < 1e-5
