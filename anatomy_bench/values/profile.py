"""How much of a paper's protocol is run."""

from enum import StrEnum


class Profile(StrEnum):
    """How much of the paper's protocol is run.

    Attributes:
        QUICK: repetitions and steps cut; each experiment's config says to what.
        PAPER: the full protocol.
    """

    QUICK = "quick"
    PAPER = "paper"
