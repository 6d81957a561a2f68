"""The model kit passes a good model and catches each broken one."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from itertools import product
from typing import Any

import attrs
import pytest

from ergaster.contracts.model import NO_SETTINGS, Delta, Model, ModelRequest, ModelResponse, ToolSpec
from ergaster.errors import AuthenticationFailed, BadRequest, MalformedReply, ModelError, ProviderUnavailable
from ergaster.messages import Media, Message, StopReason, Text, ToolCall, Usage
from ergaster.refs import parse_ref
from ergaster.testing.loopback import LoopbackServer
from ergaster.testing.model import KEY, ModelContract

wire = pytest.importorskip("ergaster_support_openai_wire", reason="the models that the kit is tried on speak its protocol")
http = pytest.importorskip("ergaster_support_http")

PATIENCE = 1.0
"""Seconds after which a broken model that hangs counts as caught."""

GOOD = wire.CompatibleProvider("good", base_url="http://127.0.0.1:9/v1", key_required=False)


def good(base_url: str, **options: Any) -> Model:
    return GOOD(parse_ref("good:model-1"), wire.CompatibleSettings(base_url=base_url, api_key=KEY, **options))


def same(value: Any) -> Any:
    return value


@attrs.define(eq=False, repr=False)
class Bent(Model):
    """A good model with a dent: each field is where one may be."""

    inner: Model
    request: Callable[[ModelRequest], ModelRequest] = same
    reply: Callable[[ModelResponse], ModelResponse] = same
    streamed: Callable[[ModelResponse], ModelResponse] = same
    delta: Callable[[Delta], Delta | None] = same
    error: Callable[[ModelError], Exception | ModelResponse] = same

    def __attrs_post_init__(self) -> None:
        self.provider, self.name, self.capabilities = self.inner.provider, self.inner.name, self.inner.capabilities

    async def generate(self, request: ModelRequest) -> ModelResponse:
        try:
            return self.reply(await self.inner.generate(self.request(request)))
        except ModelError as error:
            outcome = self.error(error)
        if isinstance(outcome, ModelResponse):
            return outcome
        raise outcome

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        try:
            async with aclosing(self.inner.stream(self.request(request))) as stream:  # type: ignore[type-var]
                async for item in stream:
                    if isinstance(item, ModelResponse):
                        yield self.streamed(self.reply(item))
                    elif (bent := self.delta(item)) is not None:
                        yield bent
            return
        except ModelError as error:
            outcome = self.error(error)
        if not isinstance(outcome, ModelResponse):
            raise outcome
        yield outcome

    async def close(self) -> None:
        await self.inner.close()


def bent(**dents: Any) -> Callable[..., Model]:
    return lambda base_url, **options: Bent(good(base_url, **options), **dents)


def parts(change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Callable[[ModelResponse], ModelResponse]:
    """Return a dent in the parts of a reply."""
    return lambda reply: attrs.evolve(reply, message=attrs.evolve(reply.message, parts=change(reply.message.parts)))


def texts(change: Callable[[str], str]) -> Callable[[ModelResponse], ModelResponse]:
    return parts(lambda all_: tuple(Text(change(part.text)) if isinstance(part, Text) else part for part in all_))


def calls(change: Callable[[ToolCall], ToolCall]) -> Callable[[ModelResponse], ModelResponse]:
    return parts(lambda all_: tuple(change(part) if isinstance(part, ToolCall) else part for part in all_))


def messages(change: Callable[[tuple[Message, ...]], tuple[Message, ...]]) -> Callable[[ModelRequest], ModelRequest]:
    return lambda request: attrs.evolve(request, messages=change(request.messages))


def first_call_only(all_: tuple[Any, ...]) -> tuple[Any, ...]:
    found = [part for part in all_ if isinstance(part, ToolCall)]
    return tuple(part for part in all_ if part not in found[1:])


def in_ascii(request: ModelRequest) -> ModelRequest:
    for message in request.messages:
        message.text.encode()
    return request


def without_media(message: Message) -> Message:
    return attrs.evolve(message, parts=tuple(part for part in message.parts if not isinstance(part, Media)))


def empty_reply(error: ModelError) -> ModelResponse:
    return ModelResponse(message=Message("assistant", ""))


def claiming(inner: Callable[..., Model], **claims: bool) -> Callable[..., Model]:
    def make(base_url: str, **options: Any) -> Model:
        model = inner(base_url, **options)
        model.capabilities = attrs.evolve(model.capabilities, **claims)
        return model

    return make


def needs_text(reply: ModelResponse) -> ModelResponse:
    if not reply.message.parts:
        raise MalformedReply("nothing was said")
    return reply


class Retrying(Bent):
    async def generate(self, request: ModelRequest) -> ModelResponse:
        try:
            return await self.inner.generate(request)
        except ProviderUnavailable:
            return await self.inner.generate(request)


class Late(Bent):
    """Gives a stream when all of it is there."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        for item in [item async for item in self.inner.stream(request)]:
            yield item


