"""The text of the growth experiment as tokens: a word each, split into sentences to train on and sentences held out.

Sentences follow one another in a stream that is cut into windows. One by one they would have a floor: which of 169
sentences comes next cannot be known, so that no model could reach the paper's 0.127 nats a token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anatomy_bench.papers.anatomical_heterogeneity.experiments.growth.schedule import Setup
from anatomy_bench.values.corpus import Corpus, load_corpus
from anatomy_bench.values.randomness import generator

_PAD, _UNKNOWN, BEGIN, END = range(4)
SPECIAL_TOKENS = ("<pad>", "<unknown>", "<begin>", "<end>")

Ids = NDArray[np.int64]


def growth_corpus() -> Corpus:
    """Short lower-case factual sentences, those that the prompts of Table 9 begin among them."""
    return load_corpus("growth", __package__)


@dataclass(frozen=True)
class Vocabulary:
    """Every word of a text, after four special tokens.

    Attributes:
        words: by id.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, sentences: Sequence[str]) -> "Vocabulary":
        """Words in alphabetical order, so that ids do not depend on the order of sentences."""
        return cls((*SPECIAL_TOKENS, *sorted({word for sentence in sentences for word in sentence.split()})))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)}

    def encode(self, text: str) -> list[int]:
        """The ids of a text's words after that of a beginning."""
        return [BEGIN, *(self._ids.get(word, _UNKNOWN) for word in text.split())]

    def decode(self, ids: Sequence[int]) -> str:
        """The words of these ids."""
        return " ".join(self.words[index] for index in ids)


class GrowthText:
    """Sentences of one seed: shuffled, split, and cut into rows.

    Args:
        sentences: the whole text.
        setup: how it is split and cut.
        seed: decides the split and the order.

    Attributes:
        vocabulary: of the whole text.
        training: sentences to train on, in the order of the stream.
        held_out: the others.
    """

    def __init__(self, sentences: Sequence[str], setup: Setup, seed: int) -> None:
        self._setup = setup
        self._seed = seed
        self.vocabulary = Vocabulary.of(sentences)
        order = generator(seed, "growth split").permutation(len(sentences))
        shuffled = [sentences[index] for index in order]
        free = [each for each in shuffled if not each.startswith(setup.prompts)]
        self.held_out = tuple(free[: round(setup.held_out_share * len(sentences))])
        self.training = tuple(each for each in shuffled if each not in self.held_out)

    def batches(self) -> Iterator[Ids]:
        """Batches without end, each of shape (rows, tokens + 1): inputs and, one later, targets.

        An epoch is one pass over the stream, turned by a random number of tokens so that windows begin anywhere.
        Windows that do not fill a batch are left for another epoch.
        """
        rng = generator(self._seed, "growth batches")
        stream = self._stream(self.training)
        while True:
            turned = np.roll(stream, rng.integers(len(stream)))
            rows = rng.permutation(_windows(turned, self._setup.window_tokens))
            for start in range(0, len(rows) - self._setup.rows + 1, self._setup.rows):
                yield rows[start : start + self._setup.rows]

    def validation(self, sentences: Sequence[str]) -> Ids:
        """Windows to validate on, of shape (rows, tokens + 1)."""
        return _windows(self._stream(sentences), self._setup.window_tokens)

    @property
    def seen(self) -> tuple[str, ...]:
        """As many sentences of the training text as are held out, neighbours in the stream."""
        return self.training[: len(self.held_out)]

    def _stream(self, sentences: Sequence[str]) -> Ids:
        return np.array([token for each in sentences for token in (*self.vocabulary.encode(each), END)])


def _windows(stream: Ids, tokens: int) -> Ids:
    """Neighbouring windows that share one token: the last target of one is the first input of the next."""
    count = (len(stream) - 1) // tokens
    return np.stack([stream[start * tokens : (start + 1) * tokens + 1] for start in range(count)])
