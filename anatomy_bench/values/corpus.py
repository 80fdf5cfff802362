"""Texts that models are scored on."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.text import as_utf8

DEFAULT_CORPUS = "ten"
_MOST_BYTES = 16 << 20
"""The largest corpus file that is read: far more text than can be scored, far less than fits into memory."""


@dataclass(frozen=True)
class Corpus:
    """Sentences, each scored by itself.

    Attributes:
        name: `ten`, `wide`, … or the file's name.
        sentences: one text each, none empty.
    """

    name: str
    sentences: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the sentences."""
        return hashlib.sha256("\n".join(self.sentences).encode()).hexdigest()


def load_corpus(name: str, room: str = "anatomy_bench.values.corpora") -> Corpus:
    """A text written for this project.

    Args:
        name: of its file, without `.txt`.
        room: package whose folder has the file; an experiment's own text lies beside it.

    Raises:
        UsageError: there is no such text.
    """
    texts = {each.name.removesuffix(".txt"): each for each in resources.files(room).iterdir() if ".txt" in each.name}
    if name not in texts:
        raise UsageError(f"no corpus {name!r}; there are {', '.join(sorted(texts))}")
    return Corpus(name, tuple(texts[name].read_text(encoding="utf-8").splitlines()))


def read_corpus(path: Path) -> Corpus:
    """Read a corpus file: UTF-8, one text a line, blank lines skipped.

    Raises:
        UsageError: no such file, not text, or no text in it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UsageError(f"corpus {path} is larger than {_MOST_BYTES >> 20} MiB; give fewer texts")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read corpus {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"corpus {path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    if "\0" in text:
        raise UsageError(f"corpus {path} is a binary file; give a text file with one text a line")
    sentences = tuple(line.strip() for line in text.split("\n") if line.strip())
    if not sentences:
        raise UsageError(f"corpus {path} is empty; give one text a line")
    return Corpus(as_utf8(path.name), sentences)
