"""Server-sent events, as far as the OpenAI protocols use them: an incremental splitter without I/O.

Decision 0030 says why these lines are ours: the parsers on offer are tied to an HTTP library or cost ten times as much.
"""

from __future__ import annotations

__all__ = ["SseSplitter"]

_BOM = b"\xef\xbb\xbf"


class SseSplitter:
    """Cuts a stream of bytes into events; the bytes may be cut anywhere.

    Lines end with LF, CRLF or CR; comments, `id` and `retry` are passed over; several `data` lines are one value.
    """

    __slots__ = ("_after_cr", "_ends_line", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # joined only when an event is complete, so that a long event stays linear
        self._ends_line = False
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """Return the events that *chunk* completes, as pairs of event name (mostly empty) and data."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[:1] == b"\n":  # the second half of a CRLF that was cut in two
                chunk = chunk[1:]
        if not chunk:
            return []
        if b"\r" in chunk:
            self._after_cr = chunk[-1:] == b"\r"
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        complete = b"\n\n" in chunk or (self._ends_line and chunk[:1] == b"\n")
        self._ends_line = chunk[-1:] == b"\n"
        if not complete:
            self._parts.append(chunk)
            return []
        if self._parts:
            self._parts.append(chunk)
            chunk = b"".join(self._parts)
        *blocks, rest = chunk.split(b"\n\n")
        self._parts = [rest] if rest else []
        return _events(blocks)

    def finish(self) -> list[tuple[bytes, bytes]]:
        """Return the event that the end of the stream left without its blank line, if there is one."""
        rest = b"".join(self._parts)
        self._parts = []
        return _events([rest]) if rest else []


def _events(blocks: list[bytes]) -> list[tuple[bytes, bytes]]:
    events = []
    for block in blocks:
        if block[:6] == b"data: " and b"\n" not in block:  # nearly every event is this one line
            events.append((b"", block[6:]))
        elif (event := _parse_block(block)) is not None:
            events.append(event)
    return events


def _parse_block(block: bytes) -> tuple[bytes, bytes] | None:
    name, data = b"", []
    for line in block.removeprefix(_BOM).split(b"\n"):
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if key == b"data":
            data.append(value)
        elif key == b"event":
            name = value
    return (name, b"\n".join(data)) if data else None
