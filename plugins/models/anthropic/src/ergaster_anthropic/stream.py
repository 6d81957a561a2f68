"""Messages: replies from events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define, field

from ergaster.contracts.model import Delta, ModelResponse
from ergaster_anthropic.reply import JsonDict, error_from_event, explained, reply_from, write_arguments
from ergaster_anthropic.usage import Prices
from ergaster_support_openai_wire import (
    WRONG_SHAPE,
    JsonDecodeError,
    Origin,
    SseSplitter,
    join_deltas,
    load,
    malformed,
    mint_call_id,
)

__all__ = ["MessagesDecoder"]


@define
class _Block:
    """A content block that is arriving.

    Attributes:
        value: What the server opened it with.
        pieces: What came since, by field.
        index: Which tool call of the reply it is; -1 for none.
    """

    value: JsonDict
    pieces: dict[str, list[str]] = field(factory=dict)
    index: int = -1

    def add(self, name: str, piece: str) -> None:
        """Add a piece to a field."""
        self.pieces.setdefault(name, []).append(piece)

    def written(self) -> str:
        """Return the input of a call as it arrived."""
        return "".join(self.pieces.get("input", ()))

    def whole(self) -> JsonDict:
        """Return the block as a whole reply has it."""
        value = dict(self.value)
        for name, pieces in self.pieces.items():
            text = "".join(pieces)
            value[name] = _object(text) if name == "input" else (value.get(name) or "") + text
        return value


@define(eq=False)
class MessagesDecoder:
    """Puts a streamed reply together.

    Attributes:
        origin: Who answers, for errors.
        seed: The request's body, from which missing call ids are minted.
        prices: The model's prices, if known.
    """

    origin: Origin
    seed: bytes = field(default=b"", repr=False)
    prices: Prices | None = None
    _splitter: SseSplitter = field(factory=SseSplitter, init=False)
    _seen: bytes = field(default=b"", init=False)
    _message: JsonDict = field(factory=dict, init=False)
    _usage: JsonDict = field(factory=dict, init=False)
    _blocks: dict[int, _Block] = field(factory=dict, init=False)
    _calls: int = field(default=0, init=False)
    _says: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)

    @property
    def done(self) -> bool:
        """Whether the server has said that nothing follows."""
        return self._ended

    @property
    def is_complete(self) -> bool:
        """Whether the answer has ended, so that a cut behind it loses nothing of it."""
        return self._message.get("stop_reason") is not None

    def feed(self, chunk: bytes) -> list[Delta]:
        """Return the pieces that *chunk* brings; consecutive pieces of one kind are joined.

        Raises:
            ModelError: If the server reports an error, or sends what is no event of the protocol.
        """
        if not self._seen:
            self._seen = chunk[:400]
        try:
            return join_deltas(self._pieces(self._splitter.feed(chunk)))
        except WRONG_SHAPE:
            raise malformed("an event of another shape than the protocol's", chunk, self.origin) from None

    def finish(self) -> ModelResponse:
        """Return the whole reply, at the end of the stream.

        Raises:
            MalformedReply: If the stream ended before the reply did.
        """
        try:
            for _ in self._pieces(self._splitter.finish(), at_end=True):
                pass
            if not self.is_complete:
                shown = b"" if self._message else self._seen
                raise malformed("a stream that ended before the reply did", shown, self.origin)
            blocks = list(self._blocks.values())
            message = {**self._message, "content": [block.whole() for block in blocks], "usage": self._usage}
            arguments = {place: block.written() for place, block in enumerate(blocks) if block.index >= 0}
            return reply_from(message, arguments, self.origin, seed=self.seed, prices=self.prices)
        except WRONG_SHAPE:
            raise malformed("a stream of another shape than the protocol's", b"", self.origin) from None

    def _pieces(self, events: Iterable[tuple[bytes, bytes]], *, at_end: bool = False) -> Iterator[Delta]:
        for _, data in events:
            try:
                event = load(data)
            except JsonDecodeError:
                if at_end:
                    continue  # half an event at the end: finish() tells whether anything is missing
                raise malformed("an event that is no JSON", data, self.origin) from None
            delta = self._event(event)
            if delta is not None and delta.text:
                yield delta

    def _event(self, event: JsonDict) -> Delta | None:
        match event["type"]:
            case "content_block_delta":
                return self._delta(self._blocks[event["index"]], event["delta"])
            case "content_block_start":
                return self._start(event["index"], event["content_block"])
            case "content_block_stop":
                return self._stop(self._blocks[event["index"]])
            case "message_start":
                self._message = {**event["message"], "stop_reason": None}
                self._usage = dict(self._message.get("usage") or {})
            case "message_delta":
                return self._end(event)
            case "message_stop":
                self._ended = True
            case "error":
                raise error_from_event(event, self.origin)
        return None  # a ping, or something newer than this code

    def _start(self, place: int, value: JsonDict) -> Delta | None:
        block = self._blocks[place] = _Block(dict(value))
        kind = value["type"]
        if kind == "tool_use":
            block.index, self._calls = self._calls, self._calls + 1
            block.value["id"] = value.get("id") or mint_call_id(self.seed, block.index, value["name"])
        elif kind == "text" and value["text"]:
            self._says = True
            return Delta("text", value["text"])
        elif kind == "thinking":
            return Delta("reasoning", value["thinking"])
        return None

    def _delta(self, block: _Block, delta: JsonDict) -> Delta | None:
        match delta["type"]:
            case "text_delta":
                block.add("text", delta["text"])
                self._says = True
                return Delta("text", delta["text"])
            case "thinking_delta":
                block.add("thinking", delta["thinking"])
                return Delta("reasoning", delta["thinking"])
            case "input_json_delta":
                block.add("input", delta["partial_json"])
                return self._arguments(block, delta["partial_json"])
            case "citations_delta":
                block.value["citations"] = [*(block.value.get("citations") or ()), delta["citation"]]
            case _:  # a signature, or a text of a block that is newer than this code
                for name, piece in delta.items():
                    if name != "type" and isinstance(piece, str):
                        block.add(name, piece)
        return None

    def _stop(self, block: _Block) -> Delta | None:
        if block.index < 0 or block.written():
            return None
        # A call without arguments, or a server that sends them in one piece.
        return self._arguments(block, write_arguments(block.value.get("input")))

    def _arguments(self, block: _Block, piece: str) -> Delta | None:
        if block.index < 0:
            return None  # of a tool of the server's
        return Delta("tool_arguments", piece, block.index, block.value["id"], block.value["name"])

    def _end(self, event: JsonDict) -> Delta | None:
        self._message.update({name: value for name, value in event["delta"].items() if value is not None})
        self._usage.update({name: value for name, value in (event.get("usage") or {}).items() if value is not None})
        if self._message.get("stop_reason") == "refusal" and not self._says:
            return Delta("text", explained(self._message.get("stop_details")))
        return None


def _object(text: str) -> object:
    try:
        return load(text.encode("utf-8", "replace")) if text else {}
    except JsonDecodeError:
        return {}
