"""Programs: their values and text, and the walk that scores many against plain references."""

import copy

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anatomy_bench.base.errors import UsageError
from anatomy_bench.engine import naive
from anatomy_bench.engine.arrangement import Arrangement
from anatomy_bench.engine.interventions import Intact, NeighbourAverage, Skip
from anatomy_bench.engine.program_graph import runs_in_common
from anatomy_bench.engine.program_text import program_text, read_program
from anatomy_bench.engine.program_walk import score_programs
from anatomy_bench.engine.programs import (
    MOST_RUNS,
    Chain,
    Layer,
    Mix,
    Program,
    anchored,
    chain,
    check_program,
    damped,
    intact,
    layers,
    parallel,
)
from anatomy_bench.engine.stack import LayerStack
from anatomy_bench.subject.anatomy import find_decoder_layers

LAYERS = 4
SENTENCES = tiny.sentences((9, 12, 12, 5, 3))
TOLERANCE = 2e-5
"""Nats a sentence in float32: rounding of other shapes of products; a layer's change is thousands of times as large."""

PROGRAMS = [
    "0-3", "0 2-3", "3-0", "0 2 1 3", "0-1 1-3", "0 0 0 0", ".", "2", "0 [1|2]/2 3", "[0-1|2-3]", "0 ([1-2]/3)x3 3",
    "[0.5:1-2|0.25:[3|0]/2] 3", "0 [1|.]*-0.3 2-3", "[[1|2]/2|3]*0.7",
]  # fmt: skip


def stack_of(architecture: str, count: int = LAYERS) -> LayerStack:
    made = tiny.model(architecture, layers=count)
    return LayerStack(made, find_decoder_layers(made, count))


def apart(found, expected) -> float:
    pairs = [
        (a, b)
        for name in ("nll_nats", "kl_nats", "last_kl_nats")
        for a, b in zip(getattr(found, name), getattr(expected, name), strict=True)
    ]
    return max(abs(a - b) / max(1, abs(b)) for a, b in pairs)


@pytest.mark.parametrize("architecture", tiny.CONFIGS)
def test_the_walk_agrees_with_one_program_and_one_sentence_at_a_time(architecture: str):
    stack = stack_of(architecture)
    arrangements = [
        Arrangement(read_program(text), change, kept)
        for text in PROGRAMS
        for change, kept in ((Intact(), False), (NeighbourAverage(1), False), (Skip(2), True), (Intact(), True))
    ]
    before = copy.deepcopy(stack.model.state_dict())
    found = score_programs(stack, SENTENCES, arrangements)
    for arrangement in arrangements:
        assert apart(found[arrangement], naive.score_program(stack, SENTENCES, arrangement)) < TOLERANCE, arrangement
    assert all(torch.equal(before[name], tensor) for name, tensor in stack.model.state_dict().items())


@pytest.mark.parametrize(("architecture", "where"), [("llama", "model"), ("gpt2", "transformer"), ("qwen3", "model")])
@pytest.mark.parametrize("order", [(0, 2, 1, 3), (3, 2, 1, 0), (0, 3), (1, 1, 1), (0, 1, 1, 2, 2, 3)])
def test_chains_agree_with_a_rewired_module_list(architecture: str, where: str, order: tuple[int, ...]):
    """Layers that are all of one kind can really be put into a list in another order."""
    stack = stack_of(architecture)
    found = score_programs(stack, SENTENCES, [Arrangement(layers(*order))])[Arrangement(layers(*order))]
    rewired = tiny.model(architecture, layers=LAYERS)
    inner, name = getattr(rewired, where), "h" if where == "transformer" else "layers"
    setattr(inner, name, torch.nn.ModuleList([getattr(inner, name)[index] for index in order]))
    rewired.config.num_hidden_layers = len(order)
    if getattr(rewired.config, "layer_types", None):
        rewired.config.layer_types = ["full_attention"] * len(order)
    expected = [naive.sentence_nll_nats(rewired, sentence) for sentence in SENTENCES]
    assert found.nll_nats == pytest.approx(expected, rel=TOLERANCE)


