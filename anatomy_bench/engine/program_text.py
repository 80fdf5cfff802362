"""The text form of programs, for ids, the command line and reports.

    program = step { " " step }            a chain; the empty program is written .
    step    = layers | mix | repeat
    layers  = I | I-J                      one layer, or I to J in order (downwards where J < I)
    repeat  = "(" program ")x" K           K times
    mix     = "[" branch { "|" branch } "]" [ "/" M | "*" C ]      every coefficient 1/M or C (default 1)
    branch  = [ C ":" ] program            or each its own

So `0-13 15-29` skips layer 14, `0-9 11 10 12-29` exchanges two, `0-11 [12|13|14]/3 15-29` runs three in parallel, and
`0-11 ([12-17]/3)x3 18-29` is a damped loop. Reading what `program_text` has written gives an equal program.
"""

import math
import re
from itertools import pairwise

from anatomy_bench.base.errors import UsageError
from anatomy_bench.engine.programs import MOST_RUNS, Chain, Layer, Mix, Program, chain, runs_of

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_DEEPEST = 50
"""Brackets within brackets: no protocol needs three."""

_MOST_DIGITS = 9
"""Of a layer's number or a count: far more than any is long."""

_LEAST_RUN = 2
"""Neighbours that are written as a range."""


def read_program(text: str) -> Chain:
    """The program that a text describes.

    Raises:
        UsageError: the text is empty, is not of the grammar, or describes a program that is too long.
    """
    return _Reader(text).read()


def program_text(program: Program) -> str:
    """The text of a program; reading it gives an equal one."""
    words = _words(chain(program))
    return " ".join(_folded(words)) or "."


