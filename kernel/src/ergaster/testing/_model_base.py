"""What the parts of the kit for models share: the server, the model, and ways to look at what was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import ClassVar

import pytest

from ergaster.contracts.model import Delta, Model, ModelRequest, ModelResponse, ModelSettings, ToolSpec
from ergaster.messages import Json, Message
from ergaster.testing.contract import Contract
from ergaster.testing.loopback import LoopbackServer

__all__ = ["ADD", "KEY", "NOW", "ModelKit", "ask", "collect", "request_with", "values_in"]

KEY = "sk-loopback-4f1d0c9b8a7e6f5d"
"""The key that every model of the kit is given, and that nothing but the wire may show."""

ADD = ToolSpec(
    "add",
    "Add two numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
NOW = ToolSpec("now", "Say what time it is.", {"type": "object", "properties": {}, "additionalProperties": False})


def ask(text: str = "Hello", **settings: object) -> ModelRequest:
    """Return a request with one question."""
    chosen = ModelSettings(**settings)  # type: ignore[arg-type]  # some tests ask for what has no such type
    return ModelRequest(messages=(Message("user", text),), settings=chosen)


def request_with(*messages: Message, tools: tuple[ToolSpec, ...] = ()) -> ModelRequest:
    """Return a request with a whole conversation."""
    return ModelRequest(messages=messages, tools=tools)


async def collect(model: Model, request: ModelRequest) -> tuple[list[Delta], list[ModelResponse]]:
    """Return the pieces of a stream and the replies that ended it, of which there should be one."""
    deltas: list[Delta] = []
    replies: list[ModelResponse] = []
    async for item in model.stream(request):
        if isinstance(item, ModelResponse):
            replies.append(item)
        else:
            assert not replies, "a stream goes on behind its reply"
            deltas.append(item)
    return deltas, replies


def values_in(body: Json) -> Iterator[Json]:
    """Yield every value in a JSON document that is neither a list nor an object."""
    if isinstance(body, dict):
        body = list(body.values())
    if isinstance(body, list):
        for value in body:
            yield from values_in(value)
    else:
        yield body


class ModelKit(Contract):
    """The fixtures of the kit; a test class gives `ref`, or overrides `make_model`."""

    ref: ClassVar[str] = ""
    sampling: ClassVar[bool] = True
    """Whether the API takes a temperature; where it does not, asking for one is `Unsupported`."""
    arguments_as_objects: ClassVar[bool] = False
    """Whether the protocol carries a call's arguments as an object, so that a whole reply loses the way they were written."""

    def make_model(self, base_url: str, **options: object) -> Model:
        """Return the model under test, talking to *base_url* with the key `KEY`; *options* are more of its options."""
        from ergaster.plugins import PluginManager

        made = PluginManager().create("model", self.ref, {"base_url": base_url, "api_key": KEY, **options})
        assert isinstance(made, Model)
        return made

    def make_server(self) -> LoopbackServer:
        """Return the server that speaks the model's protocol."""
        return LoopbackServer()

    @pytest.fixture
    def server(self) -> Iterator[LoopbackServer]:
        with self.make_server() as server:
            yield server

    @pytest.fixture
    async def model(self, server: LoopbackServer) -> AsyncIterator[Model]:
        model = self.make_model(server.base_url)
        yield model
        await model.close()
