"""What a user asks for: declared once, for pytest, the command line and notebooks.

A field of `Options`, `Selection` or `Keeping` is an option of each of them. Importing this imports nothing heavy: the
pytest plugin does so in every project that has the package installed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from anatomy_bench.base.errors import UsageError
from anatomy_bench.base.text import as_utf8
from anatomy_bench.values.profile import Profile

if TYPE_CHECKING:
    from anatomy_bench.values.measurement import Provenance, SubjectRecord

DEFAULT_MODEL = "bundled"
DTypeName = Literal["float32", "bfloat16"]


def _option(default: Any, help_text: str, metavar: str | None = None) -> Any:
    return field(default=default, metadata={"help": help_text, "metavar": metavar})


@dataclass(frozen=True)
class Options:
    """What is measured, and how. `profile` `None` is `paper` on CUDA and `quick` on the CPU."""

    model: str = _option(
        DEFAULT_MODEL,
        "the model under study: a hub id, a directory, a .gguf file, or bundled (SmolLM2-135M-Instruct, 4 bits)",
        "ID|DIR|FILE.gguf|bundled",
    )
    revision: str | None = _option(None, "branch, tag or commit of a hub model", "R")
    device: str = _option("auto", "auto takes CUDA where there is one, else the CPU", "auto|cpu|cuda[:N]")
    dtype: DTypeName = _option("float32", "precision of weights and arithmetic: float32 or bfloat16")
    profile: Profile | None = _option(
        None, "paper: the full protocol; quick: fewer repetitions. Default: paper on CUDA, quick on the CPU"
    )
    corpus: Path | None = _option(None, "score this text instead of the ten sentences; UTF-8, one text a line", "FILE")
    seed: int = _option(0, "seed of every random generator", "N")
    fresh: bool = _option(False, "measure again what the store of finished jobs already holds")
    trust_remote_code: bool = _option(False, "run Python code that comes with the model")
    allow_pickled_weights: bool = _option(False, "load .bin weights, which can run code")
    allow_untrained: bool = _option(False, "measure a model that predicts no better than token frequencies")

    def __post_init__(self) -> None:
        """Refuse what no type says.

        Raises:
            UsageError: a negative seed.
        """
        if self.seed < 0:
            raise UsageError(f"seed {self.seed} is negative; give 0 or more")


@dataclass(frozen=True)
class Selection:
    """Which claims are asked; all of them where nothing is named."""

    paper: tuple[str, ...] = _option((), "only the findings of this paper, by id; may be given several times", "ID")
    finding: tuple[str, ...] = _option((), "only this finding, by id; may be given several times", "ID")


@dataclass(frozen=True)
class Keeping:
    """What is written of a run, and the record that its verdicts are compared with."""

    report: Path | None = _option(
        None, "write ledger.json, report.md and report.html, the one to look at, into this folder", "DIR"
    )
    expected: Path | None = _option(
        None, "compare with the verdicts on record in this file instead of claims/expected/<model>.toml", "FILE"
    )
    record_expected: bool = _option(False, "write this run's verdicts down as the expected ones")


@dataclass(frozen=True)
class Declared:
    """An option as its field declares it.

    Attributes:
        name: of the field, and of the argument in Python.
        kind: `str`, `int`, `bool`, `Path`, or the choices as a type (`Literal[…]`, an enumeration).
        default: where it is not given.
        help: what it does.
        metavar: how its value is written in help texts.
        repeats: whether it may be given several times.
        annotation: the field's own, `| None` included.
    """

    name: str
    kind: Any
    default: Any
    help: str
    metavar: str | None
    repeats: bool
    annotation: Any

    @property
    def flag(self) -> str:
        """Its name on a command line, without the dashes before it."""
        return self.name.replace("_", "-")

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have; none where they are not listed."""
        if get_origin(self.kind) is Literal:
            return get_args(self.kind)
        return tuple(str(each.value) for each in self.kind) if self.kind is Profile else ()


def declared(group: type) -> Iterator[Declared]:
    """The options of `Options`, `Selection` or `Keeping`, in their order."""
    hints = get_type_hints(group)
    for each in fields(group):
        kind, repeats = hints[each.name], get_origin(hints[each.name]) is tuple
        if repeats or type(None) in get_args(kind):
            kind = get_args(kind)[0]
        told = each.metadata
        yield Declared(each.name, kind, each.default, told["help"], told["metavar"], repeats, hints[each.name])


_ACCEPTED: Mapping[Any, Any] = {bool: bool, int: int, Path: (str, PathLike), Profile: str}
"""By kind of option what a caller may give for it; `str` for all others. A `no` for a flag is no flag."""


def options_of(given: Mapping[str, Any]) -> Options:
    """Options from plain values, such as a notebook's: names of profiles as text, paths as text.

    Raises:
        UsageError: there is no such option, or no such choice.
    """
    known = {each.name: each for each in declared(Options)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(f"no option {unknown[0]!r}; there are: {', '.join(known)}")
    return Options(**{name: _read(known[name], value) for name, value in given.items()})


def _read(option: Declared, value: Any) -> Any:
    if value is None:
        return option.default
    if option.choices and str(value) not in option.choices:
        raise UsageError(f"{option.name} is {value!r}; give {' or '.join(option.choices)}")
    accepted = _ACCEPTED.get(option.kind, str) if option.name != "model" else _ACCEPTED[Path]
    if not isinstance(value, accepted) or (isinstance(value, bool) and option.kind is not bool):
        raise UsageError(f"{option.name} is {value!r}, a {type(value).__name__}; {option.help}")
    if option.name == "model":  # a path may be given as one
        return str(value)
    return option.kind(value) if option.kind in (Path, Profile) else value


def repeating(options: Options, subject: "SubjectRecord", made: "Provenance") -> tuple[str, ...]:
    """Options of a command line that repeats a run: nothing is left to what another machine would choose."""
    settled: dict[str, Any] = {
        "revision": subject.commit or options.revision,
        "device": made.device,
        "dtype": made.dtype,
    }
    settled |= {"profile": made.profile, "seed": made.seed, "fresh": False}
    words: list[str] = []
    for each in declared(Options):
        value = settled.get(each.name, getattr(options, each.name))
        if each.kind is bool:
            words += [f"--{each.flag}"] if value else []
        elif value is not None:
            words += [f"--{each.flag}", as_utf8(str(value))]
    return tuple(words)