class _Reader:
    """A recursive descent over the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> Chain:
        if not self._text.strip():
            raise self._error("is empty; the program that runs no layer is written .")
        program = self._program(0)
        if self._text[self._at :].strip():
            raise self._error(f"cannot be read from {self._text[self._at :].strip()[:20]!r} on")
        return program

    def _error(self, told: str) -> UsageError:
        shown = self._text if len(self._text) <= 60 else self._text[:57] + "..."  # noqa: PLR2004 (fits a line)
        return UsageError(f"program {shown!r} {told}")

    def _take(self, pattern: str) -> re.Match[str] | None:
        found = re.compile(pattern).match(self._text, self._at)
        if found:
            self._at = found.end()
        return found

    def _program(self, depth: int) -> Chain:
        if depth > _DEEPEST:
            raise self._error("has too many brackets within brackets")
        if self._take(r"\s*\."):
            return Chain()
        steps = self._step(depth)
        while (more := self._step_or_end(depth)) is not None:
            steps = chain(steps, more)
            self._check_length(len(steps.steps))
        return steps

    def _step_or_end(self, depth: int) -> Chain | None:
        self._take(r"\s*")
        at_end = self._at == len(self._text) or self._text[self._at] in "|])"
        return None if at_end else self._step(depth)

    def _step(self, depth: int) -> Chain:
        if found := self._take(r"\s*([0-9]+)-([0-9]+)(?![0-9.:])"):
            first, last = self._integer(found[1]), self._integer(found[2])
            self._check_length(abs(last - first) + 1)
            return Chain(tuple(map(Layer, range(first, last + 1) if first <= last else range(first, last - 1, -1))))
        if found := self._take(r"\s*([0-9]+)(?![0-9.:x-])"):
            return Chain((Layer(self._integer(found[1])),))
        if self._take(r"\s*\("):
            return self._repeat(depth)
        if self._take(r"\s*\["):
            return Chain((self._mix(depth),))
        raise self._error(
            f"cannot be read from {self._text[self._at :].strip()[:20]!r} on" if self._rest else "ends early"
        )

    @property
    def _rest(self) -> str:
        return self._text[self._at :].strip()

    def _repeat(self, depth: int) -> Chain:
        block = self._program(depth + 1)
        found = self._take(r"\s*\)x([0-9]+)")
        if not found:
            raise self._error("has a ( without )xK behind it, such as (12-15)x3")
        times = self._integer(found[1])
        self._check_length(times * max(1, sum(1 for _ in runs_of(block))))
        return Chain(block.steps * times)

    def _mix(self, depth: int) -> Mix:
        given: list[float | None] = []
        programs: list[Chain] = []
        while True:
            coefficient = self._take(rf"\s*({_NUMBER})\s*:")
            given.append(self._finite(coefficient[1]) if coefficient else None)
            programs.append(self._program(depth + 1))
            if not self._take(r"\s*\|"):
                break
        if not self._take(r"\s*\]"):
            raise self._error("has a [ without ]")
        shared = self._shared()
        if shared is not None and any(each is not None for each in given):
            raise self._error("gives a mix coefficients both before its branches and behind it; give one of them")
        default = 1.0 if shared is None else shared
        branches = zip((default if each is None else each for each in given), programs, strict=True)
        return Mix(tuple(branches))

    def _shared(self) -> float | None:
        """The coefficient behind a mix."""
        if found := self._take(r"/([0-9]+)"):
            parts = self._integer(found[1])
            if parts == 0:
                raise self._error("divides by 0")
            return 1 / parts
        if found := self._take(rf"\*({_NUMBER})"):
            return self._finite(found[1])
        return None

    def _integer(self, digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            raise self._error(f"has a number of more than {_MOST_DIGITS} digits")
        return int(digits)

    def _finite(self, number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            raise self._error(f"has a coefficient that is too large, {number}")
        return value

    def _check_length(self, runs: int) -> None:
        if runs > MOST_RUNS:
            raise self._error(f"runs more than {MOST_RUNS} layers")


def _words(program: Chain) -> list[str]:
    """Ranges and mixes."""
    words: list[str] = []
    run: list[int] = []
    for step in (*program.steps, None):
        if isinstance(step, Layer) and (not run or _goes_on(run, step.index)):
            run.append(step.index)
            continue
        if run:
            words.append(_range(run))
        run = [step.index] if isinstance(step, Layer) else []
        if isinstance(step, Mix):
            words.append(_mix_text(step))
    return words


def _goes_on(run: list[int], index: int) -> bool:
    way = index - run[-1]
    return abs(way) == 1 and all(after - before == way for before, after in pairwise(run))


def _range(run: list[int]) -> str:
    return str(run[0]) if len(run) < _LEAST_RUN else f"{run[0]}-{run[-1]}"


def _mix_text(mix: Mix) -> str:
    coefficients = {coefficient for coefficient, _ in mix.branches}
    texts = [program_text(program) for _, program in mix.branches]
    if len(coefficients) > 1:
        return "[" + "|".join(f"{c!r}:{text}" for (c, _), text in zip(mix.branches, texts, strict=True)) + "]"
    (shared,) = coefficients
    return f"[{'|'.join(texts)}]{_shared_text(shared)}"


def _shared_text(coefficient: float) -> str:
    if coefficient == 1:
        return ""
    parts = round(1 / coefficient) if coefficient else 0
    return f"/{parts}" if 0 < parts < 10**_MOST_DIGITS and 1 / parts == coefficient else f"*{coefficient!r}"


def _folded(words: list[str]) -> list[str]:
    """Words with what follows itself written once, `(…)xK`: the longest saving first."""
    folded: list[str] = []
    at = 0
    while at < len(words):
        size, times = max(_repeats(words, at), key=lambda found: (found[0] * (found[1] - 1), -found[0]))
        folded += [f"({' '.join(words[at : at + size])})x{times}"] if times > 1 else [words[at]]
        at += size * times
    return folded


def _repeats(words: list[str], at: int) -> list[tuple[int, int]]:
    """Of every block that begins here, its size and how often it follows itself."""
    found = [(1, 1)]
    for size in range(1, (len(words) - at) // 2 + 1):
        if words[at + size] != words[at]:
            continue
        times = 1
        while words[at + times * size : at + (times + 1) * size] == words[at : at + size]:
            times += 1
        if times > 1:
            found.append((size, times))
    return found
