"""Other models for when one does not answer: the next in a chain is asked, by the class of the error."""

from ergaster_fallback.chain import Cause, Fallback

__all__ = ["Cause", "Fallback"]