def test_weight_interventions_as_programs_agree_with_the_sweep():
    from anatomy_bench.engine.sweep import sweep

    stack = stack_of("llama")
    changes = [Intact(), Skip(0), Skip(3), NeighbourAverage(0), NeighbourAverage(2)]
    found = score_programs(stack, SENTENCES, [Arrangement(intact(LAYERS), each) for each in changes])
    swept = sweep(stack, SENTENCES, changes)
    for change in changes:
        scores = found[Arrangement(intact(LAYERS), change)]
        assert scores.nll_nats == pytest.approx(swept[change], rel=1e-6)
    assert found[Arrangement(intact(LAYERS), Skip(3))].nll_nats == pytest.approx(
        score_programs(stack, SENTENCES, [Arrangement(layers(0, 1, 2))])[Arrangement(layers(0, 1, 2))].nll_nats,
        rel=1e-6,
    )


def test_the_intact_model_diverges_from_nothing():
    stack = stack_of("llama")
    whole, kept = Arrangement(intact(LAYERS)), Arrangement(intact(LAYERS), keeps_first_token=True)
    found = score_programs(stack, SENTENCES, [whole, kept, Arrangement(Chain())])
    assert found[whole] == found[kept]
    assert max(found[whole].kl_nats) == 0
    assert min(found[Arrangement(Chain())].kl_nats) > 0.1


def test_the_first_token_kept_changes_what_others_read_of_it():
    stack = stack_of("llama")
    skipped = Arrangement(layers(0, 2, 3))
    kept = Arrangement(layers(0, 2, 3), keeps_first_token=True)
    found = score_programs(stack, SENTENCES, [skipped, kept])
    assert found[skipped] != found[kept]


BLOCK = layers(1, 2)
IDENTITIES: list[tuple[Program, Program]] = [
    (Mix(((1.0, BLOCK),)), BLOCK),
    (Mix(((0.0, BLOCK),)), Chain()),
    (damped(BLOCK, 1), BLOCK),
    (anchored(BLOCK, chain(*[BLOCK] * 3), beta=1.0), BLOCK),
    (parallel([BLOCK, BLOCK]), BLOCK),
]


@pytest.mark.parametrize(("program", "same"), IDENTITIES)
def test_identities_hold(program: Program, same: Program):
    stack = stack_of("llama")
    both = [Arrangement(chain(Layer(0), each, Layer(3))) for each in (program, same)]
    found = score_programs(stack, SENTENCES, both)
    assert apart(found[both[0]], found[both[1]]) < TOLERANCE


def test_a_permutation_that_is_the_identity_is_the_intact_model():
    stack = stack_of("gpt2")
    identity = Arrangement(chain(layers(0, 1), layers(2), layers(3)))
    assert identity == Arrangement(intact(LAYERS))
    assert max(score_programs(stack, SENTENCES, [identity])[identity].kl_nats) == 0


def test_common_beginnings_are_run_once():
    skips = [Arrangement(layers(*(each for each in range(30) if each != left_out))) for left_out in range(30)]
    naive_runs = 30 + 30 * 29
    assert runs_in_common(skips, 30) == 30 + sum(29 - left_out for left_out in range(30))
    assert runs_in_common(skips, 30) < naive_runs * 0.52
    loops = [Arrangement(chain(layers(0), damped(layers(1, 2), 4).steps[0], layers(3)))]
    assert runs_in_common(loops * 5, 4) == runs_in_common(loops, 4)


def test_it_goes_on_in_halves_where_memory_runs_out(monkeypatch: pytest.MonkeyPatch):
    from anatomy_bench.engine import program_walk

    stack = stack_of("llama")
    arrangements = [Arrangement(read_program(text)) for text in PROGRAMS]
    expected = score_programs(stack, SENTENCES, arrangements)
    scores = program_walk.scores_against_intact

    def scarce(stack, padded, streams):
        if len(streams) > 4:
            raise torch.OutOfMemoryError("no more")
        return scores(stack, padded, streams)

    monkeypatch.setattr(program_walk, "scores_against_intact", scarce)
    found = score_programs(stack, SENTENCES, arrangements)
    assert max(apart(found[each], expected[each]) for each in arrangements) < TOLERANCE


