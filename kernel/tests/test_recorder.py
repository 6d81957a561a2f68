import json

import pytest

from ergaster.contracts.model import Delta, ModelRequest, ModelResponse, ModelSettings
from ergaster.errors import ErgasterError, InvalidInput, RateLimited
from ergaster.messages import Image, Message, ToolCall
from ergaster.testing.recorder import RecordingModel, ReplayedModel
from ergaster.testing.scripted import ScriptedModel


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recording.json"


def _ask(text, **settings):
    return ModelRequest(messages=(Message("user", text),), settings=ModelSettings(**settings))


async def _collect(stream):
    return [item async for item in stream]


async def test_a_replay_answers_as_the_model_did(path):
    recording = RecordingModel(ScriptedModel(["Hello", [ToolCall("1", "add", '{"a": 1}')]]), path)
    replies = [await recording.generate(_ask("Hi")), await recording.generate(_ask("Add"))]
    replayed = ReplayedModel(path)

    assert replies == [await replayed.generate(_ask("Hi")), await replayed.generate(_ask("Add"))]


async def test_the_order_of_requests_does_not_matter(path):
    recording = RecordingModel(ScriptedModel(["first", "second"]), path)
    await recording.generate(_ask("1"))
    await recording.generate(_ask("2"))
    replayed = ReplayedModel(path)

    assert ["second", "first"] == [(await replayed.generate(_ask(text))).message.text for text in "21"]


async def test_equal_requests_get_their_replies_in_order(path):
    recording = RecordingModel(ScriptedModel(["first", "second"]), path)
    await recording.generate(_ask("again"))
    await recording.generate(_ask("again"))
    replayed = ReplayedModel(path)

    assert ["first", "second"] == [(await replayed.generate(_ask("again"))).message.text for _ in "12"]
    with pytest.raises(ErgasterError, match="was answered before"):
        await replayed.generate(_ask("again"))


async def test_a_stream_is_replayed_piece_by_piece(path):
    pieces = await _collect(RecordingModel(ScriptedModel(["Hello, world"]), path).stream(_ask("Hi")))

    assert pieces == await _collect(ReplayedModel(path).stream(_ask("Hi")))
    assert [Delta, Delta, Delta, ModelResponse] == [type(piece) for piece in pieces]


async def test_an_error_is_replayed_with_its_facts(path):
    recording = RecordingModel(ScriptedModel([RateLimited("slow down", retry_after=3.5, status=429)]), path)
    with pytest.raises(RateLimited):
        await recording.generate(_ask("Hi"))

    with pytest.raises(RateLimited, match="slow down") as caught:
        await ReplayedModel(path).generate(_ask("Hi"))
    assert (3.5, 429, True) == (caught.value.retry_after, caught.value.status, caught.value.can_retry)


async def test_an_unknown_request_says_what_to_do(path):
    await RecordingModel(ScriptedModel(["Hello"]), path).generate(_ask("Hi"))

    with pytest.raises(ErgasterError, match=r"none of the 1 that were recorded.*record it again.*'Bye'"):
        await ReplayedModel(path).generate(_ask("Bye"))


async def test_headers_stay_out_of_the_file(path):
    request = _ask("Hi", extra_headers={"Authorization": "Bearer hunter2"})
    await RecordingModel(ScriptedModel(["Hello"]), path).generate(request)

    assert "hunter2" not in path.read_text()
    assert "Hello" == (await ReplayedModel(path).generate(request)).message.text


async def test_bytes_survive(path):
    request = ModelRequest(messages=(Message("user", (Image(b"\x00\xff", media_type="image/png"),)),))
    await RecordingModel(ScriptedModel(["A picture"]), path).generate(request)

    assert "A picture" == (await ReplayedModel(path).generate(request)).message.text


@pytest.mark.parametrize("text", ["[]", "{}", json.dumps({"version": 99})])
def test_a_file_that_is_no_recording_is_refused(path, text):
    path.write_text(text)

    with pytest.raises(InvalidInput, match="record it again"):
        ReplayedModel(path)


async def test_an_error_class_from_the_file_is_an_error_of_a_model(path):
    await RecordingModel(ScriptedModel(["Hello"]), path).generate(_ask("Hi"))
    recording = json.loads(path.read_text())
    recording["calls"][0] = {
        "request": recording["calls"][0]["request"],
        "error": {"class": "Sequence", "message": "", "facts": {}},
    }
    path.write_text(json.dumps(recording))

    with pytest.raises(InvalidInput, match="no error of a model"):
        await ReplayedModel(path).generate(_ask("Hi"))
