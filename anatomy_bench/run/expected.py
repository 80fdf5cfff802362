"""Verdicts on record: `claims/expected/<subject>.toml`, and `<paper>.toml` for the paper's own arithmetic.

A verdict recorded there is expected; one that no longer matches its record fails the
run, in either direction.
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import tomlkit

from anatomy_bench.base.atomic import write_atomically
from anatomy_bench.base.errors import UsageError
from anatomy_bench.claim.claim import Claim, Verdict, VerdictWord
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.values.profile import Profile
from anatomy_bench.values.quantities import quantity

CONSISTENCY_TABLE = "consistency"
TABLES = (*(profile.value for profile in Profile), CONSISTENCY_TABLE)
EXPECTED_FOLDER = Path("claims", "expected")
_USUAL = "float32"
"""Precision of a record that names none."""

_HEADER = "Written by --record-expected. A verdict that no longer matches its record fails the run."


class Outcome(Enum):
    """What a verdict means for a run.

    Attributes:
        PASSED: supported, as recorded or without a record.
        EXPECTED_FAILURE: refuted or inconclusive, as recorded.
        FAILED: not supported and not recorded, or not as recorded.
        SKIPPED: not applicable.
    """

    PASSED = "passed"
    EXPECTED_FAILURE = "expected failure"
    FAILED = "failed"
    SKIPPED = "skipped"


def outcome(verdict: Verdict, recorded: VerdictWord | None) -> Outcome:
    """The outcome of a verdict, given the one on record."""
    if recorded is not None and recorded is not verdict.word:
        return Outcome.FAILED
    if verdict.word is VerdictWord.SUPPORTED:
        return Outcome.PASSED
    if verdict.word is VerdictWord.NOT_APPLICABLE:
        return Outcome.SKIPPED
    return Outcome.FAILED if recorded is None else Outcome.EXPECTED_FAILURE


@dataclass(frozen=True)
class JudgedObject:
    """What verdicts are about: a subject, or a paper.

    Attributes:
        name: of the model or the paper.
        digest: of the weights or the published numbers; verdicts on others do not count.
        commit: of the hub that the weights came from; another commit may hold the same weights.
        precision: of the arithmetic; `None` is float32, or a paper.
        corpus: digest of the user's own text; `None` is the suite's.
    """

    name: str
    digest: str
    commit: str | None = field(default=None, compare=False)
    precision: str | None = None
    corpus: str | None = None

    def difference(self, now: "JudgedObject") -> str:
        """In words, why a record of this holds nothing of the other; nothing if it does."""
        if self.digest != now.digest:
            precision = f" in {now.precision}" if now.precision else ""
            digests = f"digest {self.digest[:12]}; {now.name}{precision} has {now.digest[:12]}"
            return f"was recorded for other weights ({digests})"
        if (self.precision or _USUAL) != (now.precision or _USUAL):
            return f"was recorded in {self.precision or _USUAL}, and this run is in {now.precision or _USUAL}"
        if self.corpus != now.corpus:
            return f"was recorded on {_text(self.corpus)}, and this run scores {_text(now.corpus)}"
        return ""


@dataclass(frozen=True)
class ExpectedVerdicts:
    """The content of a file of expected verdicts.

    Attributes:
        judged: what was judged, by name and digest.
        words: by table (a profile, or `consistency`), then by id of the claim.
    """

    judged: JudgedObject
    words: Mapping[str, Mapping[str, VerdictWord]]

    def of(self, table: str, claim: str) -> VerdictWord | None:
        """The recorded verdict, if there is one."""
        return self.words.get(table, {}).get(claim)


def expected_path(root: Path, name: str) -> Path:
    """Where verdicts are kept, such as `claims/expected/HuggingFaceTB--SmolLM2-135M.toml`."""
    try:
        is_local = Path(name).exists()
    except OSError:  # no path can be so long
        is_local = False
    stem = Path(name).resolve().name if is_local else name.replace("/", "--")
    return root / EXPECTED_FOLDER / f"{stem}.toml"


def read_expected(path: Path, claims: Collection[str]) -> ExpectedVerdicts:
    """Read a file of expected verdicts.

    Args:
        path: the file.
        claims: ids of all claims.

    Raises:
        UsageError: no such file, malformed, or naming a claim or a verdict that does not exist.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        words = {
            _table_name(name): {claim: VerdictWord(word) for claim, word in table.items()}
            for name, table in content["verdicts"].items()
        }
        commit = str(content["commit"]) if "commit" in content else None
        others = (str(content[name]) if name in content else None for name in ("precision", "corpus"))
        judged = JudgedObject(str(content["subject"]), str(content["digest"]), commit, *others)
        expected = ExpectedVerdicts(judged, words)
    except OSError as error:
        raise UsageError(f"cannot read expected verdicts {path}: {error.strerror}") from None
    except KeyError as error:
        raise UsageError(f"expected verdicts {path} lack {error.args[0]!r}; write them by --record-expected") from None
    except RecursionError:
        raise UsageError(f"expected verdicts {path} are malformed: nested too deep") from None
    except (ValueError, AttributeError) as error:
        raise UsageError(f"expected verdicts {path} are malformed: {str(error).splitlines()[0]}") from None
    unknown = sorted({claim for table in words.values() for claim in table} - set(claims))
    if unknown:
        raise UsageError(f"expected verdicts {path}: {_about_unknown(unknown[0], claims)}")
    return expected


