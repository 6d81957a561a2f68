"""A sliding window over a streamed reply: text is let out when what follows cannot change how it is judged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

__all__ = ["Window"]

_TRIES = 4


class Window:
    """Holds back the last *size* characters of a text that grows, and checks it before letting out the rest.

    A match no longer than *size* is seen whole before its first character is let out. The text is cut between words,
    and, where the check rewrites it, only where both parts checked alone give the same as the whole.
    """

    def __init__(self, check: Callable[[str], Awaitable[str]], size: int) -> None:
        self._check = check
        self._size = size
        self._held = ""
        self._full = size + max(16, size // 4)

    async def feed(self, text: str) -> str:
        """Take a piece and return what may be shown now; with a size of 0 nothing is, until the end."""
        self._held += text
        if not self._size or len(self._held) < self._full:
            return ""
        checked = await self._check(self._held)
        limit = len(self._held) - self._size
        for _ in range(_TRIES):
            cut = _between_words(self._held, limit)
            head, tail = self._held[:cut], self._held[cut:]
            shown = head
            if checked != self._held and (shown := await self._check(head)) + await self._check(tail) != checked:
                limit = cut - 1
                if limit > 0:
                    continue
                break
            self._held, self._full = tail, len(tail) + max(16, self._size // 4)
            return shown
        self._full = 2 * len(self._held)
        return ""

    async def flush(self) -> str:
        """Check what is left and return it."""
        text, self._held = self._held, ""
        return await self._check(text) if text else ""


def _between_words(text: str, limit: int) -> int:
    """Return the last place up to *limit* at which a word begins; *limit* itself in a text without spaces."""
    found = max(text.rfind(space, 0, limit) for space in " \n\t") + 1
    return found or limit
