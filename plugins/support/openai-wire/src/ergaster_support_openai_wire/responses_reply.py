"""Responses: replies from bytes, whole or in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from attrs import define, field

from ergaster.contracts.model import Delta, ModelResponse
from ergaster.errors import ContentRefused
from ergaster.messages import Citation, Message, Part, Reasoning, StopReason, Text, ToolCall
from ergaster_support_openai_wire._calls import mint_call_id
from ergaster_support_openai_wire._deltas import join_deltas
from ergaster_support_openai_wire._json import WRONG_SHAPE, JsonDecodeError, load
from ergaster_support_openai_wire._media import media_from_base64
from ergaster_support_openai_wire.errors import Origin, error_from_value, malformed
from ergaster_support_openai_wire.sse import SseSplitter
from ergaster_support_openai_wire.usage import Price, usage_from

__all__ = ["ResponsesDecoder", "decode_responses", "reply_from"]

JsonDict: TypeAlias = dict[str, Any]
"""A parsed object of the wire; its values are whatever the server sent."""

_KNOWN = {"reasoning", "message", "function_call", "image_generation_call"}
_INCOMPLETE = {"max_output_tokens": StopReason.LENGTH, "content_filter": StopReason.REFUSAL}
_ENDS = {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}


@define
class _Call:
    """A tool call whose arguments are arriving."""

    index: int
    id: str
    name: str
    has_pieces: bool = False


@define(eq=False)
class ResponsesDecoder:
    """Puts a streamed reply together.

    Attributes:
        origin: Who answers, for errors.
        seed: The request's body, from which missing call ids are minted.
        price: The model's price, if known.
    """

    origin: Origin
    seed: bytes = field(default=b"", repr=False)
    price: Price | None = None
    _splitter: SseSplitter = field(factory=SseSplitter, init=False)
    _seen: bytes = field(default=b"", init=False)
    _calls: dict[Any, _Call] = field(factory=dict, init=False)
    _items: dict[Any, JsonDict] = field(factory=dict, init=False)
    _begun: bool = field(default=False, init=False)
    _final: JsonDict | None = field(default=None, init=False)

    @property
    def done(self) -> bool:
        """Whether the server has said that nothing follows."""
        return self._final is not None

    is_complete = done

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
            return self._reply()
        except WRONG_SHAPE:
            raise malformed("a stream of another shape than the protocol's", b"", self.origin) from None

    def _reply(self) -> ModelResponse:
        for _ in self._pieces(self._splitter.finish(), at_end=True):
            pass
        final = self._final
        if final is None:
            raise malformed("a stream that ended before the reply did", b"" if self._begun else self._seen, self.origin)
        if not final.get("output"):  # some servers leave it out of the last event
            final = {**final, "output": list(self._items.values())}
        return reply_from(final, self.origin, seed=self.seed, price=self.price)

    def _pieces(self, events: Iterable[tuple[bytes, bytes]], *, at_end: bool = False) -> Iterable[Delta]:
        for name, data in events:
            if data == b"[DONE]":
                continue
            try:
                event = load(data)
            except JsonDecodeError:
                if at_end:
                    continue  # half an event at the end: finish() tells whether anything is missing
                raise malformed("an event that is no JSON", data, self.origin) from None
            delta = self._event(name, event)
            self._begun = True
            if delta is not None:
                yield delta

    def _event(self, name: bytes, event: JsonDict) -> Delta | None:
        kind = event.get("type") or name.decode()
        if kind == "response.output_text.delta" or kind == "response.refusal.delta":  # noqa: PLR1714 - twice as quick
            return Delta("text", event["delta"]) if event["delta"] else None
        if kind in {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}:
            return Delta("reasoning", event["delta"]) if event["delta"] else None
        if kind == "response.function_call_arguments.delta":
            return self._arguments(_place(event), event["delta"])
        if kind in {"response.output_item.added", "response.output_item.done"}:
            return self._item(_place(event), event["item"], is_done=kind.endswith("done"))
        if kind in _ENDS:
            self._final = event["response"]
        elif kind == "error" or event.get("error"):
            raise error_from_value(event.get("error") or event, self.origin)
        return None

    def _item(self, place: object, item: JsonDict, *, is_done: bool) -> Delta | None:
        if item["type"] == "function_call" and place not in self._calls:
            index = len(self._calls)
            call_id = item.get("call_id") or mint_call_id(self.seed, index, item["name"])
            self._calls[place] = _Call(index, call_id, item["name"])
        if not is_done:
            return None
        self._items[place] = item
        call = self._calls.get(place)
        if call is None or call.has_pieces:
            return None
        return self._arguments(place, item["arguments"])  # a server that sends arguments in one piece

    def _arguments(self, place: object, piece: str) -> Delta | None:
        call = self._calls[place]
        call.has_pieces = call.has_pieces or bool(piece)
        return Delta("tool_arguments", piece, call.index, call.id, call.name) if piece else None


def _place(event: JsonDict) -> object:
    """Return what tells one item of the output from another: its id, since some servers give no index."""
    item = event.get("item") or {}
    return event.get("item_id") or item.get("id") or event["output_index"]


def decode_responses(body: bytes, origin: Origin, *, seed: bytes = b"", price: Price | None = None) -> ModelResponse:
    """Return the reply in the body of a response.

    Raises:
        ModelError: If it is an error.
        MalformedReply: If it is no reply of the protocol.
    """
    try:
        value = load(body)
    except JsonDecodeError:
        raise malformed("a body that is no JSON", body, origin) from None
    try:
        return reply_from(value, origin, seed=seed, price=price)
    except WRONG_SHAPE:
        raise malformed("a reply of another shape than the protocol's", body, origin) from None


def reply_from(value: JsonDict, origin: Origin, *, seed: bytes = b"", price: Price | None = None) -> ModelResponse:
    """Return the reply in a response object.

    Raises:
        ModelError: If the response failed.
    """
    if value.get("error"):
        raise error_from_value(value["error"], origin)
    status = value.get("status", "completed")
    if status in {"failed", "cancelled"}:
        raise error_from_value({"message": f"the response was {status}", "code": "server_error"}, origin)
    output = value["output"]
    parts: list[Part] = []
    refused = False
    for item in output:
        refused = _add_item(parts, item, origin, seed) or refused
    reason = (value.get("incomplete_details") or {}).get("reason")
    if reason == "content_filter" and not parts:
        raise ContentRefused(f"{origin.provider} refused the answer", provider=origin.provider, model=origin.model)
    own: JsonDict = {"response_id": value["id"]} if value.get("id") else {}
    if any(item.get("type") not in _KNOWN for item in output):
        own["output"] = output  # items that have no part of ours go back as they came
    return ModelResponse(
        message=Message("assistant", tuple(parts), provider_data={origin.provider: own} if own else {}),
        stop_reason=_stop_reason(reason, parts, refused=refused),
        usage=usage_from(value.get("usage"), price),
        model=value.get("model") or origin.model,
        response_id=value.get("id"),
    )


def _stop_reason(reason: str | None, parts: list[Part], *, refused: bool) -> StopReason:
    if reason:
        return _INCOMPLETE.get(reason, StopReason.OTHER)
    if refused:
        return StopReason.REFUSAL
    return StopReason.TOOL_CALLS if any(isinstance(part, ToolCall) for part in parts) else StopReason.STOP


def _add_item(parts: list[Part], item: JsonDict, origin: Origin, seed: bytes) -> bool:
    """Add what *item* says to *parts*, and say whether it is a refusal."""
    match item.get("type"):
        case "message":
            return _add_message(parts, item["content"])
        case "reasoning":
            parts += _reasoning(item, origin)
        case "function_call":
            index = sum(isinstance(part, ToolCall) for part in parts)
            call_id = item.get("call_id") or mint_call_id(seed, index, item["name"])
            parts.append(ToolCall(call_id, item["name"], item["arguments"] or "{}"))
        case "image_generation_call":
            image = media_from_base64(item.get("result"), item.get("output_format") or "png", name=item.get("id"))
            parts += [image] if image is not None else []
    return False


def _add_message(parts: list[Part], content: list[JsonDict]) -> bool:
    refused = False
    for piece in content:
        if piece["type"] == "refusal":
            refused = True
        text = piece.get("text") or piece.get("refusal") or ""
        if text:
            parts.append(Text(text))
        parts += [
            Citation(
                source=note.get("url") or note.get("file_id"),
                title=note.get("title") or note.get("filename"),
                start=note.get("start_index"),
                end=note.get("end_index"),
            )
            for note in piece.get("annotations") or ()
        ]
    return refused


def _reasoning(item: JsonDict, origin: Origin) -> list[Reasoning]:
    """Return a part for each summary; the first one carries what is encrypted."""
    pieces = item.get("summary") or item.get("content") or [{"text": ""}]
    signature = item.get("encrypted_content")
    if not signature and not any(piece.get("text") for piece in pieces):
        return []
    return [
        Reasoning(
            piece.get("text") or "",
            signature=signature if index == 0 else None,
            id=item.get("id"),
            provider=origin.provider,
        )
        for index, piece in enumerate(pieces)
    ]