def chains(depth: int = 2) -> st.SearchStrategy[Chain]:
    coefficients = st.one_of(
        st.sampled_from([1.0, 0.5, 1 / 3, 0.25, -0.5, 0.0]),
        st.floats(-4, 4, allow_subnormal=False),
    )
    step: st.SearchStrategy[Layer | Mix] = st.builds(Layer, st.integers(0, LAYERS - 1))
    if depth:
        branch = st.tuples(coefficients, chains(depth - 1))
        step = st.one_of(step, st.builds(Mix, st.lists(branch, min_size=1, max_size=3).map(tuple)))
    return st.builds(Chain, st.lists(step, max_size=6).map(tuple))


@given(chains())
@settings(max_examples=300)
def test_text_round_trips(program: Chain):
    assert read_program(program_text(program)) == program


@given(st.lists(chains(), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_random_programs_agree_with_the_naive_reference(programs: list[Chain]):
    stack = stack_of("gpt-neox")
    arrangements = [Arrangement(each) for each in programs]
    found = score_programs(stack, SENTENCES[:2], arrangements)
    for each in arrangements:
        expected = naive.score_program(stack, SENTENCES[:2], each)
        if max(expected.nll_nats) < 1e4:  # coefficients may blow the stream up until nothing is left to compare
            assert apart(found[each], expected) < 1e-3


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("0-2 4", layers(0, 1, 2, 4)),
        ("3-1", layers(3, 2, 1)),
        (".", Chain()),
        ("[1|2]", Chain((Mix(((1.0, layers(1)), (1.0, layers(2)))),))),
        ("[1|2]/2", Chain((Mix(((0.5, layers(1)), (0.5, layers(2)))),))),
        ("[0.25:1|0.75:2 3]", Chain((Mix(((0.25, layers(1)), (0.75, layers(2, 3)))),))),
        ("(1 2)x2", layers(1, 2, 1, 2)),
        ("  0   1 ", layers(0, 1)),
    ],
)
def test_texts_are_read_as_the_grammar_says(text: str, program: Chain):
    assert read_program(text) == program


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("0 1 x", "cannot be read from 'x' on"),
        ("(1 2)", r"has a \( without \)xK"),
        ("[1|2", r"has a \[ without \]"),
        ("1-2-3", "cannot be read from '-3' on"),
        ("[1|2]/0", "divides by 0"),
        ("[1:1|2]/2", "both before its branches and behind it"),
        ("[1e999:1]", "too large"),
        ("((((0)x999)x999)x999)x999", f"runs more than {MOST_RUNS} layers"),
        ("(.)x99999999", f"runs more than {MOST_RUNS} layers"),
        ("0-999999999", f"runs more than {MOST_RUNS} layers"),
        ("[" * 60 + "1" + "]" * 60, "too many brackets"),
        ("0 [1|2", "without"),
        ("-1", "cannot be read"),
        ("9" * 5000, "more than 9 digits"),
        ("0-" + "9" * 5000, "more than 9 digits"),
        ("(0)x" + "9" * 5000, "more than 9 digits"),
        ("[0|1]/" + "9" * 5000, "more than 9 digits"),
        ("٣", "cannot be read"),
    ],
)
def test_what_is_no_program_is_refused_in_one_line(text: str, message: str):
    with pytest.raises(UsageError, match=message) as caught:
        read_program(text)
    assert "\n" not in str(caught.value)


def test_layers_that_the_model_lacks_are_refused():
    with pytest.raises(UsageError, match="runs layer 4; the model has layers 0 to 3"):
        check_program(read_program("0 [1|4]/2"), LAYERS, "0 [1|4]/2")
    with pytest.raises(ValueError, match="no layer 9"):
        score_programs(stack_of("llama"), SENTENCES, [Arrangement(layers(9))])
