"""From the bytes on the wire to the bytes of the body, a bounded piece at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from attrs import define, field

from ergaster_support_egress.errors import EgressFailed, ResponseTooLarge
from ergaster_support_egress.settings import EgressSettings

__all__ = ["ENCODINGS", "Decoder"]

ENCODINGS = "gzip, deflate"
"""What a server may use; each can be unpacked in bounded pieces."""

_PIECE = 65_536
_RATIO_APPLIES_ABOVE = 1_048_576
_GZIP, _ZLIB, _RAW = 31, 15, -15
_GZIP_START = b"\x1f\x8b"


@define
class Decoder:
    """Unpacks a body and keeps its size within the limits.

    Attributes:
        encoding: The `Content-Encoding`, empty for none.
        settings: The limits.
        place: The URL for messages.
        received: Bytes that came over the wire.
        produced: Bytes after unpacking.
    """

    encoding: str
    settings: EgressSettings
    place: str
    received: int = field(default=0, init=False)
    produced: int = field(default=0, init=False)
    _unpack: zlib._Decompress | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.encoding = self.encoding.strip().lower().removeprefix("x-")
        if self.encoding not in ("", "identity", "gzip", "deflate"):
            raise EgressFailed(
                f"{self.place} answered in an encoding that was not asked for; only {ENCODINGS} is", url=self.place
            )

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data* stands for, in pieces of at most 64 KiB if it is packed.

        Raises:
            ResponseTooLarge: As soon as a limit is passed.
            EgressFailed: If it cannot be unpacked.
        """
        self.received += len(data)
        for piece in self._pieces(data):
            self.produced += len(piece)
            self._check()
            yield piece
        self._check()

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            EgressFailed: If its packed form has not.
        """
        if self._unpack is not None and not self._unpack.eof:
            raise EgressFailed(f"{self.place} broke off in the middle of its answer; try again", url=self.place)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if self.encoding in ("", "identity"):
            yield data
            return
        while data:
            if self._unpack is None or self._unpack.eof:
                if self._unpack is not None and not (self.encoding == "gzip" and data.startswith(_GZIP_START)):
                    return  # padding behind the end
                self._unpack = zlib.decompressobj(self._window(data))
            try:
                piece = self._unpack.decompress(data, _PIECE)
            except zlib.error:
                raise EgressFailed(f"{self.place} sent a body that cannot be unpacked; try again", url=self.place) from None
            data = self._unpack.unused_data if self._unpack.eof else self._unpack.unconsumed_tail
            if piece:
                yield piece
            elif not self._unpack.eof and not data:
                return

    def _window(self, data: bytes) -> int:
        if self.encoding == "gzip":
            return _GZIP
        # `deflate` means zlib's format; some servers send it without its header.
        return _ZLIB if data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0 else _RAW

    def _check(self) -> None:
        limit, ratio = self.settings.max_bytes, self.settings.max_ratio
        if max(self.produced, self.received) > limit:
            raise ResponseTooLarge(
                f"{self.place} answers with more than {limit:,} bytes; ask for less, or raise max_bytes", url=self.place
            )
        if self.produced > max(_RATIO_APPLIES_ABOVE, ratio * self.received):
            raise ResponseTooLarge(
                f"{self.place} sent a body that grows more than {ratio} times when it is unpacked; it is not read",
                url=self.place,
            )
