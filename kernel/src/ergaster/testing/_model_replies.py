"""The kit for models, part one: what a model understands and says."""

from __future__ import annotations

import base64
import json
from typing import ClassVar

import pytest

from ergaster.contracts.model import Model, ModelRequest
from ergaster.errors import Unsupported
from ergaster.messages import Audio, File, Image, Media, Message, StopReason, Text, ToolCall, ToolResult, Usage, Video
from ergaster.testing._model_base import ADD, NOW, ModelKit, ask, collect, request_with, values_in
from ergaster.testing.loopback import LoopbackServer, Reply, cut_stream

__all__ = ["RepliesKit"]

UNICODE = "naïve Ωmega 日本語 🦜\u200d🔧 \u202ertl\u202c \\ \" ' \t\nnew line \u2028 end"
CALLS = (ToolCall("call_1", "add", '{"a": 17, "b": 25}'), ToolCall("call_2", "now", "{}"))


class RepliesKit(ModelKit):
    """Text, tools, schemas, media, usage; whole and streamed."""

    media: ClassVar[dict[str, Media]] = {
        "images": Image(b"\x89PNG\r\n\x1a\n picture", media_type="image/png"),
        "audio": Audio(b"RIFF sound", media_type="audio/wav"),
        "video": Video(b"ftyp film", media_type="video/mp4"),
        "files": File(b"%PDF-1.7 document", media_type="application/pdf", name="report.pdf"),
    }

    async def test_generate_gives_the_text(self, server: LoopbackServer, model: Model) -> None:
        server.say(Reply(text="Good day."))

        reply = await model.generate(ask())

        assert reply.message.text == "Good day."
        assert reply.message.role == "assistant"
        assert StopReason.STOP is reply.stop_reason
        assert (reply.model, reply.response_id) == ("loopback-1", "reply-1")

    async def test_what_is_asked_arrives(self, server: LoopbackServer, model: Model) -> None:
        await model.generate(request_with(Message("system", "Be brief."), Message("user", "How are you?")))

        sent = list(values_in(server.requests[0].body))
        assert "Be brief." in sent
        assert "How are you?" in sent
        assert model.name in sent

    async def test_unicode_survives_both_ways(self, server: LoopbackServer, model: Model) -> None:
        server.say(Reply(text=UNICODE))

        reply = await model.generate(ask(UNICODE))

        assert reply.message.text == UNICODE
        assert UNICODE in values_in(server.requests[0].body)

    async def test_a_lone_surrogate_does_not_break_the_call(self, server: LoopbackServer, model: Model) -> None:
        await model.generate(ask("half a \ud83e parrot"))

        assert any("parrot" in value for value in values_in(server.requests[0].body) if isinstance(value, str))

    async def test_a_megabyte_goes_both_ways(self, server: LoopbackServer, model: Model) -> None:
        text = "0123456789abcdef" * 65_536 + "é"
        server.say(Reply(text=text))

        reply = await model.generate(ask(text))

        assert text == reply.message.text
        assert text in values_in(server.requests[0].body)

    async def test_an_empty_answer_is_an_answer(self, server: LoopbackServer, model: Model) -> None:
        server.say(Reply(text=""), Reply(text=""))

        reply = await model.generate(ask())
        _, [streamed] = await collect(model, ask())

        assert (reply.message.text, reply.stop_reason) == ("", StopReason.STOP)
        assert reply == streamed

    @pytest.mark.parametrize("framing", ["lf", "crlf", "cr", "multiline", "comments", "bytes"])
    async def test_a_stream_gives_the_pieces_and_then_the_reply(
        self, server: LoopbackServer, model: Model, framing: str
    ) -> None:
        server.say(Reply(text=UNICODE, framing=framing))

        deltas, [reply] = await collect(model, ask())

        assert "".join(delta.text for delta in deltas if delta.kind == "text") == UNICODE
        assert reply.message.text == UNICODE

    async def test_pieces_arrive_before_the_end(self, server: LoopbackServer, model: Model) -> None:
        server.say(cut_stream(after=6, ending="hang", reply=Reply(text="first piece of many", piece=6)))
        stream = model.stream(ask())

        first = await anext(aiter(stream))
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator has it

        assert "first piece of many".startswith(first.text)  # type: ignore[union-attr]  # no reply can be there yet

    async def test_the_streamed_reply_equals_the_whole_one(self, server: LoopbackServer, model: Model) -> None:
        same = Reply(text="Let me see.", calls=CALLS, usage=Usage(11, 7, cached_tokens=3, reasoning_tokens=2))
        server.say(same, same)
        request = request_with(Message("user", "17 + 25?"), tools=(ADD, NOW))

        reply = await model.generate(request)
        _, [streamed] = await collect(model, request)

        assert reply == streamed

    async def test_tools_are_offered(self, server: LoopbackServer, model: Model) -> None:
        await model.generate(request_with(Message("user", "17 + 25?"), tools=(ADD, NOW)))

        body = server.requests[0].body
        assert {"add", "now", ADD.description, "integer"} <= {value for value in values_in(body) if isinstance(value, str)}
        assert len(body["tools"]) == 2

    async def test_parallel_tool_calls_come_in_order(self, server: LoopbackServer, model: Model) -> None:
        server.say(Reply(calls=CALLS))

        reply = await model.generate(request_with(Message("user", "17 + 25?"), tools=(ADD, NOW)))

        assert reply.message.tool_calls == CALLS
        assert StopReason.TOOL_CALLS is reply.stop_reason

    async def test_argument_pieces_join_to_the_arguments(self, server: LoopbackServer, model: Model) -> None:
        server.say(Reply(calls=CALLS, piece=3))

        deltas, [reply] = await collect(model, request_with(Message("user", "17 + 25?"), tools=(ADD, NOW)))

        for index, call in enumerate(reply.message.tool_calls):
            pieces = [delta for delta in deltas if delta.kind == "tool_arguments" and delta.index == index]
            assert call.arguments == "".join(delta.text for delta in pieces)
            assert {(call.id, call.name)} == {(delta.call_id, delta.name) for delta in pieces}
        assert reply.message.tool_calls == CALLS

    async def test_a_call_without_an_id_gets_one(self, server: LoopbackServer, model: Model) -> None:
        nameless = Reply(calls=(ToolCall("", "add", '{"a": 1, "b": 2}'), ToolCall("", "add", '{"a": 3, "b": 4}')))
        server.say(nameless, nameless)
        request = request_with(Message("user", "1 + 2 and 3 + 4?"), tools=(ADD,))

        reply = await model.generate(request)
        deltas, [streamed] = await collect(model, request)

        assert all(call.id for call in reply.message.tool_calls + streamed.message.tool_calls)
        assert len({call.id for call in reply.message.tool_calls}) == 2
        assert [call.id for call in streamed.message.tool_calls] == list(
            dict.fromkeys(delta.call_id for delta in deltas if delta.kind == "tool_arguments")
        )

    async def test_arguments_stay_as_the_model_wrote_them(self, server: LoopbackServer, model: Model) -> None:
        written = '{ "b":2,\t"a" : 1.0 }'
        server.say(Reply(calls=(ToolCall("call_1", "add", written),)))

        server.say(Reply(calls=(ToolCall("call_1", "add", written),)))
        request = request_with(Message("user", "?"), tools=(ADD,))

        reply = await model.generate(request)
        _, [streamed] = await collect(model, request)

        assert written == streamed.message.tool_calls[0].arguments
        arguments = reply.message.tool_calls[0].arguments
        if self.arguments_as_objects:
            written, arguments = (json.dumps(json.loads(text)) for text in (written, arguments))
        assert written == arguments

    async def test_a_tool_result_is_sent_back_with_its_call(self, server: LoopbackServer, model: Model) -> None:
        server.say(Reply(text="Let me see.", calls=CALLS), Reply(text="It is 42."))
        question = Message("user", "17 + 25?")
        first = await model.generate(request_with(question, tools=(ADD, NOW)))
        results = Message(
            "tool", (ToolResult("call_1", "add", content="the sum is 42"), ToolResult("call_2", "now", content="noon"))
        )

        second = await model.generate(request_with(question, first.message, results, tools=(ADD, NOW)))

        sent = [value for value in values_in(server.requests[1].body) if isinstance(value, str)]
        assert second.message.text == "It is 42."
        assert 2 == sent.count("call_1") == sent.count("call_2")
        assert {"the sum is 42", "noon"} <= set(sent)
        assert CALLS[0].arguments in sent or CALLS[0].arguments.encode() in server.requests[1].raw

    async def test_usage_is_counted(self, server: LoopbackServer, model: Model) -> None:
        usage = Usage(11, 7, cached_tokens=3, reasoning_tokens=2)
        server.say(Reply(text="x", usage=usage), Reply(text="x", usage=usage))

        reply = await model.generate(ask())
        _, [streamed] = await collect(model, ask())

        assert usage == reply.usage == streamed.usage

    @pytest.mark.parametrize(("finish", "expected"), [("length", StopReason.LENGTH), ("content_filter", StopReason.REFUSAL)])
    async def test_the_reason_to_stop_is_told(
        self, server: LoopbackServer, model: Model, finish: str, expected: StopReason
    ) -> None:
        server.say(Reply(text="x", finish=finish), Reply(text="x", finish=finish))

        reply = await model.generate(ask())
        _, [streamed] = await collect(model, ask())

        assert expected is reply.stop_reason is streamed.stop_reason

    async def test_a_refusal_is_told(self, server: LoopbackServer, model: Model) -> None:
        server.say(Reply(refusal="I will not."), Reply(refusal="I will not."))

        reply = await model.generate(ask())
        _, [streamed] = await collect(model, ask())

        assert (reply.stop_reason, reply.message.text) == (StopReason.REFUSAL, "I will not.")
        assert reply == streamed

    async def test_settings_are_sent_and_win_over_the_models_own(self, server: LoopbackServer) -> None:
        model = self.make_model(server.base_url, max_tokens=1234)

        await model.generate(ask(max_tokens=4321, extra_body={"extra_field": "extra value"}, extra_headers={"X-Extra": "yes"}))
        await model.generate(ask())
        await model.close()

        first, second = (list(values_in(request.body)) for request in server.requests)
        assert 4321 in first
        assert 1234 not in first
        assert 1234 in second
        assert server.requests[0].body["extra_field"] == "extra value"
        assert server.requests[0].headers["x-extra"] == "yes"

    async def test_temperature_is_as_claimed(self, server: LoopbackServer) -> None:
        model = self.make_model(server.base_url, temperature=0.75)
        if not self.sampling:
            with pytest.raises(Unsupported):
                await model.generate(ask())
            with pytest.raises(Unsupported):
                await collect(self.make_model(server.base_url), ask(temperature=0.25))
            assert server.requests == []
            return

        await model.generate(ask(temperature=0.25))
        await model.close()

        sent = list(values_in(server.requests[0].body))
        assert 0.25 in sent
        assert 0.75 not in sent

    async def test_schema_output_is_as_claimed(self, server: LoopbackServer, model: Model) -> None:
        request = ModelRequest(messages=ask().messages, output_schema=ADD.parameters, output_name="sum")
        if not model.capabilities.schema_output:
            with pytest.raises(Unsupported):
                await model.generate(request)
            assert server.requests == []
            return
        server.say(Reply(text='{"a": 1, "b": 2}'))

        reply = await model.generate(request)

        assert json.loads(reply.message.text) == {"a": 1, "b": 2}
        assert b"additionalProperties" in server.requests[0].raw

    async def test_tools_are_as_claimed(self, server: LoopbackServer) -> None:
        model = self.make_model(server.base_url, tools=False)

        with pytest.raises(Unsupported):
            await model.generate(request_with(Message("user", "?"), tools=(ADD,)))

        assert server.requests == []

    @pytest.mark.parametrize("ability", ["images", "audio", "video", "files"])
    async def test_media_are_as_claimed(self, server: LoopbackServer, model: Model, ability: str) -> None:
        part = self.media[ability]
        request = request_with(Message("user", (Text("What is it?"), part)))  # type: ignore[arg-type]  # one of the four kinds
        if getattr(model.capabilities, ability):
            await model.generate(request)
            assert base64.b64encode(part.data or b"") in server.requests[0].raw
            return

        with pytest.raises(Unsupported):
            await model.generate(request)
        with pytest.raises(Unsupported):
            await collect(model, request)

        assert server.requests == []
