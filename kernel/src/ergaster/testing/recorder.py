"""Record what a model said, once, and replay it without the model.

Example:
    RecordingModel(model, "greeting.json") runs the real model and writes every call to the file;
    ReplayedModel("greeting.json") gives the same answers to the same requests, with no key and no network.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from attrs import define, evolve, field

from ergaster import errors
from ergaster.codec import decode, dump_json, encode, load_json
from ergaster.contracts.model import Capabilities, Delta, Model, ModelRequest, ModelResponse
from ergaster.errors import ErgasterError, InvalidInput, ModelError
from ergaster.messages import Json, JsonObject

__all__ = ["RecordingModel", "ReplayedModel"]

_VERSION = 1
_ERROR_FACTS = ("provider", "model", "status", "retry_after", "request_id", "can_retry")


@define(eq=False, repr=False)
class RecordingModel(Model):
    """Passes every call on to a model and writes it to a JSON file, which begins anew.

    Headers of a request are left out, since they may hold keys; everything else is written as it is.

    Attributes:
        model: The model that answers.
        path: The file; it is complete after each call.
    """

    model: Model
    path: Path = field(converter=Path)
    calls: list[JsonObject] = field(factory=list, init=False)

    @property
    def provider(self) -> str:  # type: ignore[override]  # what it wraps decides
        """The wrapped model's provider."""
        return self.model.provider

    @property
    def name(self) -> str:  # type: ignore[override]  # what it wraps decides
        """The wrapped model's name."""
        return self.model.name

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # what it wraps decides
        """What the wrapped model can do."""
        return self.model.capabilities

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Ask the model and record its reply, or its error."""
        try:
            response = await self.model.generate(request)
        except ModelError as error:
            self._write(request, error=_describe(error))
            raise
        self._write(request, response=encode(response))
        return response

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Ask the model and record the pieces of its reply, or its error."""
        pieces: list[Json] = []
        try:
            async for item in self.model.stream(request):
                if isinstance(item, ModelResponse):
                    self._write(request, pieces=pieces, response=encode(item))
                else:
                    pieces.append(encode(item))
                yield item
        except ModelError as error:
            self._write(request, pieces=pieces, error=_describe(error))
            raise

    async def count_tokens(self, request: ModelRequest) -> int:
        """Ask the model; counts are not recorded."""
        return await self.model.count_tokens(request)

    async def close(self) -> None:
        """Close the model."""
        await self.model.close()

    def _write(self, request: ModelRequest, **outcome: Json) -> None:
        self.calls.append({"request": _plain(request), **outcome})
        head = {"version": _VERSION, "provider": self.provider, "name": self.name, "capabilities": encode(self.capabilities)}
        text = json.dumps({**head, "calls": self.calls}, indent=1, ensure_ascii=True)
        self.path.write_text(text + "\n", encoding="utf-8")


@define(eq=False, repr=False)
class ReplayedModel(Model):
    """Answers from a file that `RecordingModel` wrote: equal requests get equal replies, in the order they came.

    Attributes:
        path: The file; it is read when the model is made.

    Raises:
        InvalidInput: If the file is no recording of this version.
        ErgasterError: From a call, when the file has no reply, or no further reply, to the request.
    """

    path: Path = field(converter=Path)
    provider: str = field(init=False)
    name: str = field(init=False)
    capabilities: Capabilities = field(init=False)
    _replies: dict[str, list[JsonObject]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        recording = load_json(self.path.read_text(encoding="utf-8"))
        if not isinstance(recording, Mapping) or recording.get("version") != _VERSION:
            raise InvalidInput(f"{str(self.path)!r} is no recording that this version can read; record it again")
        self.provider, self.name = recording["provider"], recording["name"]
        self.capabilities = decode(recording["capabilities"], Capabilities)
        for call in recording["calls"]:
            self._replies.setdefault(dump_json(call["request"]), []).append(call)

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """Return the recorded reply, or raise the recorded error."""
        return _response(self._next(request))

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Yield the recorded pieces and the reply, or raise the recorded error behind them."""
        call = self._next(request)
        for piece in call.get("pieces", ()):
            yield decode(piece, Delta)
        yield _response(call)

    def _next(self, request: ModelRequest) -> JsonObject:
        replies = self._replies.get(dump_json(_plain(request)))
        if replies:
            return replies.pop(0)
        known = "was answered before" if replies == [] else f"is none of the {len(self._replies)} that were recorded"
        last = request.messages[-1].text[:80] if request.messages else ""
        raise ErgasterError(f"this request {known} in {str(self.path)!r}; record it again. It ends with {last!r}")


def _plain(request: ModelRequest) -> Json:
    return encode(evolve(request, settings=evolve(request.settings, extra_headers={}), model=None, retries=None))


def _describe(error: ModelError) -> JsonObject:
    facts = {name: getattr(error, name) for name in _ERROR_FACTS}
    return {"class": type(error).__name__, "message": str(error), "facts": facts}


def _response(call: JsonObject) -> ModelResponse:
    if "error" not in call:
        return decode(call["response"], ModelResponse)
    recorded = call["error"]
    kind = getattr(errors, recorded["class"], ModelError)
    if not (isinstance(kind, type) and issubclass(kind, ModelError)):
        raise InvalidInput(f"{recorded['class']!r} is no error of a model; record it again")
    raise kind(recorded["message"], **recorded["facts"])
