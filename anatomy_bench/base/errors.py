"""Errors that a user can mend; the command line and the plugin print them as one line."""

from typing import ClassVar


class AnatomyError(Exception):
    """An error told in one line that says what to do.

    Attributes:
        exit_code: what the process ends with (`docs/architecture.md`, exit codes).
    """

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """One line without control characters: part of it may be a stranger's text, and it goes to a terminal."""
        line = " ".join(super().__str__().split())
        return "".join(each if each.isprintable() else "?" for each in line)


class UsageError(AnatomyError):
    """A bad option, a missing file, an empty corpus."""

    exit_code = 2


class DamagedUnitWarning(UserWarning):
    """A file of the store is not what was stored; its units are measured again."""


class UnfitModelError(AnatomyError):
    """A model on which no measurement would mean anything."""

    exit_code = 3


class InapplicableError(AnatomyError):
    """A quantity or an experiment that this model does not allow: claims that need it are NOT_APPLICABLE."""

    exit_code = 3