def _about_unknown(claim: str, claims: Collection[str]) -> str:
    name = _name_now(claim, claims)
    if name is None:
        return f"there is no claim {claim!r}; remove it or record again"
    return f"claim {claim!r} is now {name!r}; --record-expected renames it"


def _name_now(old: str, claims: Collection[str]) -> str | None:
    """The id of a claim that was recorded without its paper's id, if only one paper has such a claim."""
    names = [claim for claim in claims if claim.endswith(f".{old}")]
    return names[0] if len(names) == 1 else None


def _table_name(name: str) -> str:
    if name not in TABLES:
        raise ValueError(f"no table {name!r}; there are {', '.join(TABLES)}")
    return name


def check_digest(expected: ExpectedVerdicts, judged: JudgedObject, path: Path) -> None:
    """Refuse verdicts that were recorded on other weights, such as those that a branch of the hub has left behind.

    Raises:
        UsageError: weights, precision or text differ.
    """
    then = expected.judged
    difference = then.difference(judged)
    if not difference:
        return
    if then.digest != judged.digest and then.commit and judged.commit and then.name == judged.name:
        raise UsageError(
            f"expected verdicts {path} are of {then.name} at commit {then.commit}, which now is {judged.commit} with "
            f"other weights; give --revision {then.commit}, or record anew with --record-expected --expected FILE"
        )
    raise UsageError(f"{path} {difference}; give one of its own with --record-expected --expected FILE")


def check_replaceable(path: Path, judged: JudgedObject) -> None:
    """Refuse to write verdicts over those of another model, precision or text, or over what is no record.

    A paper's own record follows its published numbers.

    Raises:
        UsageError: the file holds something else.
    """
    if not path.exists():
        return
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        then = JudgedObject(
            str(content["subject"]), str(content["digest"]), None, content.get("precision"), content.get("corpus")
        )
    except OSError as error:
        raise UsageError(f"cannot read expected verdicts {path}: {error.strerror}") from error
    except (ValueError, KeyError, RecursionError) as error:
        raise UsageError(f"{path} is no record of verdicts; it is not replaced: give --expected FILE") from error
    is_paper = judged.precision is None and then.precision is None and then.name == judged.name
    difference = "" if is_paper else then.difference(judged)
    if difference:
        raise UsageError(
            f"{path} {difference}; it is not replaced: give --expected FILE for a record beside it, or remove it"
        )


def _text(corpus: str | None) -> str:
    return f"the text {corpus[:12]}" if corpus else "the suite's own text"


def record_expected(
    path: Path, judged: JudgedObject, table: str, claims: Mapping[str, Claim], verdicts: Mapping[str, Verdict]
) -> None:
    """Record a run's verdicts; the rest of the file is kept if it is about the same thing.

    Claims that were recorded without their paper's id get the one that they have now.

    Args:
        path: the file.
        judged: what the verdicts are about.
        table: the profile, or `consistency`.
        claims: all claims by id.
        verdicts: the run's, by id of the claim.

    Raises:
        UsageError: the file is about something else, or cannot be written.
    """
    check_replaceable(path, judged)
    document = _document(path, judged)
    for name, recorded in list(document["verdicts"].items()):
        document["verdicts"][name] = _renamed(recorded, claims)
    words = document["verdicts"].setdefault(table, tomlkit.table())
    for stale in [claim for claim in words if claim not in claims]:
        del words[stale]
    for claim_id, verdict in verdicts.items():
        word = tomlkit.item(verdict.word.value)
        word.comment(_comment(claims[claim_id], verdict))
        words[claim_id] = word
    write_atomically(path, tomlkit.dumps(document).encode())


def _renamed(words: Any, claims: Collection[str]) -> Any:
    """A table with the ids that its claims have now, in the same order and with the same comments."""
    renamed = tomlkit.table()
    for key, item in words.value.body:
        if key is None:  # a comment on a line of its own
            renamed.add(item)
            continue
        name = key.key if key.key in claims else _name_now(key.key, claims) or key.key
        if name == key.key or name not in words:
            renamed.add(name, item)
    return renamed


def _comment(claim: Claim, verdict: Verdict) -> str:
    """What was measured, for the reader of the file."""
    if verdict.value is None:
        return verdict.reason
    return f"{measured_text(verdict)}; published {quantity(claim.published)}; holds if {claim.criterion}"


def _document(path: Path, judged: JudgedObject) -> Any:
    """The file as it stands if it is about the same thing, else a new one."""
    if path.is_file():
        document = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
        if document.get("digest") == judged.digest and "verdicts" in document:
            if judged.commit is not None:
                document["commit"] = judged.commit
            return document
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADER))
    document.add("subject", tomlkit.item(judged.name))
    document.add("digest", tomlkit.item(judged.digest))
    for name in ("precision", "corpus", "commit"):
        if getattr(judged, name) is not None:
            document.add(name, tomlkit.item(getattr(judged, name)))
    document.add("verdicts", tomlkit.table(is_super_table=True))
    return document