class OneAtATime(Bent):
    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._lock = asyncio.Lock()

    async def generate(self, request: ModelRequest) -> ModelResponse:
        async with self._lock:
            return await self.inner.generate(request)

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        async with self._lock:
            async for item in self.inner.stream(request):
                yield item


class Wasteful(Bent):
    """Opens a connection for every call."""

    async def generate(self, request: ModelRequest) -> ModelResponse:
        reply = await self.inner.generate(request)
        await self.inner.close()
        return reply


class Deaf(Bent):
    """Goes on with what was cancelled."""

    async def generate(self, request: ModelRequest) -> ModelResponse:
        self.task = asyncio.ensure_future(self.inner.generate(request))
        self.task.add_done_callback(lambda task: task.exception())  # nobody else will look
        return await asyncio.shield(self.task)

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        queue: asyncio.Queue[Any] = asyncio.Queue()

        async def pump() -> None:
            async for item in self.inner.stream(request):
                queue.put_nowait(item)

        self.task = asyncio.ensure_future(pump())
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        while True:
            yield await queue.get()


class Mortal(Bent):
    """Is of no use once it was closed."""

    closed = False

    async def generate(self, request: ModelRequest) -> ModelResponse:
        assert not self.closed
        return await self.inner.generate(request)

    async def close(self) -> None:
        self.closed = True
        await self.inner.close()


class Loyal(Bent):
    """Serves one event loop only."""

    loop: asyncio.AbstractEventLoop | None = None

    async def generate(self, request: ModelRequest) -> ModelResponse:
        self.loop = self.loop or asyncio.get_running_loop()
        assert self.loop is asyncio.get_running_loop()
        return await self.inner.generate(request)


class Talkative(Bent):
    def __repr__(self) -> str:
        return f"<model with the key {KEY}>"


class Blocking(Bent):
    async def generate(self, request: ModelRequest) -> ModelResponse:
        time.sleep(0.6)
        return await self.inner.generate(request)


class Nameless(Bent):
    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.provider = ""


def of(kind: type[Bent]) -> Callable[..., Model]:
    return lambda base_url, **options: kind(good(base_url, **options))


class Following(http.AiohttpTransport):
    """Follows redirects, key in hand."""

    async def send(self, request: Any) -> Any:
        response = await super().send(request)
        if 300 <= response.status < 400:
            return await super().send(attrs.evolve(request, url=response.headers["location"]))
        return response


class Pedantic(wire.ChatCodec):
    """Takes no end for an end but the marked one."""

    def decoder(self, origin: Any, *, seed: bytes = b"") -> Any:
        decoder = super().decoder(origin, seed=seed)
        finish = decoder.finish

        def strict() -> ModelResponse:
            if not decoder.done:
                raise MalformedReply("no end")
            return finish()

        class Strict:
            feed, is_complete = staticmethod(decoder.feed), False
            finish = staticmethod(strict)
            done = property(lambda self: decoder.done)

        return Strict()


def pedantic(base_url: str, **options: Any) -> Model:
    endpoint = wire.Endpoint(base_url=base_url, key_required=False)
    codec, transport = Pedantic(wire.ChatEncoder("good", "model-1")), http.AiohttpTransport()
    claims = codec.encoder.capabilities
    return wire.WireModel("good", "model-1", codec=codec, endpoint=endpoint, transport=transport, capabilities=claims)


def kit_of(make: Callable[..., Model], **attributes: Any) -> type[ModelContract]:
    return type(
        "Kit", (ModelContract,), {**attributes, "make_model": lambda self, base_url, **options: make(base_url, **options)}
    )


def spoken(error: ModelError) -> ModelError:
    return type(error)(f"{error} {KEY}", can_retry=error.can_retry)


def silent(error: ModelError) -> ModelError:
    return type(error)("no")


def impatient(error: ModelError) -> ModelError:
    error.retry_after = None
    return error


