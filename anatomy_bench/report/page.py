"""What every page shares: its style, its macros, and words with their symbols.

A page needs no network and no script. Everything that comes from a ledger is escaped, because a page may be made from
a ledger that somebody else has sent.
"""

from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from anatomy_bench.claim.claim import VerdictWord
from anatomy_bench.claim.conclusion import Conclusion
from anatomy_bench.claim.quantities import measured_text
from anatomy_bench.registry import citation_of
from anatomy_bench.values.quantities import interval_text, quantity

_SYMBOLS: dict[str, str] = {
    VerdictWord.SUPPORTED.value: "✓",
    VerdictWord.REFUTED.value: "✗",
    VerdictWord.INCONCLUSIVE.value: "?",
    VerdictWord.NOT_APPLICABLE.value: "–",
    Conclusion.REPRODUCED.value: "✓",
    Conclusion.EXPLAINED_BY_CONTROL.value: "!",
    Conclusion.PARTLY_REPRODUCED.value: "±",
    Conclusion.NOT_REPRODUCED.value: "✗",
    Conclusion.INCONCLUSIVE.value: "?",
    Conclusion.NOT_APPLICABLE.value: "–",
}
_TONES: dict[str, str] = {"✓": "good", "✗": "bad", "!": "bad", "±": "mixed", "?": "mixed", "–": "none"}


def render(template: str, **content: Any) -> str:
    """A page from one of the templates beside this file, with the common style."""
    environment = Environment(
        loader=PackageLoader("anatomy_bench", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"quantity": quantity, "interval": interval_text, "measured": measured_text}
    environment.filters |= {"symbol": symbol, "tone": _tone, "citation": citation_of}
    return environment.get_template(template).render(style=style(), **content)


def style() -> str:
    """The style sheet of every page."""
    return resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")


def symbol(word: str) -> str:
    """A character for a verdict or a conclusion, shown beside the word and never instead of it."""
    return _SYMBOLS[word]


def _tone(word: str) -> str:
    return _TONES[_SYMBOLS[word]]


def measurement_facts(data: dict[str, Any]) -> list[tuple[str, str]]:
    """What is needed to repeat a measurement, under its names in JSON."""
    parts = {
        "subject": {key: data["subject"][key] for key in ("name", "digest", "commit")},
        "corpus": {key: data["corpus"][key] for key in ("name", "digest", "sentences", "tokens")}
        if data["corpus"]
        else {},
        "config": data.get("config", {}),
        "provenance": {key: value for key, value in data["provenance"].items() if key != "versions"},
        "versions": data["provenance"]["versions"],
    }
    facts = [(f"{part} {key}", fact(value)) for part, fields in parts.items() for key, value in fields.items()]
    return [*facts, ("seconds", quantity(data["seconds"]))]


def fact(value: Any) -> str:
    """A JSON value for readers."""
    if isinstance(value, list):
        return ", ".join(map(fact, value))
    return "none" if value is None else str(value)
