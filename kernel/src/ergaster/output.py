"""Structured answers: reading the whole, and what has arrived of it so far."""

from __future__ import annotations

import re

from ergaster.codec import load_json
from ergaster.messages import Json
from ergaster.schema import Adapter

__all__ = ["PartialOutput", "read_output"]

_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\n(.*?)\n?```\s*\Z", re.DOTALL)


def read_output(text: str, adapter: Adapter) -> object:
    """Return the value that the answer's JSON stands for; a code fence around it is taken off.

    Raises:
        InvalidInput: If the text is no JSON, or the value does not fit.
    """
    fenced = _FENCE.match(text)
    return adapter.load(load_json(fenced[1] if fenced else text))


class PartialOutput:
    """Reads JSON while it arrives; looks again only when the text has grown by an eighth, so the cost stays linear."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._seen = 0
        self._value: Json = None

    def feed(self, text: str) -> Json:
        """Take in more text and return the value so far, or None when there is nothing new."""
        from jiter import from_json

        self._pieces.append(text)
        self._length += len(text)
        if self._length < self._seen + max(1, self._seen // 8):
            return None
        self._seen = self._length
        whole = "".join(self._pieces)
        self._pieces = [whole]
        start = min((at for at in (whole.find("{"), whole.find("[")) if at >= 0), default=-1)
        if start < 0:
            return None
        try:
            value = from_json(whole[start:].encode("utf-8", "surrogatepass"), partial_mode="trailing-strings")
        except ValueError:
            return None
        if value == self._value:
            return None
        self._value = value
        return value
