"""Errors that a user can fix; the command line and the plugin print them as one line."""

from typing import ClassVar


class AnatomyError(Exception):
    """An error whose message is one line that says what to do.

    Attributes:
        exit_code: the exit code of the process (`docs/architecture.md`, exit codes).
    """

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """One line without control characters: it goes to a terminal and may quote text from an unknown source."""
        line = " ".join(super().__str__().split())
        return "".join(character if character.isprintable() else "?" for character in line)


class UsageError(AnatomyError):
    """A bad option, a missing file, an empty corpus."""

    exit_code = 2


class AnatomyWarning(UserWarning):
    """Something that a user should know and that ends nothing; the command line prints it as one line."""


class DeviceWarning(AnatomyWarning):
    """There may be a GPU here, and it cannot be used."""


class DamagedUnitWarning(AnatomyWarning):
    """A stored file does not match its checksum; its units are measured again."""


class UnfitModelError(AnatomyError):
    """A model on which no measurement would mean anything."""

    exit_code = 3


class InapplicableError(AnatomyError):
    """A quantity or an experiment that this model does not allow: claims that need it are NOT_APPLICABLE."""

    exit_code = 3