FAKE = ToolSpec("fake", "", {"type": "object"})
MUTANTS: Mapping[str, list[type[ModelContract]]] = {
    name: [make if isinstance(make, type) else kit_of(make) for make in makers]
    for name, makers in {
        "test_generate_gives_the_text": [bent(reply=texts(str.upper)), bent(reply=lambda r: attrs.evolve(r, model=""))],
        "test_what_is_asked_arrives": [bent(request=messages(lambda all_: all_[1:]))],
        "test_unicode_survives_both_ways": [bent(reply=texts(lambda text: text.encode("ascii", "replace").decode()))],
        "test_a_lone_surrogate_does_not_break_the_call": [bent(request=in_ascii)],
        "test_a_megabyte_goes_both_ways": [bent(reply=texts(lambda text: text[:1_000_000]))],
        "test_an_empty_answer_is_an_answer": [bent(reply=needs_text)],
        "test_a_stream_gives_the_pieces_and_then_the_reply": [
            bent(delta=lambda delta: None),
            bent(streamed=texts(lambda text: text[1:])),
        ],
        "test_pieces_arrive_before_the_end": [of(Late)],
        "test_the_streamed_reply_equals_the_whole_one": [bent(streamed=lambda reply: attrs.evolve(reply, usage=Usage()))],
        "test_tools_are_offered": [bent(request=lambda r: attrs.evolve(r, tools=(*r.tools[:1], FAKE)))],
        "test_parallel_tool_calls_come_in_order": [bent(reply=parts(first_call_only))],
        "test_argument_pieces_join_to_the_arguments": [bent(delta=lambda delta: Delta(delta.kind, delta.text, 0))],
        "test_a_call_without_an_id_gets_one": [bent(reply=calls(lambda call: attrs.evolve(call, id="")))],
        "test_arguments_stay_as_the_model_wrote_them": [
            bent(reply=calls(lambda call: attrs.evolve(call, arguments=json.dumps(json.loads(call.arguments))))),
            kit_of(bent(reply=calls(lambda call: attrs.evolve(call, arguments="{}"))), arguments_as_objects=True),
        ],
        "test_a_tool_result_is_sent_back_with_its_call": [
            bent(request=messages(lambda all_: tuple(one for one in all_ if one.role != "tool")))
        ],
        "test_usage_is_counted": [bent(reply=lambda reply: attrs.evolve(reply, usage=Usage()))],
        "test_the_reason_to_stop_is_told": [bent(reply=lambda reply: attrs.evolve(reply, stop_reason=StopReason.STOP))],
        "test_a_refusal_is_told": [bent(reply=lambda reply: attrs.evolve(reply, stop_reason=StopReason.STOP))],
        "test_settings_are_sent_and_win_over_the_models_own": [
            bent(request=lambda request: attrs.evolve(request, settings=NO_SETTINGS)),
        ],
        "test_temperature_is_as_claimed": [
            bent(request=lambda request: attrs.evolve(request, settings=NO_SETTINGS)),
            kit_of(bent(), sampling=False),
        ],
        "test_schema_output_is_as_claimed": [
            claiming(bent(), schema_output=False),
            bent(request=lambda request: attrs.evolve(request, output_schema=None)),
        ],
        "test_tools_are_as_claimed": [lambda base_url, tools=True, **options: good(base_url, **options)],
        "test_media_are_as_claimed": [
            claiming(lambda base_url, **options: Bent(good(base_url, images=True)), images=False),
            claiming(bent(request=messages(lambda all_: tuple(map(without_media, all_)))), images=True),
        ],
        "test_errors_have_their_class": [bent(error=lambda error: BadRequest(str(error)))],
        "test_one_call_is_one_try": [of(Retrying)],
        "test_an_error_carries_retry_after": [bent(error=impatient)],
        "test_the_advice_names_the_key": [bent(error=silent)],
        "test_an_unknown_model_gets_a_next_step": [bent(error=silent)],
        "test_a_server_that_says_nothing_is_given_up": [
            bent(request=lambda request: attrs.evolve(request, settings=NO_SETTINGS))
        ],
        "test_a_server_that_is_not_there_is_unavailable": [bent(error=lambda error: AuthenticationFailed(str(error)))],
        "test_a_malformed_reply_is_an_error": [bent(error=empty_reply)],
        "test_a_broken_stream_raises_and_yields_no_reply": [bent(error=empty_reply)],
        "test_a_null_answer_is_an_answer_or_an_error": [bent(reply=parts(lambda all_: (Text("None"),)))],
        "test_an_end_without_a_mark_is_an_end": [pedantic],
        "test_redirects_are_not_followed": [lambda base_url, **options: good(base_url, transport=Following(), **options)],
        "test_errors_do_not_show_the_key": [bent(error=spoken)],
        "test_absurd_settings_are_refused_before_the_call": [
            bent(request=lambda request: attrs.evolve(request, settings=NO_SETTINGS))
        ],
        "test_a_prompt_of_a_hundred_megabytes_is_refused_before_the_call": [
            bent(request=messages(lambda all_: (Message("user", "x"),)))
        ],
        "test_ten_thousand_pictures_are_refused_before_the_call": [
            bent(request=messages(lambda all_: tuple(map(without_media, all_))))
        ],
        "test_a_request_without_messages_is_refused": [bent(request=messages(lambda all_: (Message("user", "x"),)))],
        "test_many_calls_run_at_once": [of(OneAtATime)],
        "test_many_streams_run_at_once": [of(OneAtATime)],
        "test_calls_in_turn_share_a_connection": [of(Wasteful)],
        "test_a_cancelled_call_closes_its_connection": [of(Deaf)],
        "test_a_cancelled_stream_closes_its_connection": [of(Deaf)],
        "test_a_stream_that_is_left_closes_its_connection": [of(Deaf)],
        "test_a_model_works_after_a_failure_and_after_closing": [of(Mortal)],
        "test_a_model_serves_two_event_loops_in_turn": [of(Loyal)],
        "test_nobody_sees_the_key": [of(Talkative)],
        "test_a_call_leaves_the_loop_free": [of(Blocking)],
        "test_nothing_heavy_is_loaded_before_the_first_call": [
            kit_of(good, ref="openai_compatible:model-1", heavy=frozenset({"attrs"}))
        ],
        "test_the_model_says_who_it_is": [of(Nameless)],
        "test_no_test_of_the_kit_is_overridden": [kit_of(good, test_usage_is_counted=lambda self: None)],
    }.items()
}


