"""Chat Completions: replies from bytes, whole or in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from attrs import define, field

from ergaster.contracts.model import Delta, ModelResponse
from ergaster.messages import Citation, Message, Part, Reasoning, StopReason, Text, ToolCall
from ergaster_support_openai_wire._calls import mint_call_id
from ergaster_support_openai_wire._deltas import join_deltas
from ergaster_support_openai_wire._details import merge_details
from ergaster_support_openai_wire._json import WRONG_SHAPE, JsonDecodeError, dump, load
from ergaster_support_openai_wire._media import image_from_url, media_from_base64
from ergaster_support_openai_wire.errors import Origin, error_from_value, malformed
from ergaster_support_openai_wire.quirks import DEFAULT_QUIRKS, Quirks
from ergaster_support_openai_wire.sse import SseSplitter
from ergaster_support_openai_wire.usage import Price, usage_from

__all__ = ["ChatDecoder", "decode_chat"]

JsonDict: TypeAlias = dict[str, Any]
"""A parsed object of the wire; its values are whatever the server sent."""

_STOP = {
    "stop": StopReason.STOP,
    "eos": StopReason.STOP,
    "length": StopReason.LENGTH,
    "tool_calls": StopReason.TOOL_CALLS,
    "function_call": StopReason.TOOL_CALLS,
    "content_filter": StopReason.REFUSAL,
}


@define
class _Call:
    """A tool call that is being put together."""

    id: str
    name: str
    pieces: list[str] = field(factory=list)


@define(eq=False)
class ChatDecoder:
    """Puts a streamed reply together.

    Attributes:
        origin: Who answers, for errors.
        quirks: How the server differs.
        seed: The request's body, from which missing call ids are minted.
        price: The model's price, if known.
        audio_format: The format of sound that was asked for.
    """

    origin: Origin
    quirks: Quirks = DEFAULT_QUIRKS
    seed: bytes = field(default=b"", repr=False)
    price: Price | None = None
    audio_format: str = "pcm16"
    done: bool = field(default=False, init=False)
    _splitter: SseSplitter = field(factory=SseSplitter, init=False)
    _seen: bytes = field(default=b"", init=False)
    _texts: list[str] = field(factory=list, init=False)
    _thoughts: list[str] = field(factory=list, init=False)
    _calls: list[_Call] = field(factory=list, init=False)
    _places: dict[object, int] = field(factory=dict, init=False)
    _given: dict[int, str | None] = field(factory=dict, init=False)
    _media: list[JsonDict] = field(factory=list, init=False)
    _audio: JsonDict = field(factory=dict, init=False)
    _annotations: list[JsonDict] = field(factory=list, init=False)
    _details: list[JsonDict] = field(factory=list, init=False)
    _usage: JsonDict | None = field(default=None, init=False)
    _head: JsonDict = field(factory=dict, init=False)
    _finish_reason: str | None = field(default=None, init=False)
    _refused: bool = field(default=False, init=False)

    @property
    def is_complete(self) -> bool:
        """Whether the answer has ended, so that a cut behind it loses nothing of it."""
        return self.done or self._finish_reason is not None

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
        if not self.is_complete or not (self._finish_reason or self._texts or self._calls or self._media or self._audio):
            raise malformed("a stream that ended before the reply did", b"" if self._head else self._seen, self.origin)
        audio = self._audio
        message: JsonDict = {
            "content": "".join(self._texts),
            "reasoning": "".join(self._thoughts),
            "images": self._media,
            "annotations": self._annotations,
            "reasoning_details": self._details,
            "audio": {**audio, "data": "".join(audio["data"]), "transcript": None} if audio else None,
        }
        calls = [(call.id, call.name, "".join(call.pieces)) for call in self._calls]
        return _response(self, self._head, message, calls, self._finish_reason, self._usage, refused=self._refused)

    def _pieces(self, events: Iterable[tuple[bytes, bytes]], *, at_end: bool = False) -> Iterable[Delta]:
        for name, data in events:
            if data == b"[DONE]":
                self.done = True
                continue
            yield from self._event(name, data, at_end)

    def _event(self, name: bytes, data: bytes, at_end: bool) -> Iterable[Delta]:
        try:
            event = load(data)
        except JsonDecodeError:
            if at_end:
                return ()  # half an event at the end: finish() tells whether anything is missing
            raise malformed("an event that is no JSON", data, self.origin) from None
        if not isinstance(event, dict):
            raise malformed("an event that is no object", data, self.origin)
        if event.get("error") or name == b"error":
            raise error_from_value(event.get("error") or event, self.origin)
        if (usage := event.get("usage")) is not None:
            self._usage = usage
        if not self._head:
            self._head = {"id": event.get("id"), "model": event.get("model")}
        choices = event.get("choices")
        if not choices:
            return ()
        choice = choices[0]
        if reason := choice.get("finish_reason"):
            self._finish_reason = reason
        delta = choice.get("delta")
        if not delta:
            return ()
        content = delta.get("content")
        if content and type(content) is str and (len(delta) == 1 or (len(delta) == 2 and "role" in delta)):
            self._texts.append(content)
            return (Delta("text", content),)
        return self._delta(delta)

    def _delta(self, delta: JsonDict) -> Iterable[Delta]:
        deltas: list[Delta] = []
        if thought := _first_text(delta, self.quirks.reasoning_field):
            self._thoughts.append(thought)
            deltas.append(Delta("reasoning", thought))
        if text := _text(delta.get("content")):
            self._texts.append(text)
            deltas.append(Delta("text", text))
        if refusal := _text(delta.get("refusal")):
            self._refused = True
            self._texts.append(refusal)
            deltas.append(Delta("text", refusal))
        for piece in delta.get("tool_calls") or ():
            deltas.extend(self._tool_call(piece))
        self._media.extend(delta.get("images") or ())
        self._annotations.extend(delta.get("annotations") or ())
        self._details.extend(delta.get("reasoning_details") or ())
        if audio := delta.get("audio"):
            deltas.extend(self._sound(audio))
        return deltas

    def _tool_call(self, piece: JsonDict) -> Iterable[Delta]:
        function = piece.get("function") or {}
        arguments = function.get("arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = dump(arguments)
        index = self._place(piece, function)
        call = self._calls[index]
        if not arguments:
            return ()
        call.pieces.append(arguments)
        return (Delta("tool_arguments", arguments, index, call.id, call.name),)

    def _place(self, piece: JsonDict, function: JsonDict) -> int:
        """Return which call a piece belongs to: by its index, or by its id where servers give no or wrong indexes."""
        given, name, key = piece.get("id"), function.get("name"), piece.get("index")
        place: int | None = self._places.get(key)
        if key is None:
            place = len(self._calls) - 1 if self._calls and not name else None
        if place is not None and name and given and self._given.get(place) not in {None, given}:
            place = None
        if place is None:
            place = len(self._calls)
            taken = {call.id for call in self._calls}
            call_id = given if given and given not in taken else mint_call_id(self.seed, place, name or "")
            self._calls.append(_Call(call_id, name or ""))
            self._given[place] = given
        elif name and not self._calls[place].name:
            self._calls[place].name = name
        self._places[key] = place
        return place

    def _sound(self, audio: JsonDict) -> Iterable[Delta]:
        known = self._audio
        known.setdefault("data", [])
        if data := audio.get("data"):
            known["data"].append(data)
        known.update({key: audio[key] for key in ("id", "expires_at") if audio.get(key)})
        transcript = audio.get("transcript")
        if transcript:
            self._texts.append(transcript)
            return (Delta("text", transcript),)
        return ()


def decode_chat(
    body: bytes,
    origin: Origin,
    *,
    quirks: Quirks = DEFAULT_QUIRKS,
    seed: bytes = b"",
    price: Price | None = None,
    audio_format: str = "wav",
) -> ModelResponse:
    """Return the reply in the body of a response.

    Raises:
        ModelError: If it is an error.
        MalformedReply: If it is no reply of the protocol.
    """
    try:
        value = load(body)
    except JsonDecodeError:
        raise malformed("a body that is no JSON", body, origin) from None
    if isinstance(value, dict) and value.get("error"):
        raise error_from_value(value["error"], origin)
    try:
        choice = value["choices"][0]
        message = choice["message"]
        calls = _with_ids([_whole_call(call) for call in message.get("tool_calls") or ()], seed)
        decoder = ChatDecoder(origin, quirks, seed, price, audio_format)
        return _response(decoder, value, message, calls, choice.get("finish_reason"), value.get("usage"))
    except WRONG_SHAPE:
        raise malformed("a reply without a choice, or of another shape than the protocol's", body, origin) from None


def _whole_call(call: JsonDict) -> tuple[str, str, str]:
    function = call["function"]
    arguments = function.get("arguments")
    return call.get("id") or "", function["name"], arguments if isinstance(arguments, str) else dump(arguments or {})


def _with_ids(calls: list[tuple[str, str, str]], seed: bytes) -> list[tuple[str, str, str]]:
    taken: set[str] = set()
    complete = []
    for index, (given, name, arguments) in enumerate(calls):
        call_id = given if given and given not in taken else mint_call_id(seed, index, name)
        taken.add(call_id)
        complete.append((call_id, name, arguments))
    return complete


def _response(
    decoder: ChatDecoder,
    head: JsonDict,
    message: JsonDict,
    calls: list[tuple[str, str, str]],
    finish_reason: str | None,
    usage: JsonDict | None,
    *,
    refused: bool = False,
) -> ModelResponse:
    origin = decoder.origin
    parts: list[Part] = []
    thought = _first_text(message, (*decoder.quirks.reasoning_field, "reasoning"))
    if thought:
        parts.append(Reasoning(thought, provider=origin.provider))
    text = _text(message.get("content"))
    if refusal := message.get("refusal"):
        text, refused = text + refusal, True
    audio = message.get("audio") or {}
    text = text or audio.get("transcript") or ""
    if text:
        parts.append(Text(text))
    parts += [ToolCall(call_id, name, arguments or "{}") for call_id, name, arguments in calls]
    parts += _media(message, audio, decoder.audio_format)
    parts += [_citation(annotation) for annotation in message.get("annotations") or ()]
    return ModelResponse(
        message=Message(
            "assistant",
            tuple(parts),
            provider_data=_own_data(decoder, message, audio),
        ),
        stop_reason=_stop_reason(finish_reason, has_calls=bool(calls), refused=refused),
        usage=usage_from(usage, decoder.price),
        model=head.get("model") or origin.model,
        response_id=head.get("id"),
    )


def _own_data(decoder: ChatDecoder, message: JsonDict, audio: JsonDict) -> JsonDict:
    """Return what the provider wants back verbatim in the next request."""
    own: JsonDict = {"audio_id": audio["id"]} if audio.get("id") else {}
    if decoder.quirks.reasoning_details and message.get("reasoning_details"):
        own["reasoning_details"] = merge_details(message["reasoning_details"])
    return {decoder.origin.provider: own} if own else {}


def _stop_reason(reason: str | None, *, has_calls: bool, refused: bool) -> StopReason:
    if refused:
        return StopReason.REFUSAL
    stop = _STOP.get(reason, StopReason.OTHER) if reason else StopReason.STOP
    # Some servers say `stop` behind tool calls.
    return StopReason.TOOL_CALLS if has_calls and stop is StopReason.STOP else stop


def _media(message: JsonDict, audio: JsonDict, audio_format: str) -> list[Part]:
    found = [image_from_url((image.get("image_url") or {}).get("url")) for image in message.get("images") or ()]
    sound = media_from_base64(audio.get("data"), audio_format)
    return [media for media in (*found, sound) if media is not None]


def _citation(annotation: JsonDict) -> Citation:
    facts = annotation.get("url_citation") or annotation
    return Citation(
        facts.get("content") or "",
        source=facts.get("url") or facts.get("file_id"),
        title=facts.get("title") or facts.get("filename"),
        start=facts.get("start_index"),
        end=facts.get("end_index"),
    )


def _first_text(message: Mapping[str, Any], names: Iterable[str]) -> str:
    for name in names:
        value = message.get(name)
        if value and isinstance(value, str):
            return value
    return ""


def _text(content: object) -> str:
    """Return the text of a content, which some servers send as a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return ""
