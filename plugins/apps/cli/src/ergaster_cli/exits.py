"""The exit codes of the `ergaster` command; scripts may rely on them."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CommandFailed", "Exit", "UsageError"]


class Exit(IntEnum):
    """What a command's exit code means."""

    OK = 0
    """Everything asked for was done."""
    FAILED = 1
    """The run ended with an error or was cancelled, or a check found something wrong."""
    USAGE = 2
    """The command line, the configuration or a plugin's name or option is wrong; nothing was run."""
    PAUSED = 3
    """The run waits for a decision that nobody was there to give; standard error says how to resume it."""
    INTERRUPTED = 130
    """Ctrl-C; a run that was under way can be resumed, and standard error says how."""


class CommandFailed(Exception):
    """Ends a command with a message on standard error.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


class UsageError(CommandFailed):
    """The command line cannot be understood; the message says what to type."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.USAGE)