def cases_of(test: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Yield the arguments of each case of a parametrised test; one empty set for any other."""
    tables = []
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            names, rows = mark.args
            names = [names] if isinstance(names, str) else names
            tables.append([dict(zip(names, row if len(names) > 1 else [row], strict=True)) for row in rows])
    for combination in product(*tables):
        yield {name: value for row in combination for name, value in row.items()}


async def run_case(kit: type[ModelContract], name: str, arguments: Mapping[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Run one case of a test of a kit as pytest would."""
    test = getattr(kit(), name)
    with LoopbackServer() as server:
        server.patience = PATIENCE
        fixtures: dict[str, Any] = {"server": server, "caplog": caplog}
        wanted = set(inspect.signature(test).parameters)
        if "model" in wanted:
            fixtures["model"] = kit().make_model(server.base_url)
        given = {**{name: fixtures[name] for name in wanted & set(fixtures)}, **arguments}
        try:
            if inspect.iscoroutinefunction(test):
                await asyncio.wait_for(test(**given), 4 * PATIENCE)
            else:
                await asyncio.to_thread(test, **given)
        finally:
            if "model" in fixtures:
                await fixtures["model"].close()


async def is_caught(kit: type[ModelContract], name: str, caplog: pytest.LogCaptureFixture) -> bool:
    for arguments in cases_of(getattr(kit, name)):
        try:
            await run_case(kit, name, arguments, caplog)
        except (Exception, pytest.fail.Exception):  # boundary: whatever makes a test fail has caught the mutant
            return True
    return False


def test_every_promise_has_a_mutant():
    promises = {name for base in ModelContract.__mro__ for name in vars(base) if name.startswith("test_")}

    assert promises == set(MUTANTS)


@pytest.mark.parametrize(
    ("name", "kit"),
    [pytest.param(name, kit, id=f"{name}-{index}") for name, kits in MUTANTS.items() for index, kit in enumerate(kits)],
)
async def test_kit_catches(name: str, kit: type[ModelContract], caplog: pytest.LogCaptureFixture):
    assert await is_caught(kit, name, caplog)


@pytest.mark.parametrize("name", sorted(set(MUTANTS) - {"test_nothing_heavy_is_loaded_before_the_first_call"}))
async def test_kit_passes_a_good_model(name: str, caplog: pytest.LogCaptureFixture):
    assert not await is_caught(kit_of(bent()), name, caplog)
