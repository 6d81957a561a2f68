"""What went wrong with plugins, kept for `ergaster plugins doctor`."""

from __future__ import annotations

import traceback

from attrs import field, frozen

from ergaster.errors import PluginError, PluginLoadFailed
from ergaster.offers import OBSERVER, Offer
from ergaster.settings import title
from ergaster.suggestions import shorten

__all__ = ["PluginFailure", "failure_of", "load_failed", "told"]


@frozen
class PluginFailure:
    """A plugin that could not be imported or registered, or an observer that raised.

    Attributes:
        kind: Its kind; `observer` for a plugin of hooks.
        name: Its name.
        distribution: The distribution it came with; empty for what was registered in process.
        error: What was raised.
        traceback: The traceback's text.
    """

    kind: str
    name: str
    distribution: str
    error: Exception = field(eq=False)
    traceback: str = field(repr=False, eq=False)


def failure_of(offer: Offer, error: BaseException) -> PluginFailure:
    """Record what an offer's plugin raised; an attempt to exit the interpreter is an error like others."""
    text = "".join(traceback.format_exception(error))
    if not isinstance(error, Exception):
        error = PluginError(
            f"it tried to leave the interpreter: {type(error).__name__}: {error}", kind=offer.kind, name=offer.name
        )
    return PluginFailure(offer.kind, offer.name, offer.entry.distribution if offer.entry else "", error, text)


def load_failed(offer: Offer, failure: PluginFailure) -> PluginLoadFailed:
    """Return the error for somebody who named a plugin that failed."""
    origin = f"of the distribution {offer.origin!r}" if offer.entry else "registered in process"
    what = f"the observer {offer.name!r}" if offer.kind == OBSERVER else title(offer.kind, offer.name)
    error = PluginLoadFailed(
        f"{what} {origin} could not be loaded: {told(failure.error)}; see: ergaster plugins doctor",
        kind=offer.kind,
        name=offer.name,
    )
    error.__cause__ = failure.error
    return error


def told(error: Exception) -> str:
    """Return an error in one line, with its type unless it is one of ours."""
    text = shorten(str(error).strip().partition("\n")[0], 400)
    return text if isinstance(error, PluginError) else f"{type(error).__name__}: {text}"
