"""The kit for models, part two: how a model fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ergaster.contracts.model import Delta, Model, ModelResponse
from ergaster.errors import (
    AuthenticationFailed,
    BadRequest,
    ContentRefused,
    ContextOverflow,
    ErgasterError,
    MalformedReply,
    ModelError,
    ProviderUnavailable,
    RateLimited,
)
from ergaster.messages import Image, Message, Text
from ergaster.testing._model_base import KEY, ModelKit, ask, collect, request_with
from ergaster.testing.loopback import (
    Fault,
    LoopbackServer,
    Reply,
    cut_body,
    cut_stream,
    failing,
    hanging,
    html_page,
    rate_limited,
    raw_body,
    redirecting,
    stream_error,
)

__all__ = ["FailuresKit"]

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

BY_CLASS = {
    "401": (failing(401, code="invalid_api_key"), AuthenticationFailed, False),
    "403": (failing(403, code="permission_denied"), AuthenticationFailed, False),
    "404": (failing(404, code="model_not_found"), BadRequest, False),
    "400": (failing(400, kind="invalid_request_error"), BadRequest, False),
    "400 context": (failing(400, code="context_length_exceeded"), ContextOverflow, False),
    "400 content": (failing(400, code="content_filter"), ContentRefused, False),
    "413": (failing(413), ContextOverflow, False),
    "429": (failing(429, code="rate_limit_exceeded"), RateLimited, True),
    "429 quota": (failing(429, code="insufficient_quota"), RateLimited, False),
    "500": (failing(500), ProviderUnavailable, True),
    "503": (failing(503), ProviderUnavailable, True),
    "529": (failing(529, kind="overloaded_error"), ProviderUnavailable, True),
    "502 page": (html_page(502), ProviderUnavailable, True),
}
MALFORMED = {
    "a cut body": cut_body(),
    "a web page": html_page(),
    "cut JSON": raw_body(b'{"id": "x", "choices": [{"index": 0, "mess'),
    "no body": raw_body(b""),
    "null": raw_body(b"null"),
    "a list": raw_body(b"[]"),
    "a number": raw_body(b"17"),
    "no choices": raw_body({"id": "x", "choices": [], "output": None}),
    "another shape": raw_body({"id": "x", "choices": [{"message": "text"}], "output": [{"type": "message"}]}),
    "a list of numbers": raw_body({"id": "x", "choices": [1], "output": [1]}),
    "an error": raw_body({"error": {"message": "it broke", "code": 500}}),
    "no UTF-8": raw_body(b'{"id": "\xff\xfe'),
}
BROKEN_STREAMS = {
    "an end in the middle": cut_stream(4),
    "an end at once": cut_stream(0),
    "a reset": cut_stream(4, "reset"),
    "a reset at once": cut_stream(0, "reset"),
    "an error event": stream_error(),
    "a web page": html_page(),
    "no events": raw_body(b"", content_type="text/event-stream"),
    "half an event": raw_body(b'data: {"choices": [{"del', content_type="text/event-stream"),
    "events that are no JSON": raw_body(b"data: hello\n\n", content_type="text/event-stream"),
    "events that are no objects": raw_body(b"data: [1]\n\ndata: 7\n\n", content_type="text/event-stream"),
    "only the end": raw_body(b"data: [DONE]\n\n", content_type="text/event-stream"),
    "an error status": failing(503),
}
ABSURD: dict[str, dict[str, Any]] = {
    "temperature NaN": {"temperature": float("nan")},
    "temperature infinite": {"temperature": float("inf")},
    "temperature text": {"temperature": "NaN"},
    "temperature below zero": {"temperature": -1.0},
    "top_p NaN": {"top_p": float("nan")},
    "no tokens": {"max_tokens": 0},
    "a million replies": {"extra_body": {"n": 10**6}},
    "NaN in the body": {"extra_body": {"penalty": float("nan")}},
    "a header with a line break": {"extra_headers": {"x-a": "b\r\nx-c: d"}},
}


class FailuresKit(ModelKit):
    """Error classes, retry hints, cut and malformed replies, requests that are never sent."""

    @pytest.mark.parametrize("case", BY_CLASS)
    async def test_errors_have_their_class(self, server: LoopbackServer, model: Model, case: str) -> None:
        fault, expected, can_retry = BY_CLASS[case]
        server.say(fault, fault)

        with pytest.raises(ModelError) as whole:
            await model.generate(ask())
        with pytest.raises(ModelError) as streamed:
            await collect(model, ask())

        for error in (whole.value, streamed.value):
            assert expected is type(error)
            assert can_retry is error.can_retry
            assert (fault.status, model.provider, model.name) == (error.status, error.provider, error.model)
            assert error.request_id == "req-1"

    async def test_one_call_is_one_try(self, server: LoopbackServer, model: Model) -> None:
        server.say(failing(503), rate_limited(0))

        with pytest.raises(ProviderUnavailable):
            await model.generate(ask())
        with pytest.raises(RateLimited):
            await collect(model, ask())

        assert len(server.requests) == 2, "retries are the kernel's"

    @pytest.mark.parametrize(
        ("fault", "seconds"),
        [
            (rate_limited(3), 3.0),
            (rate_limited(0.5), 0.5),
            (rate_limited(-5), 0.0),
            (rate_limited(NOON + timedelta(seconds=90), now=NOON), 90.0),
            (rate_limited(NOON - timedelta(seconds=90), now=NOON), 0.0),
            (failing(503, retry_after="2"), 2.0),
            (failing(429, retry_after_ms="1500"), 1.5),
            (failing(429, retry_after="soon"), None),
            (failing(429, retry_after="nan"), None),
            (rate_limited(), None),
        ],
    )
    async def test_an_error_carries_retry_after(
        self, server: LoopbackServer, model: Model, fault: Fault, seconds: float | None
    ) -> None:
        server.say(fault)

        with pytest.raises(ModelError) as caught:
            await model.generate(ask())

        assert seconds == caught.value.retry_after

    async def test_the_advice_names_the_key(self, server: LoopbackServer, model: Model) -> None:
        server.say(failing(401))

        with pytest.raises(AuthenticationFailed, match="api_key"):
            await model.generate(ask())

    async def test_an_unknown_model_gets_a_next_step(self, server: LoopbackServer, model: Model) -> None:
        server.say(failing(404, message="no such model"))

        with pytest.raises(BadRequest, match=r"no such model.*model's name"):
            await model.generate(ask())

    async def test_a_server_that_says_nothing_is_given_up(self, server: LoopbackServer, model: Model) -> None:
        server.say(hanging(), hanging(), cut_stream(3, "hang"))

        with pytest.raises(ProviderUnavailable):
            await model.generate(ask(timeout=0.3))
        with pytest.raises(ProviderUnavailable):
            await collect(model, ask(timeout=0.3))
        with pytest.raises(ProviderUnavailable):
            await collect(model, ask(timeout=0.3))

    async def test_a_server_that_is_not_there_is_unavailable(self) -> None:
        with self.make_server() as server:
            address = server.base_url
        model = self.make_model(address)

        with pytest.raises(ProviderUnavailable) as caught:
            await model.generate(ask())
        await model.close()

        assert caught.value.can_retry

    @pytest.mark.parametrize("case", MALFORMED)
    async def test_a_malformed_reply_is_an_error(self, server: LoopbackServer, model: Model, case: str) -> None:
        server.say(MALFORMED[case])

        with pytest.raises((MalformedReply, ProviderUnavailable)) as caught:
            await model.generate(ask())

        assert caught.value.can_retry

    @pytest.mark.parametrize("case", BROKEN_STREAMS)
    async def test_a_broken_stream_raises_and_yields_no_reply(self, server: LoopbackServer, model: Model, case: str) -> None:
        server.say(BROKEN_STREAMS[case])
        deltas: list[Delta] = []
        replies: list[ModelResponse] = []

        async def read() -> None:
            async for item in model.stream(ask()):
                if isinstance(item, ModelResponse):
                    replies.append(item)
                else:
                    deltas.append(item)

        with pytest.raises((MalformedReply, ProviderUnavailable)):
            await read()

        assert replies == [], "the pieces of a broken stream are no reply"

    async def test_a_null_answer_is_an_answer_or_an_error(self, server: LoopbackServer, model: Model) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": "stop"}
        server.say(raw_body({"id": "x", "status": "completed", "choices": [choice], "output": []}))

        try:
            reply = await model.generate(ask())
        except MalformedReply:
            return

        assert reply.message.text == ""

    async def test_an_end_without_a_mark_is_an_end(self, server: LoopbackServer, model: Model) -> None:
        server.say(Reply(text="all of it", done=False))

        _, [reply] = await collect(model, ask())

        assert reply.message.text == "all of it"

    async def test_redirects_are_not_followed(self, server: LoopbackServer, model: Model) -> None:
        with LoopbackServer() as elsewhere:
            for status in (301, 302, 303, 307, 308):
                server.say(redirecting(f"{elsewhere.origin}/latest/meta-data/", status))
                with pytest.raises(BadRequest):
                    await model.generate(ask())
            server.say(redirecting(f"{elsewhere.origin}/latest/meta-data/"))
            with pytest.raises(BadRequest):
                await collect(model, ask())

            assert elsewhere.requests == [], "the key went to another address"

    async def test_errors_do_not_show_the_key(self, server: LoopbackServer, model: Model) -> None:
        server.say(failing(401, message=f"Incorrect API key provided: {KEY}"), html_page(), raw_body(KEY.encode()))
        server.say(stream_error(message=f"key {KEY} expired"))
        errors = []

        for _ in range(3):
            with pytest.raises(ModelError) as caught:
                await model.generate(ask())
            errors.append(caught.value)
        with pytest.raises(ModelError) as caught:
            await collect(model, ask())
        errors.append(caught.value)

        assert [error for error in errors if KEY in f"{error!r} {error} {vars(error)}"] == []

    @pytest.mark.parametrize("case", ABSURD)
    async def test_absurd_settings_are_refused_before_the_call(self, server: LoopbackServer, model: Model, case: str) -> None:
        with pytest.raises(BadRequest):
            await model.generate(ask(**ABSURD[case]))
        with pytest.raises(BadRequest):
            await collect(model, ask(**ABSURD[case]))

        assert server.requests == []

    async def test_a_prompt_of_a_hundred_megabytes_is_refused_before_the_call(
        self, server: LoopbackServer, model: Model
    ) -> None:
        huge = "x" * 100_000_000

        with pytest.raises(BadRequest):
            await model.generate(ask(huge))
        with pytest.raises(BadRequest):
            await model.generate(request_with(*[Message("user", huge[:5_000_000])] * 20))

        assert server.requests == []

    async def test_ten_thousand_pictures_are_refused_before_the_call(self, server: LoopbackServer, model: Model) -> None:
        pictures = tuple(Image(b"x", media_type="image/png") for _ in range(10_000))

        with pytest.raises(ErgasterError):
            await model.generate(request_with(Message("user", (Text("?"), *pictures))))

        assert server.requests == []

    async def test_a_request_without_messages_is_refused(self, server: LoopbackServer, model: Model) -> None:
        with pytest.raises(BadRequest):
            await model.generate(request_with())

        assert server.requests == []
